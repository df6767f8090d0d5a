"""A folder with everything that the pages' blocks take for granted, and the pages themselves."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def prepared(tiny_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the pages call ``data/own``, ``photographs``, ``runs/mine``, ...; no test changes it."""
    from mlt.engine.train import train

    root = tmp_path_factory.mktemp("prepared")
    own = Path(shutil.copytree(tiny_source, root / "data" / "own"))
    for part in ("train", "test"):
        _write_table(own, part)
    shutil.copy(own / "test.csv", own / "validation.csv")
    for alias, part in (("train2017", "train"), ("val2017", "test")):
        shutil.copytree(own / part, own / alias)
        annotations = own / "annotations" / f"instances_{part}.json"
        shutil.copy(annotations, annotations.with_name(f"instances_{alias}.json"))
    for folder in ("photographs", "more"):
        (root / folder).mkdir()
        for n in range(3):
            Image.new("RGB", (40, 40), (80 * n, 99, 99)).save(root / folder / f"{n}.jpg")
    for n, place in enumerate(["train/wren", "train/robin", "test/wren", "test/robin"] * 2):
        (root / "data" / "birds" / place).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40), (30 * n, 99, 99)).save(root / f"data/birds/{place}/{n}.jpg")
    (root / "list.csv").write_text("path\nphotographs/0.jpg\n")
    _write_coco_boxes(root)
    _write_scores(root)
    shipped = (REPOSITORY / "configs" / "own_data_csv.yaml").read_text()
    (root / "my.yaml").write_text(shipped)
    train(_quick_run(own, root / "runs" / "mine"))
    (root / "run").symlink_to("runs/mine")
    return root


@pytest.fixture
def workplace(
    prepared: Path, embedded_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A copy of the prepared folder beside the repository's own folders; the current folder."""
    place = Path(shutil.copytree(prepared, tmp_path / "work", symlinks=True))
    for name in ("tools", "configs", "docs", "benchmarks", "examples"):
        (place / name).symlink_to(REPOSITORY / name)
    (place / "data" / "digits_mlt").symlink_to(embedded_digits)
    monkeypatch.chdir(place)
    return place


def _quick_run(own: Path, output: Path) -> Any:
    from mlt.config import parse_config

    return parse_config(
        {
            "output": str(output),
            "data": {"name": "csv", "root": str(own), "train": "train.csv", "test": "test.csv"},
            "transforms": {"name": "plain", "size": 32},
            "model": {"backbone": "test_resnet", "weights": "none"},
            "loss": {},
            "training": {"epochs": 1, "workers": 0},
        }
    )


def _write_table(root: Path, part: str) -> None:
    """The labels of a part of COCO's format as `path,labels`."""
    coco = json.loads((root / "annotations" / f"instances_{part}.json").read_text())
    names = {category["id"]: category["name"] for category in coco["categories"]}
    labels: dict[int, set[str]] = {image["id"]: set() for image in coco["images"]}
    for annotation in coco["annotations"]:
        labels[annotation["image_id"]].add(names[annotation["category_id"]])
    lines = [
        f"{part}/{image['file_name']},{'|'.join(sorted(labels[image['id']]))}"
        for image in coco["images"]
    ]
    (root / f"{part}.csv").write_text("\n".join(["path,labels", *lines]) + "\n")


def _write_scores(root: Path) -> None:
    """The scores of two other tools, and the truth, as tables."""
    rng = np.random.default_rng(0)
    for part in ("truth", "train"):
        labels = rng.random((60, 2)) < [0.5, 0.2]
        labels[:3] = [[True, True], [False, True], [True, False]]
        rows = [f"{part}{i}.jpg,{int(a)},{int(b)}" for i, (a, b) in enumerate(labels)]
        (root / f"{part}.csv").write_text("\n".join(["id,cat,dog", *rows]) + "\n")
        for tool in ("scores", "theirs") if part == "truth" else ():
            shares = (rng.random((60, 2)) + 0.5 * labels) / 1.5
            rows = [f"{part}{i}.jpg,{a},{b}" for i, (b, a) in enumerate(shares)]
            (root / f"{tool}.csv").write_text("\n".join(["id,dog,cat", *rows]) + "\n")


def _write_coco_boxes(root: Path) -> None:
    """COCO's two annotation files in small, with its ids up to 90."""
    rng = np.random.default_rng(0)
    categories = [{"id": n, "name": f"class {n}"} for n in range(1, 91) if n % 9]
    for part in ("train2017", "val2017"):
        annotations = [
            {
                "id": n + 1,
                "image_id": n % 40 + 1,
                "category_id": categories[n % len(categories)]["id"],
                "bbox": [0, 0, 10, 10],
                "area": 100,
                "iscrowd": 0,
            }
            for n in range(80 + int(rng.integers(40)))
        ]
        images = [
            {"id": n, "file_name": f"{n}.jpg", "width": 40, "height": 40} for n in range(1, 41)
        ]
        content = {"images": images, "annotations": annotations, "categories": categories}
        (root / f"instances_{part}.json").write_text(json.dumps(content))
