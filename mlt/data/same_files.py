"""The same image file under several names: another spelling, a link, a hard link."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlt.data.columns import StringColumn, positions
from mlt.data.image_search import is_unicode
from mlt.data.labels import LabelTable
from mlt.data.path_parts import folders_of, last_parts
from mlt.errors import DataError

__all__ = ["count_shared", "one_row_per_file"]

_TEXT = pa.large_string()
_LARGEST = 2**63 - 1
_TRIED = 100
"""Pairs of one inode that are looked at before such pairs are no longer taken for hard links."""


def count_shared(a: LabelTable, b: LabelTable) -> int:
    """How many images of ``b`` are images of ``a`` too, by their files.

    Images that are not files are the same where a data set has them in the same place.

    Example:
        >>> tables = [LabelTable.from_lists([1], [p], ["x"], [[]]) for p in ("a.jpg", "./a.jpg")]
        >>> count_shared(*tables)
        1
    """
    if a.paths is None or b.paths is None or (a.images is None) != (b.images is None):
        return 0
    if a.images is not None:
        return int((positions(a.paths, b.paths) >= 0).sum()) if a.root == b.root else 0
    first, second = _real_files(a), _real_files(b)
    shared = positions(first.paths, second.paths) >= 0
    rows = positions(first.inodes, second.inodes)
    alike = np.flatnonzero(~shared & (rows >= 0) & (second.inodes > 0))
    pairs = zip(first.paths[rows[alike]], second.paths[alike])
    shared[alike] = _are_hard_links(pairs, len(alike))
    return int(shared.sum())


def one_row_per_file(table: LabelTable) -> LabelTable:
    """The table with each image file once; what is left out is counted in the notes.

    Args:
        table: Its paths may spell a file in several ways, or be links to one.

    Raises:
        DataError: If a file has other labels under another name.

    Example:
        >>> table = LabelTable.from_lists([1, 2], ["a.jpg", "./a.jpg"], ["cat"], [[0], [0]])
        >>> one_row_per_file(table).image_ids.tolist(), one_row_per_file(table).notes[0]
        ([1], "1 image is left out, the file being listed already: './a.jpg' is 'a.jpg'")
    """
    if table.paths is None or len(table) < 2:
        return table
    first = _first_rows(_real_files(table))
    again = np.flatnonzero(first != np.arange(len(table)))
    if not len(again):
        return table
    names = [(table.paths[row], table.paths[first[row]]) for row in again]
    if len(differing := _differing(table, first[again], again)):
        name, other = names[differing[0]]
        raise DataError(
            f"{len(differing)} image files of {table.root} are listed twice with other labels or "
            f"groups: {name!r} is the same file as {other!r}; keep one of them"
        )
    shown = ", ".join(f"{name!r} is {other!r}" for name, other in names[:2])
    left = "1 image is" if len(again) == 1 else f"{len(again)} images are"
    note = f"{left} left out, the file being listed already: {shown}"
    kept = table.take(np.flatnonzero(first == np.arange(len(table))))
    return replace(kept, notes=(*table.notes, note + (", ..." if len(names) > 2 else "")))


class _RealFiles(NamedTuple):
    """Absolute paths without links and ``..``, and the inodes of the files, 0 if not known."""

    paths: StringColumn
    inodes: np.ndarray


def _real_files(table: LabelTable) -> _RealFiles:
    assert table.paths is not None
    paths = table.paths.array
    inside = folders_of(paths)
    folders = [
        os.path.realpath(table.root / folder).rstrip("/")
        for folder in inside.dictionary.to_pylist()
    ]
    parents = pa.array(folders, _TEXT).take(inside.indices)
    real = _joined(parents, last_parts(paths))
    listed, inodes, links = _listing(dict.fromkeys(folders))
    rows = positions(listed, real)
    linked = (rows >= 0) & np.append(links, False)[rows]
    if linked.any():
        targets = pa.array([os.path.realpath(path) for path in real[linked]], _TEXT)
        real = StringColumn(pc.replace_with_mask(real.array, pa.array(linked), targets))
    return _RealFiles(real, np.append(inodes, 0)[rows])


def _joined(folder: pa.Array | pa.Scalar, names: pa.Array) -> StringColumn:
    return StringColumn(pc.binary_join_element_wise(folder, names, pa.scalar("/", _TEXT)))


def _listing(folders: Iterable[str]) -> tuple[StringColumn, np.ndarray, np.ndarray]:
    """The paths in some folders, their inodes (0 if not known), and which are links."""
    paths, inodes, links = [pa.array([], _TEXT)], [], []
    for folder in folders:
        if Path(folder + "/").is_dir():
            with os.scandir(folder + "/") as entries:
                names = []
                for entry in entries:
                    if not is_unicode(entry.name):
                        continue
                    is_link = entry.is_symlink()
                    names.append(entry.name)
                    links.append(is_link)
                    inodes.append(0 if is_link or os.name == "nt" else entry.inode() & _LARGEST)
            parent = pa.scalar(folder, _TEXT)
            paths.append(_joined(parent, StringColumn.from_iterable(names).array).array)
    column = StringColumn(pa.concat_arrays(paths))
    return column, np.array(inodes, np.int64), np.array(links, np.bool_)


def _first_rows(files: _RealFiles) -> np.ndarray:
    """The first row of each row's file."""
    distinct = files.paths.is_distinct
    first = np.arange(len(files.paths)) if distinct else positions(files.paths, files.paths)
    inodes = np.sort(files.inodes[files.inodes > 0])
    if not (inodes[1:] == inodes[:-1]).any():
        return first
    rows = positions(files.inodes, files.inodes)
    alike = np.flatnonzero((files.inodes > 0) & (first[rows] != first))
    pairs = zip(files.paths[rows[alike]], files.paths[alike])
    linked = alike[_are_hard_links(pairs, len(alike))]
    first[linked] = first[rows[linked]]
    return first


def _are_hard_links(pairs: Iterator[tuple[str, str]], count: int) -> np.ndarray:
    """Whether two paths of the same inode are the same file, (count,) bool.

    Some network file systems give all files one inode: if the first pairs differ, the others are
    taken to differ too.
    """
    same = np.zeros(count, np.bool_)
    for place, (a, b) in enumerate(pairs):
        same[place] = Path(a).samefile(b)
        if place == _TRIED and not same.any():
            break
    return same


def _differing(table: LabelTable, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Which of these pairs of rows differ in more than the file."""
    differ = np.zeros(len(rows), np.bool_)
    for matrix in (table.labels, table.known, table.soft):
        if matrix is not None:
            differ |= np.diff((matrix[rows] != matrix[others]).tocsr().indptr) > 0
    if table.groups is not None:
        differ |= pc.not_equal(table.groups[rows].array, table.groups[others].array).to_numpy(
            zero_copy_only=False
        )
    return np.flatnonzero(differ)
