"""A folder per class, with pictures that are in several of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pydantic import TypeAdapter

from mlt.data import LabelTable
from mlt.data.image_files import absent_rows
from mlt.data.row_images import row_image
from mlt.data.settings import DataConfig
from mlt.errors import DataError, MissingFileError


def write(root: Path, **files: int) -> None:
    """Images by their path, with the dot of the suffix left out; of these greys."""
    for name, grey in files.items():
        path = root / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (6, 4), grey).save(path)


def read(root: Path, part: str = "train", **settings: Any) -> LabelTable:
    values = {"name": "image_folder", "root": str(root), **settings}
    source = TypeAdapter(DataConfig).validate_python(values).source()
    return source.train() if part == "train" else source.test(source.train().class_names)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    train = {"dog/1": 1, "dog/2": 2, "cat/1": 3, "cat/deep/5": 2, "ox/3": 2, "ox/9": 9, "ox/8": 9}
    write(tmp_path / "train", **train)
    write(tmp_path / "test", **{"dog/1": 11, "cat/2": 12, "emu/3": 13})
    return tmp_path


def labels(table: LabelTable) -> dict[str, set[str]]:
    names = [
        {table.class_names[c] for c in table.labels[[row]].indices} for row in range(len(table))
    ]
    return dict(zip(table.image_ids.tolist(), names))


def test_pictures_with_the_same_content_are_one_image(root: Path) -> None:
    table = read(root)
    assert table.class_names == ("cat", "dog", "ox")
    assert labels(table) == {
        "cat/1.png": {"cat"},
        "cat/deep/5.png": {"cat", "dog", "ox"},
        "dog/1.png": {"dog"},
        "ox/8.png": {"ox"},  # the same content in one class only: two images, as in training
        "ox/9.png": {"ox"},
    }
    assert table.known is None
    assert table.notes == (
        "1 image is in the folders of several classes and counted once, with all their labels "
        "(data.same_image: content)",
    )
    assert row_image(table, 0).getpixel((0, 0)) == (3, 3, 3)


def test_pictures_with_the_same_name_can_be_one_image(root: Path) -> None:
    table = read(root, same_image="name")
    assert labels(table)["cat/1.png"] == {"cat", "dog"}
    assert len(table) == 6
    assert len(read(root, same_image="never")) == 7


def test_links_between_folders_are_several_labels(tmp_path: Path) -> None:
    write(tmp_path / "train", **{"cat/1": 1, "dog/2": 2})
    (tmp_path / "train" / "dog" / "1.png").symlink_to(tmp_path / "train" / "cat" / "1.png")
    (tmp_path / "train" / "dog" / "again").symlink_to(tmp_path / "train" / "dog")  # a circle
    assert labels(read(tmp_path)) == {"cat/1.png": {"cat", "dog"}, "dog/2.png": {"dog"}}


def test_links_that_lead_nowhere_are_absent(root: Path) -> None:
    (root / "train" / "dog" / "5.png").symlink_to("/absent/5.png")
    (root / "train" / "dog" / "6.png").symlink_to("/absent/6.png")
    table = read(root)
    assert sum(path in ("dog/5.png", "dog/6.png") for path in table.paths) == 2
    assert [table.paths[row] for row in absent_rows(table)] == ["dog/5.png", "dog/6.png"]


def test_the_test_folder_has_the_classes_of_training(root: Path) -> None:
    table = read(root, "test")
    assert table.class_names == ("cat", "dog", "ox")
    assert labels(table) == {"cat/2.png": {"cat"}, "dog/1.png": {"dog"}, "emu/3.png": set()}
    assert table.known is None
    assert "'emu' (1 label" in table.notes[0]
    chosen = read(root, class_names=["ox", "dog"])
    assert chosen.class_names == ("ox", "dog")
    assert "'cat' (2 labels" in chosen.notes[-1]


def test_what_is_no_image_is_left_out_and_counted(root: Path) -> None:
    (root / "train" / "cat" / "notes.txt").touch()
    (root / "train" / "cat" / ".DS_Store").touch()
    write(root / "train", loose=4)
    (root / "train" / "empty").mkdir()
    table = read(root)
    assert "empty" in table.class_names and len(table) == 5
    assert table.notes[1:] == (
        "files in the class folders that are not images, by their names, left out: 1",
        "images in no class folder, left out: 1",
    )


def test_absent_and_empty_folders(root: Path) -> None:
    with pytest.raises(MissingFileError, match=r"data.train: there is no folder .*training"):
        read(root, train="training")
    (root / "none").mkdir()
    with pytest.raises(DataError, match=r"data.train: .*none has no folder; expected a folder of"):
        read(root, train="none")


def test_a_single_folder_of_class_folders(tmp_path: Path) -> None:
    write(tmp_path, **{f"{'cat' if row % 2 else 'ox'}/{row}": row for row in range(40)})
    values = {
        "name": "image_folder",
        "root": str(tmp_path),
        "train": ".",
        "test": {"fraction": 0.2},
    }
    source = TypeAdapter(DataConfig).validate_python(values).source()
    train, test = source.train(), source.test()
    assert (len(train), len(test)) == (32, 8)
    assert test.targets(range(8)).sum(0).tolist() == [4, 4]
