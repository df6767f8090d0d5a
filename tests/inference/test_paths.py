"""What users name as images: files, folders, patterns, tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlt.errors import DataError, MissingFileError
from mlt.inference import find_images


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.jpg", "a.PNG", "notes.txt", "sub/c.webp", ".hidden/d.jpg", "sub/.e.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_a_folder_is_searched_through_without_what_is_hidden(folder: Path) -> None:
    assert find_images([folder]) == [folder / "a.PNG", folder / "b.jpg", folder / "sub" / "c.webp"]


def test_a_hidden_folder_that_is_named_itself_is_searched(folder: Path) -> None:
    assert find_images([folder / ".hidden"]) == [folder / ".hidden" / "d.jpg"]


def test_patterns_files_and_repetitions(folder: Path) -> None:
    found = find_images([f"{folder}/**/*.webp", folder / "notes.txt", folder / "sub" / "c.webp"])
    assert found == [folder / "sub" / "c.webp", folder / "notes.txt"]
    assert find_images([f"{folder}/su*"]) == []  # a pattern's folders are not entered


def test_names_of_a_table_without_extension_and_in_another_folder(folder: Path) -> None:
    table = folder / "lists" / "ids.csv"
    table.parent.mkdir()
    table.write_text("path\nb\nsub/c\nabsent\n")
    assert find_images([table], images=folder) == [
        folder / "b.jpg", folder / "sub" / "c.webp", folder / "absent"
    ]  # fmt: skip
    with pytest.raises(MissingFileError, match=r"no folder .*nowhere"):
        find_images([table], images=folder / "nowhere")


def test_a_file_whose_name_looks_like_a_pattern(tmp_path: Path) -> None:
    (tmp_path / "[1].jpg").touch()
    assert find_images([tmp_path / "[1].jpg"]) == [tmp_path / "[1].jpg"]


def test_a_table_with_paths_from_its_own_folder(folder: Path) -> None:
    table = folder / "sub" / "list.csv"
    table.write_text('\ufeffpath,labels\n../b.jpg,cat\n"c.webp",\n,\nmissing.jpg,dog\n')
    assert find_images([table]) == [
        folder / "sub" / "../b.jpg",
        folder / "sub" / "c.webp",
        folder / "sub" / "missing.jpg",
    ]
    other = folder / "list.tsv"
    other.write_text("file\tlabels\nb.jpg\tcat\n")
    assert find_images([other], path_column="file") == [folder / "b.jpg"]
    with pytest.raises(DataError, match=r"no column 'path' \(it has: file, labels\)"):
        find_images([other])
    quoted = folder / "quoted.csv"
    quoted.write_text('"path";"labels"\n"b.jpg";"cat"\n')
    assert find_images([quoted]) == [folder / "b.jpg"]


@pytest.mark.parametrize("name", ["absent.jpg", "absent/", "absent/*.jpg"])
def test_what_does_not_exist_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(MissingFileError, match="absent"):
        find_images([f"{tmp_path}/{name}"])


def test_a_folder_without_images_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no image: .*\.jpg"):
        find_images([tmp_path])


@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_a_table_that_is_not_utf8_says_so(tmp_path: Path, suffix: str) -> None:
    table = tmp_path / f"list.{suffix}"
    table.write_bytes("path\na.jpg\ncafé.jpg\n".encode("latin-1"))
    with pytest.raises(DataError, match=rf"list\.{suffix}, .*is not UTF-8.*Save the file as UTF-8"):
        find_images([table])


def test_rows_too_short_for_a_path_are_left_out(tmp_path: Path) -> None:
    table = tmp_path / "list.csv"
    (tmp_path / "a.jpg").touch()
    table.write_text("labels,path\ncat\n\ndog,a.jpg,more\n")
    assert find_images([table]) == [tmp_path / "a.jpg"]
