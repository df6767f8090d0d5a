"""cached_table: when it reads, and when it builds again."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mlt
from mlt.data import LabelTable
from mlt.data.cache import cached_table
from mlt.data.digests import ids_digest, source_digest
from mlt.errors import MissingFileError


class Case:
    """A source file of class names, and a cache of the table made from it."""

    def __init__(self, folder: Path) -> None:
        self.source = folder / "source"
        self.source.mkdir()
        self.file = self.source / "names.txt"
        self.file.write_text("cat dog")
        self.cache = folder / "new" / "table.npz"
        self.builds = 0

    def build(self) -> LabelTable:
        self.builds += 1
        return LabelTable.from_lists([1], ["a.jpg"], self.file.read_text().split(), [[0]])

    def get(self, as_folder: bool = False, **arguments: Any) -> tuple[tuple[str, ...], bool]:
        source = self.source if as_folder else self.file
        table, cached = cached_table(self.cache, [source], arguments, self.build)
        return table.class_names, cached


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


@pytest.mark.parametrize("as_folder", [False, True])
def test_reads_until_the_source_changes(case: Case, as_folder: bool) -> None:
    assert case.get(as_folder) == (("cat", "dog"), False)
    assert case.get(as_folder) == (("cat", "dog"), True)
    # Touched, but the content is the same: the digest decides, and the new time is kept.
    os.utime(case.file, ns=(1, 1))
    assert case.get(as_folder) == (("cat", "dog"), True)
    assert json.loads(case.cache.with_suffix(".json").read_text())["sources"][0]["mtime_ns"] == 1
    # Same size, other content.
    case.file.write_text("cow dog")
    assert case.get(as_folder) == (("cow", "dog"), False)
    # Another size, the old time.
    time = case.file.stat().st_mtime_ns
    case.file.write_text("cow dog ant")
    os.utime(case.file, ns=(time, time))
    assert case.get(as_folder) == (("cow", "dog", "ant"), False)
    assert case.get(as_folder) == (("cow", "dog", "ant"), True)
    assert case.builds == 3


def test_a_new_file_in_the_folder_counts(case: Case) -> None:
    case.get(as_folder=True)
    (case.source / "empty.xml").touch()
    assert case.get(as_folder=True)[1] is False


def test_arguments_and_version_count(case: Case, monkeypatch: Any) -> None:
    case.get(min_size=0, names=("a", "b"))
    assert case.get(min_size=0, names=("a", "b"))[1] is True
    assert case.get(min_size=32, names=("a", "b"))[1] is False
    assert case.get(min_size=32)[1] is False
    monkeypatch.setattr(mlt, "__version__", "next")
    assert case.get(min_size=32)[1] is False


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-30])


def other_table(file: Path) -> None:
    LabelTable.from_lists([2], ["b.jpg"], ["x"], [[]]).save(file)


@pytest.mark.parametrize(
    ("suffix", "damage"),
    [
        (".npz", truncate),
        (".npz", other_table),
        (".npz", Path.unlink),
        (".json", truncate),
        (".json", Path.unlink),
        (".json", lambda file: file.write_text("[]")),
        (".json", lambda file: file.write_text('{"about": {}, "sources": [{}], "table": "x"}')),
        (".json", lambda file: file.write_bytes(b"\xff")),
    ],
)
def test_a_damaged_cache_is_built_again(
    case: Case, suffix: str, damage: Callable[[Path], None]
) -> None:
    case.get()
    damage(case.cache.with_suffix(suffix))
    assert case.get() == (("cat", "dog"), False)
    assert case.get() == (("cat", "dog"), True)


def test_a_cache_that_was_touched_is_not_trusted(case: Case) -> None:
    case.get()
    os.utime(case.cache, ns=(1, 1))  # as a copy, or one that was written to in place
    assert case.get() == (("cat", "dog"), False)


def test_a_flipped_bit_is_found_by_its_checksum(
    case: Case, caplog: pytest.LogCaptureFixture
) -> None:
    case.get()
    content, stamp = bytearray(case.cache.read_bytes()), case.cache.stat().st_mtime_ns
    content[content.index(b"cat")] ^= 1
    case.cache.write_bytes(content)
    os.utime(case.cache, ns=(stamp, stamp))  # as a disk does it
    assert case.get() == (("cat", "dog"), False)
    assert "damaged" in caplog.text


def test_the_names_in_a_folder_count(case: Case, tmp_path: Path) -> None:
    images, absent = tmp_path / "images", tmp_path / "more"
    images.mkdir()
    os.utime(images, ns=(1, 1))

    def cached() -> bool:
        folders = [images, absent]
        return cached_table(case.cache, [case.file], {}, case.build, folders=lambda _: folders)[1]

    assert [cached(), cached()] == [False, True]
    (images / "a.jpg").touch()
    assert [cached(), cached()] == [False, True]
    absent.mkdir()
    os.utime(absent, ns=(1, 1))
    assert [cached(), cached()] == [False, True]


def test_what_is_not_to_be_kept_is_built_again(case: Case) -> None:
    for _ in range(2):
        _, cached = cached_table(case.cache, [case.file], {}, case.build, folders=lambda _: None)
        assert not cached and not case.cache.exists()


def test_a_missing_source_is_an_error_even_with_a_cache(case: Case) -> None:
    case.get()
    case.file.unlink()
    with pytest.raises(MissingFileError, match=r"no .*names\.txt"):
        case.get()


def test_a_failed_build_leaves_nothing(case: Case) -> None:
    def fail() -> LabelTable:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached_table(case.cache, [case.file], {}, fail)
    assert not case.cache.parent.exists()


def test_digests(tmp_path: Path) -> None:
    # printf '10\\n9' | sha256sum
    expected = "aed961c3ff21167664f1be6eda4d5990371ccb610389419e88919cff6f9ff44e"
    assert ids_digest([9, 10]) == ids_digest(["10", "9"]) == expected
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "b").write_bytes(b"2")
    before = source_digest(tmp_path)
    (tmp_path / "b").rename(tmp_path / "c")
    assert source_digest(tmp_path) != before
