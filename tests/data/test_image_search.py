"""Names of images to their files: extensions, folders, patterns, and what is ambiguous."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlt.data import LabelTable
from mlt.data.columns import StringColumn
from mlt.data.image_files import absent_rows
from mlt.data.image_search import find_images
from mlt.data.same_files import count_shared
from mlt.errors import ConfigError, DataError


def write(root: Path, *files: str) -> Path:
    """Files whose content is their last part."""
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name)
    return root


def find(root: Path, names: list[str], *folders: str, pattern: str | None = None) -> list[str]:
    return find_images(StringColumn.from_iterable(names), root, folders or (".",), pattern).tolist()


@pytest.mark.parametrize(
    ("files", "folders", "name", "found"),
    [
        (["a.jpg"], ["."], "a.jpg", "a.jpg"),
        (["a.jpg"], ["."], "a", "a.jpg"),
        (["a.jpg"], [""], "a.jpg", "a.jpg"),
        (["a.jpg"], [""], "b.jpg", "b.jpg"),
        (["a.JPG"], ["."], "a", "a.JPG"),
        (["a.jpeg"], ["."], "a", "a.jpeg"),
        (["1.2.840.10.png"], ["."], "1.2.840.10", "1.2.840.10.png"),  # a DICOM identifier
        (["a.txt", "a.json"], ["."], "a", "a"),  # no images
        (["a"], ["."], "a", "a"),
        (["a/b.jpg", "a.jpg"], ["."], "a", "a.jpg"),  # a folder is no image
        (["x/a.jpg"], ["x"], "a", "x/a.jpg"),
        (["x/a.jpg"], ["x/"], "a.jpg", "x/a.jpg"),
        (["x/a.jpg", "y/b.jpg"], ["x", "y"], "b", "y/b.jpg"),
        (["x/a.jpg", "y/a.jpg"], ["y", "x"], "a", "y/a.jpg"),  # the same file twice: in order
        (["x/p/a.jpg"], ["x"], "p/a", "x/p/a.jpg"),
        (["x/p/a.jpg"], ["x"], r"p\a.jpg", "x/p/a.jpg"),
        (["i1/images/a.png", "i2/images/b.png"], ["i*/images"], "b.png", "i2/images/b.png"),
        (["i1/images/a.png", "i2/images/b.png"], ["."], "b.png", "i2/images/b.png"),
        (["i/1/a.png", "i/2/b.png", "i/x.csv"], ["i"], "b", "i/2/b.png"),
        (["i/1/a.png", "i/c.png"], ["i"], "a.png", "i/a.png"),  # i has images itself
        (["i/.trash/a.png"], ["i"], "a.png", "i/a.png"),
        (["x/a.jpg"], ["x"], "/home/me/photos/a.jpg", "x/a.jpg"),
        (["x/a.jpg"], ["x"], r"C:\Users\me\a.jpg", "x/a.jpg"),
        (["x/a.jpg"], ["x"], "D:/me/b.jpg", "x/b.jpg"),
        (["x/[a].jpg"], ["x"], "[a]", "x/[a].jpg"),
        (["x[1]/a.jpg"], ["x[1]"], "a", "x[1]/a.jpg"),
        ([], ["no", "where"], "a", "no/a"),
        ([], ["no*"], "a", "no*/a"),
    ],
)  # fmt: skip
def test_where_a_name_is(
    tmp_path: Path, files: list[str], folders: list[str], name: str, found: str
) -> None:
    write(tmp_path, *files)
    assert find(tmp_path, [name, name], *folders) == [found, found]


@pytest.mark.parametrize(
    ("pattern", "name", "found"),
    [
        ("{id}.jpg", "a", "x/a.jpg"),
        (".jpg", "a", "x/a.jpg"),
        (".jpg", "a.jpg", "x/a.jpg"),
        (".png", "a", "x/a.png"),
        ("{id}/{id}_rgb.png", "a", "x/a/a_rgb.png"),
        ("img_{id}.tif", "7", "x/img_7.tif"),
        (".jpg", "b", "x/b.jpg"),  # not there: b.png is not looked for
    ],
)
def test_patterns(tmp_path: Path, pattern: str, name: str, found: str) -> None:
    write(tmp_path, "x/a.jpg", "x/a.png", "x/a/a_rgb.png", "x/img_7.tif", "x/b.png")
    assert find(tmp_path, [name], "x", pattern=pattern) == [found]


def test_a_pattern_must_say_where_the_name_is(tmp_path: Path) -> None:
    for pattern in ("jpg", "images/", "./x.jpg"):
        with pytest.raises(ConfigError, match=r"must contain \{id\}"):
            find(tmp_path, ["a"], pattern=pattern)


def test_one_name_of_two_pictures_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "x/a.jpg", "x/b.jpg", "y/a.jpg", "y/b.png", "z/a.jpg")
    (tmp_path / "y" / "a.jpg").write_text("A.jpg")  # of the same size
    assert find(tmp_path, ["a"], "x", "z") == ["x/a.jpg"]
    for folders, name in ((["x", "y"], "a.jpg"), (["x", "y"], "a"), (["."], "a.jpg")):
        with pytest.raises(DataError, match=r"'a(\.jpg)?' may be .*a\.jpg or .*a\.jpg, which are"):
            find(tmp_path, [name], *folders)
    with pytest.raises(DataError, match=r"'b' may be .*b\.jpg or .*b\.png"):
        find(tmp_path, ["b"], "x", "y")
    assert find(tmp_path, ["b.png", "x/a"], "x", "y") == ["y/b.png", "x/x/a"]


def test_absolute_names_and_folders(tmp_path: Path) -> None:
    write(tmp_path, "x/a.jpg", "root/b.jpg")
    outside = str(tmp_path / "x")
    assert find(tmp_path / "root", [f"{outside}/a.jpg"]) == [f"{outside}/a.jpg"]
    assert find(tmp_path / "root", ["b", "a"], ".", outside) == ["b.jpg", f"{outside}/a.jpg"]


def test_a_folder_that_is_a_link_is_searched(tmp_path: Path) -> None:
    write(tmp_path, "disk/p/a.png")
    (tmp_path / "images").symlink_to(tmp_path / "disk")
    (tmp_path / "images" / "p" / "loop").symlink_to(tmp_path / "disk")
    assert find(tmp_path, ["a"], "images") == ["images/p/a.png"]
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "images_1").symlink_to(tmp_path / "disk" / "p")
    assert find(tmp_path, ["a"], "data") == ["data/images_1/a.png"]


def test_no_names(tmp_path: Path) -> None:
    assert find(tmp_path, []) == []


def test_a_file_whose_name_is_not_unicode_is_no_ones(tmp_path: Path) -> None:
    write(tmp_path, "x/y/a.jpg", "b.csv")
    for folder in (".", "x", "x/y"):
        (tmp_path / folder / os.fsdecode(b"caf\xe9.jpg")).touch()
    assert find(tmp_path, ["a", "é"], "x/y") == ["x/y/a.jpg", "x/y/é"]
    for folder in (".", "x"):
        (tmp_path / folder / os.fsdecode(b"caf\xe9.jpg")).unlink()
    assert find(tmp_path, ["a"], ".") == ["x/y/a.jpg"]
    table = LabelTable.from_lists([1], ["x/y/a.jpg"], ["cat"], [[]], tmp_path)
    assert not len(absent_rows(table)) and count_shared(table, table) == 1
