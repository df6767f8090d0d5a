"""The small COCO-like inputs of ../shared/cases, read as their users would write it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from mlt.data.labels import LabelTable
from mlt.data.run_data import Data, load_data
from mlt.data.settings import DataConfig
from mlt.errors import DataError


@pytest.fixture(scope="module")
def cases(shared: Path) -> Path:
    """The folder of the cases."""
    if not (shared / "cases").is_dir():
        pytest.skip(f"needs real photographs, and {shared / 'cases'} is absent")
    return shared / "cases"


def load(root: Path, **values: Any) -> Data:
    values |= {"name": "coco", "root": str(root)}
    return load_data(TypeAdapter(DataConfig).validate_python(values))


def present_absent_unknown(table: LabelTable) -> list[int]:
    known = table.known_mask(range(len(table)))
    labels = int(table.targets(range(len(table))).sum())
    return [labels, int(known.sum()) - labels, int((~known).sum())]


def part(file: str, images: str) -> dict[str, str]:
    return {"annotations": file, "images": images}


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("lvis_v1_train.json", "lvis_v1_val.json"),
        (part("lvis_v1_train.json", "train2017"), part("lvis_v1_val.json", "val2017")),
        (part("lvis_v1_train.json", "."), part("lvis_v1_val.json", ".")),
        ("fn_train.json", "fn_val.json"),
        (part("fn_train.json", "train2017"), part("fn_val.json", "val2017")),
    ],
)
def test_lvis(cases: Path, train: Any, test: Any) -> None:
    data = load(cases / "09-lvis", train=train, test=test)
    assert [len(data.train), data.train.num_classes, len(data.test)] == [20, 4, 10]
    assert present_absent_unknown(data.train) == [26, 20, 34]
    assert present_absent_unknown(data.test) == [16, 10, 14]


def test_roboflow(cases: Path) -> None:
    file = "{}/_annotations.coco.json"
    data = load(cases / "17-roboflow-dup", train=file.format("train"), test=file.format("test"))
    assert data.train.class_names == data.test.class_names == ("fish", "jellyfish")
    assert data.train.class_counts().counts.tolist() == [5, 5]
    assert data.train.known is None


NAMES = ("CLASS_A", "CLASS_B", "CLASS_C", "CLASS_D")


@pytest.mark.parametrize(
    ("file", "counts", "absent"),
    [("isat", [3, 3, 3, 3], 36), ("listorder", [3, 3, 3, 3], 36), ("lacks", [4, 0, 4, 4], 24)],
)
def test_order_of_categories(cases: Path, file: str, counts: list[int], absent: int) -> None:
    folder, train = cases / "18-coco-order", part("train.json", "im")
    data = load(folder, train=train, test=part(f"{file}.json", "im2"))
    assert data.train.class_names == data.test.class_names == NAMES
    assert data.test.class_counts().counts.tolist() == counts
    assert present_absent_unknown(data.test) == [12, absent, 36 - absent]
    assert data.notes == (
        ("test: 1 class is not in the data, so nothing is known: 'CLASS_B'",)
        if file == "lacks"
        else ()
    )
    names = ["CLASS_D", "CLASS_A"]
    data = load(folder, train=train, test=part(f"{file}.json", "im2"), class_names=names)
    assert list(data.train.class_names) == list(data.test.class_names) == names
    assert data.test.class_counts().counts.tolist() == [counts[3], counts[0]]


def test_without_categories(cases: Path) -> None:
    with pytest.raises(DataError, match=r"nocat\.json has no categories.* export it with"):
        load(
            cases / "18-coco-order", train=part("train.json", "im"), test=part("nocat.json", "im2")
        )
