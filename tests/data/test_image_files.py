"""Absent image files, and files that two tables share, in every spelling."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlt.data import LabelTable
from mlt.data.image_files import check_images, count_shared
from mlt.errors import MissingFileError


def table(root: Path, *paths: str) -> LabelTable:
    return LabelTable.from_lists(range(len(paths)), paths, ["any"], [[]] * len(paths), root)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three files in three folders."""
    for name in ("a.jpg", "sub/b.jpg", "sub/deep/ü.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_files_that_are_there(root: Path) -> None:
    check_images(table(root, "a.jpg", "./sub/b.jpg", "sub//deep/ü.jpg", "sub/../a.jpg"), "test")
    check_images(table(root / "elsewhere", str(root / "a.jpg")), "test")
    check_images(table(root), "test")


@pytest.mark.parametrize("path", ["b.jpg", "sub/a.jpg", "none/a.jpg", "A.jpg", "a.jpg/x", "sub/"])
def test_an_absent_file_is_named(root: Path, path: str) -> None:
    with pytest.raises(MissingFileError) as caught:
        check_images(table(root, "a.jpg", path, "c.jpg"), "test")
    assert f"2 of 3 test images are listed in the annotations but absent from {root}" in str(
        caught.value
    )
    assert str(caught.value).endswith(f"first {root / path}")


@pytest.mark.parametrize(
    ("root_a", "a", "root_b", "b", "shared"),
    [
        ("r", ["a", "b", "c"], "r", ["c", "d", "a"], 2),
        ("r", ["a"], "s", ["a"], 0),
        ("r", ["x/a", "b"], "r/x", ["a", "b"], 1),
        ("r", ["a", "x/b"], "r", ["./a", "x//b", "x/./b"], 3),  # as Path spells them
        ("r", ["./a", "b"], "r", ["a"], 1),
        ("r", ["x/a"], "/", ["a"], 0),
        ("r", ["/x/a"], "/x", ["./a"], 1),
        ("r", [], "r", ["a"], 0),
    ],
)
def test_shared_files(root_a: str, a: list[str], root_b: str, b: list[str], shared: int) -> None:
    first, second = table(Path(root_a), *a), table(Path(root_b), *b)
    assert count_shared(first, second) == shared
    files = {first.image_path(row) for row in range(len(first))}
    assert sum(second.image_path(row) in files for row in range(len(second))) == shared
