"""Label tables that lie in a file: what is mapped, what processes share, what sources keep."""

from __future__ import annotations

import copy
import multiprocessing
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

from mlt.data import LabelTable
from mlt.data.columns import StringColumn
from mlt.data.mapped_arrays import map_arrays, write_arrays
from mlt.data.sources.csv import CsvData
from mlt.errors import DataError


def table_of(rows: int = 3) -> LabelTable:
    """String ids, unknown and soft targets, groups and notes."""
    labels = csr_array(np.tile([True, False], (rows, 1)))
    return LabelTable(
        image_ids=StringColumn.from_iterable(f"image {n}" for n in range(rows)),
        paths=StringColumn.from_iterable(f"{n}.jpg" for n in range(rows)),
        class_names=("cat", "dög"),
        labels=labels,
        known=labels,
        soft=csr_array(np.tile(np.float32([0.75, 0]), (rows, 1))),
        groups=StringColumn.from_iterable(["p"] * rows),
        notes=("a note",),
        root=Path("images"),
    )


def assert_same(a: LabelTable, b: LabelTable) -> None:
    assert a.digest() == b.digest()
    assert (a.root, a.notes, a.class_names) == (b.root, b.notes, b.class_names)
    rows = range(len(a))
    assert np.array_equal(a.soft_targets(rows), b.soft_targets(rows))
    assert np.array_equal(a.known_mask(rows), b.known_mask(rows))


def test_arrays_are_aligned_and_numpy_reads_them(tmp_path: Path) -> None:
    arrays = {"a": np.arange(5), "empty": np.empty((0, 2)), "text": np.array("x"), "b": np.eye(3)}
    file = tmp_path / "a.npz"
    mapped = map_arrays(file, write_arrays(file, arrays))
    with np.load(file) as stored:
        for name, array in arrays.items():
            assert np.array_equal(stored[name], array) and np.array_equal(mapped[name], array)
            assert mapped[name].ctypes.data % 64 == 0 or not array.size
    with pytest.raises(ValueError, match="read-only"):
        mapped["a"][0] = 1


@pytest.mark.parametrize(
    "table",
    [table_of(), LabelTable.from_lists([7, 5], ["7", "5"], ["cat"], [[0], []]), table_of(0)],
)
def test_a_mapped_table_is_the_table(tmp_path: Path, table: LabelTable) -> None:
    file = tmp_path / "table.npz"
    mapped = LabelTable.map(file, table.save(file))
    assert_same(mapped, table)
    assert_same(LabelTable.load(file), table)
    assert_same(replace(mapped, root=table.root).take(range(len(table))), table)
    assert_same(copy.copy(mapped), table)


def test_no_changed_byte_of_the_list_of_arrays_is_silent(tmp_path: Path) -> None:
    file = tmp_path / "table.npz"
    stamp = table_of(2).save(file)
    arrays = {name: array.copy() for name, array in map_arrays(file, stamp).items()}
    content = file.read_bytes()
    for place in range(content.index(b"PK\x01\x02"), len(content)):
        changed = bytearray(content)
        changed[place] ^= 1
        file.write_bytes(changed)
        os.utime(file, ns=(0, stamp[1]))
        try:
            mapped = map_arrays(file, stamp)
        except Exception:  # a cached table is built again, whatever it is
            continue
        assert mapped.keys() == arrays.keys(), place
        assert all(np.array_equal(mapped[name], array) for name, array in arrays.items())


def test_another_file_is_not_mapped(tmp_path: Path) -> None:
    file = tmp_path / "table.npz"
    stamp = table_of().save(file)
    table_of(4).save(file)
    with pytest.raises(DataError, match=r"table\.npz has been written again or changed"):
        LabelTable.map(file, stamp)


def test_a_changed_matrix_is_checked_again() -> None:
    table = table_of()
    table.labels.indices = np.full(3, 9, np.int32)
    with pytest.raises(DataError, match="labels are not a valid sparse array"):
        replace(table, root=Path())


def use_in_worker(table: LabelTable, answers: Any) -> None:
    """What a worker needs of a table, and the files that it has mapped."""
    targets = table.targets(range(len(table))).sum()
    answers.put((float(targets), table.paths[-1], Path("/proc/self/maps").read_text()))


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="Linux alone")
def test_a_spawned_process_shares_the_table(monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    table = table_of(2000)
    context = multiprocessing.get_context("spawn")
    answers = context.SimpleQueue()
    for _ in range(2):
        process = context.Process(target=use_in_worker, args=(table, answers))
        process.start()
        targets, last, mapped = answers.get()
        process.join()
        assert (targets, last) == (2000, "1999.jpg")
        [folder] = tmp_path.iterdir()  # one file for all processes, gone with the table
        assert str(folder / "table.npz") in mapped
    del table, process
    assert not folder.exists()


@pytest.fixture
def source(tmp_path: Path) -> Callable[[], LabelTable]:
    """Reads a table whose images are found in a folder of another name."""
    (tmp_path / "pictures").mkdir()
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / "pictures" / name).write_text(name)
    (tmp_path / "labels.csv").write_text("path,labels\na,cat\nb,dog\n")
    for path in (tmp_path, tmp_path / "pictures"):
        os.utime(path, ns=(1, 1))
    data = CsvData(name="csv", root=str(tmp_path), train="labels.csv", test="labels.csv")
    return lambda: data.source(tmp_path / "cache").train()


def test_a_table_and_its_images_are_read_once(
    source: Callable[[], LabelTable], tmp_path: Path, monkeypatch: Any
) -> None:
    first = source()
    assert first.paths is not None and list(first.paths) == ["pictures/a.jpg", "pictures/b.jpg"]
    with monkeypatch.context() as patch:
        for reader in ("formats.csv.read_tables", "image_search.find_images"):
            patch.setattr(f"mlt.data.{reader}", None)  # calling it would raise
        assert_same(source(), first)
    (tmp_path / "pictures").rename(tmp_path / "photos")
    moved = source().paths
    assert moved is not None and list(moved) == ["photos/a.jpg", "photos/b.jpg"]
    (tmp_path / "labels.csv").write_text("path,labels\na,cat\nb,cow\n")
    assert source().class_names == ("cat", "cow")


def test_a_table_with_absent_images_is_read_again(
    source: Callable[[], LabelTable], tmp_path: Path
) -> None:
    (tmp_path / "pictures" / "a.jpg").unlink()
    source()
    assert not list(tmp_path.glob("cache/*"))
