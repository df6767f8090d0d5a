"""One image file under several names: within a table and in two."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from mlt.data import LabelTable
from mlt.data.run_data import load_data
from mlt.data.same_files import count_shared, one_row_per_file
from mlt.data.settings import DataConfig
from mlt.errors import DataError


def table(root: Path, *paths: str) -> LabelTable:
    return LabelTable.from_lists(range(len(paths)), paths, ["any"], [[]] * len(paths), root)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three files, two of them under other names too."""
    for name in ("a.jpg", "x/b.jpg", "x/y/c.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "link.jpg").symlink_to("x/b.jpg")
    (tmp_path / "z").symlink_to("x/y")
    os.link(tmp_path / "x/y/c.jpg", tmp_path / "hard.jpg")
    return tmp_path


NAMES = [
    ("a.jpg", ["./a.jpg", "x/../a.jpg", ".//a.jpg", "z/../../a.jpg"]),
    ("x/b.jpg", ["link.jpg", "./link.jpg", "x/y/../b.jpg", "z/../b.jpg"]),
    ("x/y/c.jpg", ["z/c.jpg", "hard.jpg", "./z/c.jpg"]),
]
SPELLINGS = [(path, other) for path, others in NAMES for other in others]


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


@pytest.mark.parametrize(("path", "other"), SPELLINGS)
def test_names_of_one_file(root: Path, path: str, other: str) -> None:
    others = [p for p, _ in NAMES if p != path]
    assert count_shared(table(root, path), table(root, other)) == 1
    assert count_shared(table(root, other), table(root, *others, path)) == 1
    assert count_shared(table(root, other), table(root, *others)) == 0
    assert count_shared(table(root, other), table(root.parent, f"{root.name}/{path}")) == 1
    assert count_shared(table(root, other), table(Path("/"), str(root / path))) == 1
    once = one_row_per_file(table(root, *others, path, other))
    assert list(once.paths or ()) == [*others, path]
    assert once.notes == (
        f"1 image is left out, the file being listed already: {other!r} is {path!r}",
    )


def test_all_names_at_once(root: Path) -> None:
    names = [name for path, others in NAMES for name in (path, *others)]
    once = one_row_per_file(table(root, *names))
    assert list(once.paths or ()) == [path for path, _ in NAMES]
    assert once.notes == (
        "11 images are left out, the file being listed already: './a.jpg' is 'a.jpg', "
        "'x/../a.jpg' is 'a.jpg', ...",
    )
    assert one_row_per_file(once) is once
    assert count_shared(once, table(root, *names)) == len(names)


def test_files_that_are_not_the_same(root: Path) -> None:
    (root / "x/a.jpg").touch()  # the same name and content
    different = table(root, "a.jpg", "x/a.jpg", "none/a.jpg", "none/../none2/a.jpg", "b.jpg")
    assert one_row_per_file(different) is different


@pytest.mark.parametrize("labels", [[[0], [1]], [[0], [0, 1]], [[], [0]]])
def test_other_labels_of_the_same_file_are_refused(root: Path, labels: list[list[int]]) -> None:
    paths = ["a.jpg", "./a.jpg"]
    twice = LabelTable.from_lists([1, 2], paths, ["cat", "dog"], labels, root)
    with pytest.raises(DataError, match=r"1 image files .* labels .*: '\./a\.jpg' .* as 'a\.jpg'"):
        one_row_per_file(twice)
    known = LabelTable.from_lists([1, 2], paths, ["cat"], [[0]] * 2, root, [[0], [0]])
    assert len(one_row_per_file(known)) == 1
    known = LabelTable.from_lists([1, 2], paths, ["cat"], [[]] * 2, root, [[0], []])
    with pytest.raises(DataError, match="listed twice"):
        one_row_per_file(known)


def test_one_inode_for_all_files_is_no_sign(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Entry:
        def __init__(self, entry: os.DirEntry[str]) -> None:
            self.name, self.is_symlink = entry.name, entry.is_symlink

        def inode(self) -> int:
            return 2**64 - 1

    class Entries:
        def __init__(self, folder: str) -> None:
            self.entries = [Entry(entry) for entry in listing(folder)]

        def __enter__(self) -> list[Entry]:
            return self.entries

        def __exit__(self, *error: object) -> None: ...

    listing = os.scandir
    monkeypatch.setattr(os, "scandir", Entries)
    assert count_shared(table(root, "a.jpg"), table(root, "x/b.jpg", "x/y/c.jpg")) == 0
    assert len(one_row_per_file(table(root, "a.jpg", "x/b.jpg", "x/y/c.jpg", "hard.jpg"))) == 4


def test_a_data_set_without_files(root: Path) -> None:
    one = LabelTable.from_lists([1, 2], ["a.jpg", "b.jpg"], ["cat"], [[], []], root)
    object.__setattr__(one, "paths", None)
    assert one_row_per_file(one) is one and count_shared(one, one) == 0


def test_a_table_with_a_file_under_two_names(root: Path) -> None:
    (root / "train.csv").write_text("path,labels\na.jpg,cat\nx/b.jpg,dog\nlink.jpg,dog\n")
    (root / "test.csv").write_text("path,labels\nx/y/c.jpg,cat\n./a.jpg,cat\n")
    values = {"name": "csv", "root": str(root), "train": "train.csv", "test": "test.csv"}
    config = TypeAdapter(DataConfig).validate_python(values)
    data = load_data(config)
    assert list(data.train.paths or ()) == ["a.jpg", "x/b.jpg"]
    assert [note for note in data.notes if "image" in note] == [
        "training: 1 image is left out, the file being listed already: 'link.jpg' is 'x/b.jpg'",
        "warning: 1 of 2 test images are training images too; results on them look better than "
        "they are",
    ]
    (root / "train.csv").write_text("path,labels\nx/b.jpg,dog\nlink.jpg,cat\n")
    with pytest.raises(DataError, match=r"listed twice .*: 'link\.jpg' is the same file as 'x/b"):
        load_data(config)
