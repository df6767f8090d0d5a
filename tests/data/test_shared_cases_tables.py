"""The shared tables in the formats of the field: the shortest section gives the right values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from mlt.config.yaml_text import parse_yaml
from mlt.data import LabelTable
from mlt.data.run_data import Data, load_data
from mlt.data.settings import DataConfig
from mlt.errors import DataError

CELLS = {"labels_column": None}


def load(folder: Path, text: str = "", **values: Any) -> Data:
    """The data of a section in YAML."""
    section = {"name": "csv", "root": str(folder), **parse_yaml(text or "{}"), **values}
    return load_data(TypeAdapter(DataConfig).validate_python(section))


def cells(shared: Path, name: str, **values: Any) -> LabelTable:
    """One of the tables of single oddities."""
    file = f"{name}.csv"
    return load(shared / "cases/08-csv-cells", train=file, test=file, images="im", **values).train


def counts(table: LabelTable) -> dict[str, int]:
    """Images per class, without the classes that have none."""
    numbers = table.class_counts().counts.tolist()
    return {name: n for name, n in zip(table.class_names, numbers) if n}


def without(table: LabelTable) -> int:
    """Images without a label."""
    return int((table.targets(range(len(table))).sum(axis=1) == 0).sum())


NIH = """\
train: Data_Entry_2017.csv
train_list: train_val_list.txt
test_list: test_list.txt
path_column: Image Index
labels_column: Finding Labels
negatives: [No Finding]
images: images_*/images
group: Patient ID
"""


def test_nih(shared: Path) -> None:
    data = load(shared / "cases/01-nih", NIH)
    assert data.train.num_classes == 14 and data.train.known is None
    assert (len(data.train), without(data.train), len(data.test), without(data.test)) == (
        (20, 5, 10, 1)
    )
    assert counts(data.train) == {
        "Atelectasis": 1, "Cardiomegaly": 1, "Consolidation": 3, "Edema": 2, "Effusion": 2,
        "Emphysema": 1, "Fibrosis": 1, "Infiltration": 1, "Mass": 3, "Nodule": 1,
        "Pleural_Thickening": 3, "Pneumonia": 2, "Pneumothorax": 2,
    }  # fmt: skip
    assert counts(data.test) == {
        "Atelectasis": 3, "Cardiomegaly": 2, "Edema": 1, "Emphysema": 1, "Fibrosis": 2,
        "Hernia": 4, "Infiltration": 2, "Mass": 1, "Nodule": 1, "Pneumonia": 1,
    }  # fmt: skip
    assert data.train.groups is not None and data.train.groups[0] == "1"


PADCHEST = """\
train: train.csv
test: test.csv
path_column: ImageID
labels_column: Labels
images: png
"""


def test_padchest(shared: Path) -> None:
    data = load(shared / "cases/03-padchest", PADCHEST)
    assert (len(data.train), without(data.train), len(data.test), without(data.test)) == (
        (30, 3, 15, 1)
    )
    train = {
        "aortic elongation": 6, "cardiomegaly": 2, "chronic changes": 8, "laminar atelectasis": 6,
        "nodule": 6, "normal": 3, "pleural effusion": 9, "scoliosis": 9,
    }  # fmt: skip
    assert counts(data.train) == train
    assert list(counts(data.test).values()) == [3, 2, 6, 1, 4, 3, 4, 2]
    seven = load(shared / "cases/03-padchest", PADCHEST, negatives=["normal"])
    assert counts(seven.train) == {name: n for name, n in train.items() if name != "normal"}


OPEN_IMAGES = """\
layout: long
train: train-annotations-human-imagelabels-boxable.csv
test: validation-annotations-human-imagelabels-boxable.csv
path_column: ImageID
labels_column: LabelName
value_column: Confidence
class_labels: class-descriptions-boxable.csv
images: [train, validation]
"""


def test_open_images(shared: Path) -> None:
    data = load(shared / "cases/04-openimages", OPEN_IMAGES)
    assert counts(data.train) == {
        "Container": 3, "Football": 5, "Magpie": 5, "Sea turtle": 3, "Tortoise": 4,
    }  # fmt: skip
    for table, images, present, absent, unknown in (
        (data.train, 20, 20, 23, 57),
        (data.test, 8, 12, 3, 25),
    ):
        assert table.known is not None
        assert (len(table), table.labels.nnz) == (images, present)
        assert table.known.nnz == present + absent == images * 5 - unknown


PLANET = """\
train: train_v2.csv
test: test_v2.csv
path_column: image_name
labels_column: tags
images: train-jpg
"""


def test_planet(shared: Path) -> None:
    folder = shared / "cases/05-planet"
    data = load(folder, PLANET, separator=" ")
    assert data.train.image_path(0) == folder / "train-jpg" / "train_0.jpg"
    assert counts(data.train) == {
        "agriculture": 9, "bare_ground": 8, "clear": 6, "cloudy": 5, "cultivation": 11,
        "habitation": 15, "haze": 6, "primary": 2, "road": 12, "water": 8,
    }  # fmt: skip
    with pytest.raises(DataError, match=r"train_v2\.csv, line 2: .* set separator: \" \""):
        load(folder, PLANET)


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("bool", CELLS, {"cat": 10, "dog": 7}),
        ("yes", CELLS, {"cat": 10, "dog": 13}),
        ("nan", CELLS, {"cat": 9, "dog": 16}),
        ("index", CELLS, {"cat": 10, "dog": 7}),
        ("trail", CELLS, {"cat": 10, "dog": 7}),
        ("soft", {**CELLS, "soft": True}, {"cat": 12, "dog": 10}),
        ("counts", {**CELLS, "counts": "positive"}, {"cat": 15, "dog": 13}),
        ("counts", {**CELLS, "votes": 3}, {"cat": 10, "dog": 6}),
        ("case", {}, {"Cat": 10, "cat": 10}),
        ("none", {}, {"cat": 5}),
        ("spaces", {}, {"cat": 10, "dog": 20}),
        ("utf16", {}, {"cat": 20}),
        ("win", {}, {"cat": 20}),
        ("latin1", {"encoding": "latin-1", "separator": ","}, {"hélice": 10, "perro": 20}),
    ],
)
def test_cells(shared: Path, name: str, options: dict[str, Any], expected: dict[str, int]) -> None:
    table = cells(shared, name, **options)
    assert len(table) == 20 and counts(table) == expected
    assert table.image_path(0).is_file()


def test_values_are_soft_targets(shared: Path) -> None:
    table = cells(shared, "soft", soft=True, **CELLS)
    soft = table.soft_targets([1, 2, 3]).round(3).tolist()
    assert [[round(x, 3) for x in row] for row in soft] == [[0.25, 0.333], [0.5, 0.667], [0.75, 1]]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("soft", CELLS, r"soft\.csv, line 3, column 'cat': '0\.25' .* set soft: true"),
        ("counts", CELLS, r"counts\.csv, line 4, column 'cat': '2' .* set counts: positive"),
        ("latin1", {}, r"latin1\.csv, line 3 is not UTF-8; .*'1\.png;hélice, perro'.* encoding: "),
        ("latin1", {"encoding": "latin-1"}, r"latin1\.csv, line 3: .* set separator: \",\""),
    ],
)
def test_cells_whose_meaning_is_not_certain(
    shared: Path, name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        cells(shared, name, **options)


def test_names_that_differ_by_case_are_noted(shared: Path) -> None:
    assert cells(shared, "case").notes == ("are the classes 'Cat' and 'cat' one class?",)
