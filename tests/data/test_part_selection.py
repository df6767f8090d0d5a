"""Parts of one table, by lists of names or by a column; several tables as one part."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pydantic import TypeAdapter, ValidationError

from mlt.data import LabelTable
from mlt.data.columns import StringColumn
from mlt.data.run_data import Data, load_data
from mlt.data.settings import DataConfig
from mlt.data.splits.selection import rows_listed
from mlt.errors import DataError, MissingFileError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Six images in two folders, and a table of them all."""
    for n in range(6):
        folder = tmp_path / f"images_{n % 2}"
        folder.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8), (40 * n, 0, 0)).save(folder / f"{n}.png")
    write(
        tmp_path / "all.csv",
        "path,labels,split,fold,patient",
        "0.png,cat,train,0,p",
        "1.png,cat|dog,train,1,p",
        "2.png,none of them,Val,2,q",
        "3.png,ox,test,3,r",
        "4.png,dog,test,0,s",
        "5.png,cat,train,1,t",
    )
    write(tmp_path / "test.txt", "3", "images_0/4.png")
    write(tmp_path / "val.txt", "2.png")
    return tmp_path


def write(file: Path, *lines: str) -> None:
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def load(root: Path, **values: Any) -> Data:
    """The data of a section with the table of all images."""
    section = {
        "name": "csv",
        "root": str(root),
        "train": "all.csv",
        "images": ["images_0", "images_1"],
        "negatives": ["none of them"],
        **values,
    }
    return load_data(TypeAdapter(DataConfig).validate_json(json.dumps(section), strict=True))


def parts(data: Data) -> dict[str, list[str]]:
    """The ids of each part."""
    tables = {"train": data.train, "validation": data.validation, "test": data.test}
    return {name: list(table.image_ids) for name, table in tables.items() if table is not None}


def test_lists_choose_parts_of_one_table(root: Path) -> None:
    write(root / "train.txt", "5.png", "0", "images_1/1.png", "9.png")
    data = load(root, train_list="train.txt", test_list="test.txt")
    assert parts(data) == {"train": ["0.png", "1.png", "5.png"], "test": ["3.png", "4.png"]}
    # The classes are those of the whole table; ox has no training image.
    assert data.train.class_names == data.test.class_names == ("cat", "dog", "ox")
    assert data.test.known is None
    assert data.train.paths is not None
    assert list(data.train.paths) == ["images_0/0.png", "images_1/1.png", "images_1/5.png"]
    assert "training: 1 of the 4 names in train.txt are not in the table: '9.png'" in data.notes


def test_folders_count_as_far_as_list_and_table_have_them(tmp_path: Path) -> None:
    paths = ["set/train/p1/view1.jpg", "set/train/p2/view1.jpg", "set/test/p1/view1.jpg"]
    table = LabelTable.from_lists(paths, paths, ["cat"], [[], [], []])

    def rows(*names: str) -> list[int]:
        found, _ = rows_listed(table, StringColumn.from_iterable(names), Path("list.txt"))
        return found.tolist()

    assert rows("train/p2/view1.jpg", "test/p1/view1") == [1, 2]
    assert rows("set\\train\\p1\\view1.jpg") == [0]
    assert rows("p2/view1.jpg") == [1]
    with pytest.raises(DataError, match=r"'p1/view1\.jpg' may be several images"):
        rows("p1/view1.jpg")
    with pytest.raises(DataError, match="none of its 1 names is in the table"):
        rows("train/p3/view1.jpg")


def test_training_takes_what_other_lists_leave(root: Path) -> None:
    data = load(root, validation_list="val.txt", test_list="test.txt")
    expected = {
        "train": ["0.png", "1.png", "5.png"],
        "validation": ["2.png"],
        "test": ["3.png", "4.png"],
    }
    assert parts(data) == expected


def test_a_list_chooses_from_a_table_of_its_own(root: Path) -> None:
    write(root / "test.csv", "path,labels", "3.png,cat", "4.png,dog", "2.png,cat")
    write(root / "train.txt", "0", "1")
    data = load(root, test="test.csv", test_list="test.txt", train_list="train.txt")
    assert parts(data) == {"train": ["0.png", "1.png"], "test": ["3.png", "4.png"]}
    # Lists of another table leave the training table as it is.
    assert len(load(root, test="test.csv", test_list="test.txt").train) == 6


def test_lists_that_do_not_fit(root: Path) -> None:
    write(root / "none.txt", "a.png", "b.png")
    with pytest.raises(DataError, match=r"none\.txt: none of its 2 names is in the table, first"):
        load(root, test_list="none.txt")
    write(root / "none.txt", "", " ")
    with pytest.raises(DataError, match=r"none\.txt is empty; expected the name of an image"):
        load(root, test_list="none.txt")
    with pytest.raises(MissingFileError, match=r"no list of images .*absent\.txt"):
        load(root, test_list="absent.txt")
    write(root / "all.csv", "path,labels", "a/1.png,cat", "b/1.png,dog")
    write(root / "none.txt", "1.png")
    with pytest.raises(DataError, match=r"'1\.png' may be several images"):
        load(root, test_list="none.txt")


def test_a_column_of_parts(root: Path) -> None:
    data = load(root, split_column="split", group="patient")
    expected = {
        "train": ["0.png", "1.png", "5.png"],
        "validation": ["2.png"],
        "test": ["3.png", "4.png"],
    }
    assert parts(data) == expected
    assert data.train.groups is not None and list(data.train.groups) == ["p", "p", "t"]


def test_a_column_of_folds(root: Path) -> None:
    data = load(root, split_column="fold", split_values={"test": [0], "validation": [2, 3]})
    expected = {
        "train": ["1.png", "5.png"],
        "validation": ["2.png", "3.png"],
        "test": ["0.png", "4.png"],
    }
    assert parts(data) == expected
    only = load(root, split_column="fold", split_values={"test": [0], "train": [1]})
    assert parts(only) == {"train": ["1.png", "5.png"], "test": ["0.png", "4.png"]}
    assert "training: 2 images are in no part, with '2', '3' in column 'fold'" in only.notes


def test_a_column_without_validation_images(root: Path) -> None:
    file = root / "all.csv"
    file.write_text(file.read_text().replace("Val", "extra"))
    data = load(root, split_column="split")
    assert data.validation is None
    assert "training: 1 image is in no part, with 'extra' in column 'split'" in data.notes


def test_a_column_without_test_images(root: Path) -> None:
    file = root / "all.csv"
    file.write_text(file.read_text().replace(",test,", ",tst2,"))
    message = r"no image is in the part test: the column 'split' holds 'Val', .* split_values: "
    with pytest.raises(DataError, match=message):
        load(root, split_column="split")
    with pytest.raises(DataError, match=r"no column 'splits'.*did you mean 'split'"):
        load(root, split_column="splits")


def test_values_of_a_part_that_fit_no_cell(root: Path) -> None:
    message = r"no image is in the part validation: the column 'split' holds 'Val', .* split_values"
    with pytest.raises(DataError, match=message):
        load(root, split_column="split", split_values={"test": ["test"], "validation": ["val"]})
    # Some that fit are enough; the others are named.
    values = {"test": ["test", "tset"], "validation": ["Val"]}
    data = load(root, split_column="split", split_values=values)
    assert parts(data)["train"] == ["0.png", "1.png", "5.png"]
    assert (
        "training: split_values name 'tset', which the column 'split' does not hold" in data.notes
    )


def test_several_tables_are_one_part(root: Path) -> None:
    write(root / "more.csv", "path,labels", "4.png,bee")
    write(root / "test.csv", "path,labels", "2.png,cat", "3.png,bee")
    write(root / "some.csv", "path,labels", "0.png,cat", "1.png,dog")
    data = load(root, train=["some.csv", "more.csv"], test="test.csv")
    assert parts(data) == {"train": ["0.png", "1.png", "4.png"], "test": ["2.png", "3.png"]}
    assert data.test.targets([0, 1]).tolist() == [[0, 1, 0], [1, 0, 0]]
    with pytest.raises(MissingFileError, match=r"data\.train: there is no table .*absent\.csv"):
        load(root, train=["some.csv", "absent.csv"], test="test.csv")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "test is missing"),
        (
            {"split_column": "split", "test_list": "test.txt"},
            "give split_column or test_list, not",
        ),
        ({"test": "all.csv", "split_values": {"test": [1]}}, "split_values need split_column"),
        ({"test": "all.csv", "train": []}, "at least 1 item"),
        ({"test": "all.csv", "images": []}, "at least 1 item"),
        ({"test": "all.csv", "class_names": []}, r"needs one name at least, .* not \[\]"),
        ({"test": "all.csv", "class_names": ["", "cat"]}, r"none that is empty, not \['', 'cat'\]"),
        (
            {"test": "all.csv", "class_names": ["none of them", "cat"]},
            "'none of them' is in class_names and in negatives",
        ),
    ],
)
def test_what_contradicts_itself(root: Path, values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        load(root, **values)


def test_a_class_that_the_test_table_lacks_or_misspells(root: Path) -> None:
    columns: dict[str, Any] = {"labels_column": None, "negatives": [], "train": "train.csv"}
    write(root / "train.csv", "path,cat,dog", "0.png,1,0", "1.png,0,1")
    write(root / "test.csv", "path,cat,dogs", "2.png,1,0", "3.png,0,1")
    data = load(root, test="test.csv", **columns)
    assert data.test.known_mask([0]).tolist() == [[True, False]]
    assert "test: there is no column 'dog'; is it 'dogs'?" in data.notes
    assert any("1 class is not in the data, so nothing is known: 'dog'" in n for n in data.notes)
    write(root / "test.csv", "path,bee", "2.png,1")
    with pytest.raises(DataError, match="no column 'cat'"):
        load(root, test="test.csv", **columns)
    # A class that the configuration names must be there for training.
    with pytest.raises(DataError, match=r"train\.csv has no column 'dgo'.*did you mean 'dog'"):
        load(root, test="test.csv", class_names=["cat", "dgo"], **columns)


def test_extensions_and_backslashes(root: Path) -> None:
    write(root / "train.csv", "path,labels", "0,cat", "images_0\\2,dog")
    write(root / "test.csv", "path,labels", "images_1\\3.png,cat")
    data = load(root, train="train.csv", test="test.csv", images=".", extension=".png")
    assert data.train.paths is not None and data.test.paths is not None
    assert list(data.train.paths) == ["images_0/0.png", "images_0/2.png"]
    assert list(data.test.paths) == ["images_1/3.png"]


def test_lines_of_an_image_in_two_parts(root: Path) -> None:
    write(
        root / "all.csv", "path,labels,split", "0.png,cat,train", "1.png,cat,test", "0.png,ox,test"
    )
    message = r"image '0\.png' has two values in column 'split', 'train' and 'test', in lines 2, 4"
    with pytest.raises(DataError, match=message):
        load(root, layout="long", negatives=[], split_column="split")
