"""From the data section of a configuration to training and test tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import TypeAdapter

from mlt.config import parse_config
from mlt.data import Split
from mlt.data.formats import coco
from mlt.data.run_data import load_data, training_split
from mlt.data.settings import DataConfig
from mlt.engine.train import train
from mlt.errors import DataError, MissingFileError


def data_config(**values: Any) -> DataConfig:
    """A data section."""
    return TypeAdapter(DataConfig).validate_python(values)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Twelve small images, and two CSV tables of them."""
    rng = np.random.default_rng(0)
    for n in range(12):
        pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{n}.png")
    rows = [
        f"{n}.png,{'cat|dog' if n % 3 == 0 else 'cat' if n % 3 == 1 else ''}" for n in range(12)
    ]
    (tmp_path / "train.csv").write_text("\n".join(["path,labels", *rows[:8]]))
    (tmp_path / "test.csv").write_text("\n".join(["path,labels", *rows[8:]]))
    return tmp_path


def test_csv_tables(images: Path) -> None:
    config = data_config(name="csv", root=str(images), train="train.csv", test="test.csv")
    data = load_data(config)
    assert data.train.class_names == data.test.class_names == ("cat", "dog")
    assert len(data.train) == 8
    assert data.train.targets(range(8)).sum(0).tolist() == [6, 3]
    assert data.split.recipe["name"] == "full"
    assert data.test.image_path(0) == images / "8.png"


def test_validation_tables(images: Path) -> None:
    values = {"name": "csv", "root": str(images), "train": "train.csv", "test": "test.csv"}
    assert load_data(data_config(**values)).validation is None
    values["validation"] = "validation.csv"
    (images / "validation.csv").write_text("path,labels\n9.png,dog\n1.png,\n7.png,dog|cat\n")
    data = load_data(data_config(**values))
    assert data.validation is not None
    assert data.validation.class_names == ("cat", "dog")
    assert data.validation.targets(range(3)).tolist() == [[0, 1], [0, 0], [1, 1]]
    assert [note.split(" too")[0] for note in data.notes] == [
        "warning: 2 of 3 validation images are training images",
        "warning: 1 of 4 test images are validation images",
    ]
    (images / "validation.csv").write_text("path,labels\n9.png,robot")
    with pytest.raises(DataError, match="robot"):
        load_data(data_config(**values))
    values["validation"] = "elsewhere.csv"
    with pytest.raises(MissingFileError, match=r"data\.validation: there is no table"):
        load_data(data_config(**values))


def test_absent_images_of_all_parts_are_reported_at_once(images: Path) -> None:
    for part in ("train", "test"):
        with (images / f"{part}.csv").open("a") as table:
            table.write(f"\nabsent_{part}.png,cat")
    config = data_config(name="csv", root=str(images), train="train.csv", test="test.csv")
    with pytest.raises(MissingFileError) as caught:
        load_data(config)
    assert "absent_train.png" in str(caught.value)
    assert "absent_test.png" in str(caught.value)


@pytest.mark.parametrize("part", ["train", "validation", "test"])
@pytest.mark.parametrize("columns", [False, True])
def test_a_table_without_rows_is_named(images: Path, part: str, columns: bool) -> None:
    (images / "validation.csv").write_text("path,labels\n9.png,dog\n")
    values: dict[str, Any] = {"class_names": ["cat", "dog"]}
    if columns:
        values["labels_column"] = None
        for name in ("train", "validation", "test"):
            (images / f"{name}.csv").write_text("path,cat,dog\n9.png,0,1\n")
    for name in ("train", "validation", "test"):
        values[name] = f"{name}.csv"
    file = images / f"{part}.csv"
    file.write_text(file.read_text().splitlines()[0] + "\n")
    expected = rf"no {part} image: .*{part}\.csv lists none" if part != "train" else "is empty"
    with pytest.raises(DataError, match=expected):
        load_data(data_config(name="csv", root=str(images), **values))


def test_a_coco_file_without_test_images_is_named(
    tiny_root: Path, tiny_values: dict[str, Any]
) -> None:
    file = tiny_root / "annotations" / "instances_test.json"
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, "images": [], "annotations": []}))
    config = data_config(**{**tiny_values["data"], "root": str(tiny_root)})
    with pytest.raises(DataError, match=r"no test image: .*instances_test\.json lists none"):
        load_data(config)


def test_validation_images_of_coco(tiny_values: dict[str, Any]) -> None:
    part = tiny_values["data"]["test"]
    data = load_data(data_config(**{**tiny_values["data"], "validation": part}))
    assert data.validation is not None
    assert data.validation.digest() == data.test.digest()
    other = {**part, "images": "elsewhere"}
    with pytest.raises(MissingFileError, match="32 of 32 validation images"):
        load_data(data_config(**{**tiny_values["data"], "validation": other}))


def test_csv_with_class_columns_and_unknown_labels_trains(
    images: Path, tiny_values: dict[str, Any]
) -> None:
    header = "path,cat,dog,yeti"
    rows = [f"{n}.png,{n % 2},{'' if n % 3 else 1},{-1 if n % 4 else 1}" for n in range(12)]
    for part, lines in (("train", rows[:8]), ("test", rows[4:])):
        (images / f"{part}.csv").write_text("\n".join([header, *lines]))
    data = {
        "name": "csv", "root": str(images), "train": "train.csv", "test": "test.csv",
        "labels_column": None, "blank": "negative", "uncertain": "unknown",
    }  # fmt: skip
    table = data_config(**data).source().train()
    assert table.known_mask(range(8))[:, 2].tolist() == [n % 4 == 0 for n in range(8)]
    summary = train(parse_config({**tiny_values, "data": data}))
    # Where the yeti is known at all, it is there: of two known test images both are positive.
    assert summary.per_class[2].n_test == 2
    assert summary.per_class[2].ap == 1.0


def test_the_order_of_test_classes_is_that_of_training(images: Path) -> None:
    (images / "test.csv").write_text("path,labels\n8.png,dog\n9.png,")
    config = data_config(name="csv", root=str(images), train="train.csv", test="test.csv")
    assert config.source().test().class_names == ("cat", "dog")
    (images / "test.csv").write_text("path,labels\n8.png,robot")
    with pytest.raises(DataError, match="robot"):
        load_data(config)


def test_voc_of_ones_own(tmp_path: Path, tiny_values: dict[str, Any]) -> None:
    for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (tmp_path / "own" / folder).mkdir(parents=True)
    for n in range(8):
        Image.new("RGB", (32, 32), (30 * n, 0, 0)).save(tmp_path / f"own/JPEGImages/{n}.jpg")
        name = "scratch" if n % 2 else "dent"
        (tmp_path / f"own/Annotations/{n}.xml").write_text(
            f"<annotation><object><name>{name}</name></object></annotation>"
        )
    (tmp_path / "own/ImageSets/Main/train.txt").write_text("0\n1\n2\n3\n4\n")
    (tmp_path / "own/ImageSets/Main/test.txt").write_text("5\n6\n7\n")
    data = {"name": "voc", "root": str(tmp_path / "own")}
    loaded = load_data(data_config(**data))
    assert loaded.train.class_names == ("dent", "scratch")
    assert list(loaded.test.image_ids) == ["5", "6", "7"]
    assert loaded.validation is None
    validation = data_config(**data, validation_set="test").source().validation()
    assert validation is not None and validation.digest() == loaded.test.digest()
    assert 0 < train(parse_config({**tiny_values, "data": data})).total <= 1


def test_the_second_start_reads_the_cache_and_a_change_is_noticed(
    tiny_root: Path, tmp_path: Path, tiny_values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = data_config(**{**tiny_values["data"], "root": str(tiny_root)})
    cache = tmp_path / "cache"
    first = load_data(config, cache)

    def refuse(*arguments: Any, **options: Any) -> None:
        raise AssertionError("the annotations were read again")

    with monkeypatch.context() as patch:
        patch.setattr(coco, "read_coco", refuse)
        second = load_data(config, cache)
    assert second.train.digest() == first.train.digest()
    file = tiny_root / "annotations" / "instances_train.json"
    content = json.loads(file.read_text())
    content["images"] = content["images"][:-1]
    last = len(content["images"])
    content["annotations"] = [a for a in content["annotations"] if a["image_id"] <= last]
    file.write_text(json.dumps(content))
    assert len(load_data(config, cache).train) == last


def test_a_long_tail_cut_out_of_own_data(tiny_values: dict[str, Any]) -> None:
    longtail = {"b": 3.0, "max": 20, "min": 1, "seed": 1}
    config = data_config(**{**tiny_values["data"], "longtail": longtail})
    split, train = training_split(config)
    assert split.recipe["name"] == "pareto"
    assert len(train) < 48
    assert min(split.class_counts) >= 1


def test_a_saved_split_is_used_and_must_fit(tiny_values: dict[str, Any], tmp_path: Path) -> None:
    table = data_config(**tiny_values["data"]).source().train()
    part = table.take([3, 1])
    counts = tuple(int(n) for n in part.targets([0, 1]).sum(0))
    split = Split(
        "mine", tuple(part.image_ids.tolist()), part.class_names, counts, {"name": "hand"}
    )
    split.save(tmp_path / "mine.json")
    config = data_config(**{**tiny_values["data"], "split": str(tmp_path / "mine.json")})
    assert load_data(config).train.image_ids.tolist() == part.image_ids.tolist()
    other = Split("other", (99,), part.class_names, (0, 0, 0, 0), {"name": "hand"})
    other.save(tmp_path / "other.json")
    config = data_config(**{**tiny_values["data"], "split": str(tmp_path / "other.json")})
    with pytest.raises(DataError, match="99"):
        load_data(config)


@pytest.mark.parametrize("name", ["coco_mlt", "voc_mlt"])
def test_absent_data_says_what_to_download(name: str, tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="download") as caught:
        load_data(data_config(name=name, root=str(tmp_path)))
    assert "--set data.root=FOLDER" in str(caught.value)
    assert "digits_mlt" in str(caught.value)


def test_voc_2007_is_asked_for_when_only_2012_is_there(tmp_path: Path) -> None:
    annotations = tmp_path / "VOCdevkit" / "VOC2012" / "Annotations"
    annotations.mkdir(parents=True)
    for n in range(3):
        (annotations / f"{n}.xml").write_text(
            "<annotation><object><name>cat</name></object></annotation>"
        )
    config = data_config(name="voc_mlt", root=str(tmp_path))
    assert len(config.source().train()) == 3
    with pytest.raises(MissingFileError, match="no VOC2007/Annotations"):
        load_data(config)
