"""Folders and last parts of paths: as Python's ``rpartition`` has them, without Python strings."""

from __future__ import annotations

import random
from pathlib import Path
from typing import NoReturn

import pyarrow as pa
import pytest

from mlt.data import LabelTable
from mlt.data.columns import StringColumn
from mlt.data.formats.group_cells import path_note
from mlt.data.image_files import absent_rows
from mlt.data.image_search import find_images, searched_folders
from mlt.data.path_parts import folders_of, joined, last_parts
from mlt.data.same_files import one_row_per_file
from mlt.data.splits.build import full_split


def check(paths: pa.Array) -> None:
    expected = [path.rpartition("/") for path in paths.to_pylist()]
    folders, last = folders_of(paths), last_parts(paths)
    assert folders.to_pylist() == [folder + slash for folder, slash, _ in expected]
    assert folders.dictionary.to_pylist() == list(dict.fromkeys(folders.to_pylist()))
    assert last.to_pylist() == [name for _, _, name in expected]
    assert joined(folders.cast(pa.large_string()), last).equals(paths.cast(pa.large_string()))


@pytest.mark.parametrize("count", [0, 1, 7, 200, 70_000])
@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_parts_are_those_of_rpartition(count: int, kind: pa.DataType) -> None:
    rng = random.Random(count)
    pieces = ["a", "/", "/", "", "ü", "\n", "1.jpg", "…", ".."]
    paths = ["".join(rng.choices(pieces, k=rng.randrange(7))) for _ in range(count)]
    check(pa.array(paths, kind))
    check(pa.array(paths, kind)[count // 3 :])  # its offsets do not begin at 0


@pytest.mark.parametrize("paths", [["", ""], ["/"], ["a", "b/c"], ["a/b/", "a/b"], ["x//y", "/x"]])
def test_parts_of_odd_paths(paths: list[str]) -> None:
    check(pa.array(paths))


def test_a_link_in_a_folder_with_a_line_feed_in_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "x\ny"
    folder.mkdir()
    (folder / "a.jpg").touch()
    (folder / "link.jpg").symlink_to("a.jpg")
    paths = ["x\ny/a.jpg", "x\ny/link.jpg"]
    table = LabelTable.from_lists([1, 2], paths, ["any"], [[], []], tmp_path)
    assert one_row_per_file(table).image_ids.tolist() == [1]


def test_files_are_found_without_a_python_string_per_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x").mkdir()
    names = [f"x/{i}.jpg" for i in range(5)]
    for name in names[:-1]:
        (tmp_path / name).touch()
    table = LabelTable.from_lists(names, names, ["any"], [[]] * 5, tmp_path)
    split = full_split(table)
    assert table.paths is not None

    def refuse(column: StringColumn) -> NoReturn:
        raise AssertionError("a column became Python strings")

    monkeypatch.setattr(StringColumn, "__iter__", refuse)
    monkeypatch.setattr(StringColumn, "tolist", refuse)
    assert absent_rows(table).tolist() == [4]
    found = find_images(table.paths, tmp_path)
    assert found == table.paths and searched_folders(found, tmp_path, ["."])
    assert one_row_per_file(table) is table
    assert split.apply(table) is table


def test_the_ids_of_a_table_are_not_made_a_column_again(monkeypatch: pytest.MonkeyPatch) -> None:
    table = LabelTable.from_lists(["b", "a"], ["b", "a"], ["any"], [[], []])

    def refuse(strings: object) -> NoReturn:
        raise AssertionError("a column was made of Python strings")

    monkeypatch.setattr(StringColumn, "from_iterable", refuse)
    split = full_split(table)
    assert split.image_ids == ("b", "a") and split.apply(table) is table


def test_paths_that_name_no_patient_are_searched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow.compute as pc

    searches = []
    search = pc.match_substring_regex
    monkeypatch.setattr(
        pc,
        "match_substring_regex",
        lambda strings, pattern: searches.append(pattern) or search(strings, pattern),
    )
    assert path_note(pa.array([f"train/{i}.jpg" for i in range(9)]), "PATTERN") == []
    assert len(searches) == 1


@pytest.mark.parametrize("name", ["patient_{}", "subject{}", "sub-{}", "p1234567{}", "case{}"])
def test_paths_half_of_which_name_patients(name: str) -> None:
    named = [f"{name.format(i // 2)}/{i}.jpg" for i in range(6)]
    others = [f"x/{i}.jpg" for i in range(6)]
    for paths in (named, named + others):
        (note,) = path_note(pa.array(paths), "PATTERN")
        assert f"the paths name {name.format(0)!r} and so on (6 images, 3 values)" in note
    assert path_note(pa.array([*named, *others, "y.jpg"]), "PATTERN") == []


def test_neither_of_two_names_is_on_half_of_the_paths() -> None:
    paths = [f"{name}{i // 2}/{i}.jpg" for name in ("patient", "case") for i in range(4)]
    assert path_note(pa.array([*paths, "x.jpg"]), "PATTERN") == []
