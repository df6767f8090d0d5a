"""From each kind of data to a trained, resumed and evaluated model and a report with its images.

All hold the images of the tiny COCO data set with its labels: in a data set or in shards they must
train to the very same model.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlt.cli import main
from mlt.config import load_config, parse_config
from mlt.config.yaml_text import dump_yaml
from mlt.data import LabelTable, read_coco
from mlt.data.row_images import row_bytes
from mlt.engine import loop as loop_module
from mlt.engine.train import train
from mlt.predictions import Predictions
from mlt.report.images import find_images
from mlt.report.runs import load_run


def tables(tiny_source: Path) -> dict[str, LabelTable]:
    return {
        part: read_coco(tiny_source / f"annotations/instances_{part}.json", tiny_source / part)
        for part in ("train", "test")
    }


def labels(table: LabelTable, row: int) -> list[str]:
    return [table.class_names[c] for c in table.labels[[row]].indices]


def write_hf(coco: dict[str, LabelTable], folder: Path) -> dict[str, Any]:
    datasets = pytest.importorskip("datasets")
    splits = {}
    for part, table in coco.items():
        rows = range(len(table))
        columns = {
            "image": [{"bytes": row_bytes(table, row), "path": None} for row in rows],
            "labels": [table.labels[[row]].indices.tolist() for row in rows],
        }
        names = datasets.List(datasets.ClassLabel(names=list(table.class_names)))
        features = datasets.Features({"image": datasets.Image(), "labels": names})
        splits[part] = datasets.Dataset.from_dict(columns, features)
    datasets.DatasetDict(splits).save_to_disk(str(folder))
    return {"name": "hf", "path": str(folder)}


def write_webdataset(coco: dict[str, LabelTable], folder: Path) -> dict[str, Any]:
    folder.mkdir()
    for part, table in coco.items():
        for row in range(len(table)):
            with tarfile.open(folder / f"{part}-{row * 2 // len(table)}.tar", "a") as archive:
                content = json.dumps({"labels": labels(table, row)}).encode()
                members = {"png": row_bytes(table, row), "json": content}
                for extension, data in members.items():
                    about = tarfile.TarInfo(f"{row:04}.{extension}")
                    about.size = len(data)
                    archive.addfile(about, io.BytesIO(data))
    names = list(coco["train"].class_names)
    shards = {"train": "train-{0..1}.tar", "test": "test-*.tar"}
    return {"name": "webdataset", "root": str(folder), **shards, "class_names": names}


def write_image_folder(coco: dict[str, LabelTable], folder: Path) -> dict[str, Any]:
    """The same images under each of their classes; those without a label have no place."""
    for part, table in coco.items():
        for row in range(len(table)):
            for name in labels(table, row):
                file = folder / part / name / f"{row:04}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(table.image_path(row), file)
    return {
        "name": "image_folder",
        "root": str(folder),
        "class_names": list(coco["train"].class_names),
    }


WRITERS = {"hf": write_hf, "webdataset": write_webdataset, "image_folder": write_image_folder}


@pytest.fixture(params=list(WRITERS))
def data(
    request: pytest.FixtureRequest,
    tiny_source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> dict[str, Any]:
    """The data section of a configuration; the data that it names are there."""
    if request.param == "hf":
        datasets = pytest.importorskip("datasets")
        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    return WRITERS[request.param](tables(tiny_source), tmp_path / "data")


def test_train_resume_evaluate_and_report(
    data: dict[str, Any],
    tiny_source: Path,
    tiny_values: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tiny_values["training"] |= {"epochs": 2, "workers": 2}
    coco, run = tmp_path / "coco", Path(tiny_values["output"])
    same_rows = data["name"] != "image_folder"
    if same_rows:
        train(parse_config({**tiny_values, "output": str(coco)}))
    config = tmp_path / "own.yaml"
    config.write_text(dump_yaml({**tiny_values, "data": data}))
    assert main(["train", str(config), "--dry-run"]) == 0

    original = loop_module._update

    def interrupting(training: Any, config: Any) -> None:
        original(training, config)
        if training.position.updates == 4:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(loop_module, "_update", interrupting)
        with pytest.raises(KeyboardInterrupt):
            train(load_config(config))
    assert main(["train", str(config), "--resume"]) == 0

    predictions = Predictions.load(run / "predictions.npz")
    expected = tables(tiny_source)["test"]
    if same_rows:
        assert predictions.targets.tolist() == expected.targets(range(len(expected))).tolist()
        of_coco = Predictions.load(coco / "predictions.npz")
        np.testing.assert_array_equal(predictions.logits, of_coco.logits)
    else:
        labelled = np.flatnonzero(np.diff(expected.labels.indptr))
        rows = [int(Path(name).stem) for name in predictions.image_ids.tolist()]
        assert sorted(rows) == labelled.tolist()
        assert predictions.targets.tolist() == expected.targets(rows).tolist()

    checkpoint = str(run / "last.safetensors")
    capsys.readouterr()
    assert main(["evaluate", str(config), "--checkpoint", checkpoint]) == 0
    assert f"{len(predictions.image_ids)} test images" in capsys.readouterr().out
    images = find_images(load_run(run))
    assert images.note == ""
    assert all(images.thumbnail(row) for row in range(len(predictions.image_ids)))


def test_broken_images_are_named_or_skipped_and_counted(
    data: dict[str, Any], tiny_values: dict[str, Any], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    tiny_values["training"] |= {"epochs": 1}
    table = parse_config({**tiny_values, "data": data}).data.source().train()
    damage(data, table)
    config = tmp_path / "own.yaml"
    config.write_text(dump_yaml({**tiny_values, "data": data}))
    assert main(["train", str(config)]) == 2
    assert "is not an image of a known format" in capsys.readouterr().err
    skip = ["--set", "data.on_image_error=skip"]
    assert main(["train", str(config), "--overwrite", *skip]) == 0


def damage(data: dict[str, Any], table: LabelTable) -> None:
    """Overwrite the pixels of the first training image in place."""
    start = row_bytes(table, 0)
    if data["name"] == "image_folder":
        table.image_path(0).write_bytes(b"not an image")
        return
    folder = Path(data.get("path", data.get("root")))
    (file,) = (f for f in folder.rglob("train*/*.arrow" if "path" in data else "train-0.tar"))
    content = file.read_bytes()
    assert content.count(start) == 1
    file.write_bytes(content.replace(start, bytes(len(start))))
