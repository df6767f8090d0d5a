"""The shared inputs in the formats of the field: `mlt inspect --json` gives their right values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mlt.cli import main

CONFIG = """\
output: unused
transforms: {name: plain, size: 32}
model: {backbone: test_resnet, weights: none}
loss: {preset: bce}
training: {epochs: 1, batch_size: 2}
data:
"""

NIH = """\
  name: csv
  train: Data_Entry_2017.csv
  train_list: train_val_list.txt
  test_list: test_list.txt
  path_column: Image Index
  labels_column: Finding Labels
  negatives: [No Finding]
  images: images_*/images
  group: Patient ID
"""
PADCHEST = """\
  name: csv
  train: train.csv
  test: test.csv
  path_column: ImageID
  labels_column: Labels
  images: png
"""
OPEN_IMAGES = """\
  name: csv
  layout: long
  train: train-annotations-human-imagelabels-boxable.csv
  test: validation-annotations-human-imagelabels-boxable.csv
  path_column: ImageID
  labels_column: LabelName
  value_column: Confidence
  class_labels: class-descriptions-boxable.csv
  images: [train, validation]
"""
PLANET = """\
  name: csv
  train: train_v2.csv
  test: test_v2.csv
  path_column: image_name
  labels_column: tags
  images: train-jpg
  separator: " "
"""
LVIS = """\
  name: coco
  train: lvis_v1_train.json
  test: lvis_v1_val.json
"""
ROBOFLOW = """\
  name: coco
  train: train/_annotations.coco.json
  test: test/_annotations.coco.json
"""
ORDER = """\
  name: coco
  train: {annotations: train.json, images: im}
  test: {annotations: isat.json, images: im2}
"""


def inspect(
    folder: Path, section: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> dict[str, Any]:
    """What `mlt inspect --json` prints of a data section."""
    if not folder.is_dir():
        pytest.skip(f"needs real photographs, and {folder} is absent")
    file = tmp_path / "my.yaml"
    file.write_text(f"{CONFIG}{section}  root: {folder}\n")
    assert main(["inspect", str(file), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def positives(part: dict[str, Any]) -> dict[str, int]:
    """Classes with an image."""
    return {name: n for name, n in part["class_counts"].items() if n}


def totals(part: dict[str, Any]) -> list[int]:
    """Images, and entries that are present, verified absent and unknown."""
    keys = ("class_counts", "verified_absent", "unknown")
    return [part["images"], *(sum(part[key].values()) for key in keys)]


def test_nih(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parts = inspect(shared / "cases/01-nih", NIH, tmp_path, capsys)["parts"]
    assert [(p["images"], p["without_label"]) for p in parts.values()] == [(20, 5), (10, 1)]
    assert parts["train"]["class_counts"] == {
        "Atelectasis": 1, "Cardiomegaly": 1, "Consolidation": 3, "Edema": 2, "Effusion": 2,
        "Emphysema": 1, "Fibrosis": 1, "Infiltration": 1, "Mass": 3, "Nodule": 1,
        "Pleural_Thickening": 3, "Pneumonia": 2, "Pneumothorax": 2, "Hernia": 0,
    }  # fmt: skip
    assert positives(parts["test"]) == {
        "Atelectasis": 3, "Cardiomegaly": 2, "Edema": 1, "Emphysema": 1, "Fibrosis": 2,
        "Hernia": 4, "Infiltration": 2, "Mass": 1, "Nodule": 1, "Pneumonia": 1,
    }  # fmt: skip


def test_padchest(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parts = inspect(shared / "cases/03-padchest", PADCHEST, tmp_path, capsys)["parts"]
    assert [(p["images"], p["without_label"]) for p in parts.values()] == [(30, 3), (15, 1)]
    assert positives(parts["train"]) == {
        "aortic elongation": 6, "cardiomegaly": 2, "chronic changes": 8, "laminar atelectasis": 6,
        "nodule": 6, "normal": 3, "pleural effusion": 9, "scoliosis": 9,
    }  # fmt: skip
    assert list(positives(parts["test"]).values()) == [3, 2, 6, 1, 4, 3, 4, 2]


def test_open_images(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = inspect(shared / "cases/04-openimages", OPEN_IMAGES, tmp_path, capsys)
    parts = found["parts"]
    assert [totals(part) for part in parts.values()] == [[20, 20, 23, 57], [8, 12, 3, 25]]
    assert sorted(positives(parts["train"]).values()) == [3, 3, 4, 5, 5]
    assert any(
        "57 % of the training labels" in a["text"].replace("%", " %") for a in found["advice"]
    )


def test_planet(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = inspect(shared / "cases/05-planet", PLANET, tmp_path, capsys)
    assert positives(found["parts"]["train"]) == {
        "agriculture": 9, "bare_ground": 8, "clear": 6, "cloudy": 5, "cultivation": 11,
        "habitation": 15, "haze": 6, "primary": 2, "road": 12, "water": 8,
    }  # fmt: skip
    assert found["pictures"]["train"]["missing"] == 0


def test_lvis(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parts = inspect(shared / "cases/09-lvis", LVIS, tmp_path, capsys)["parts"]
    assert [totals(part) for part in parts.values()] == [[20, 26, 20, 34], [10, 16, 10, 14]]


def test_roboflow(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parts = inspect(shared / "cases/17-roboflow-dup", ROBOFLOW, tmp_path, capsys)["parts"]
    assert parts["train"]["class_counts"] == {"fish": 5, "jellyfish": 5}


def test_other_order(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parts = inspect(shared / "cases/18-coco-order", ORDER, tmp_path, capsys)["parts"]
    names = ["CLASS_A", "CLASS_B", "CLASS_C", "CLASS_D"]
    assert list(parts["train"]["class_counts"]) == list(parts["test"]["class_counts"]) == names
    assert list(parts["test"]["class_counts"].values()) == [3, 3, 3, 3]
