"""Rows of a table that are about the image of an earlier row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlt.data.columns import StringColumn, positions
from mlt.data.formats.read_labels import ReadLabels, amount
from mlt.data.formats.table import Table
from mlt.errors import DataError

__all__ = ["check_agreement", "without_repeats"]


def check_agreement(table: Table, ids: StringColumn, columns: Mapping[str, pa.Array]) -> None:
    """Refuse rows of one image that differ in what can only be one thing, such as its file.

    Args:
        table: Where the rows are from, for messages.
        ids: N strings, the image of each row.
        columns: What every row says beside labels, (N,) each, by the name of its column.

    Raises:
        DataError: Naming the image, the column, and the two values with their lines.
    """
    if not columns or ids.is_distinct:
        return
    first = positions(ids, ids)
    for name, cells in columns.items():
        differ = pc.not_equal(cells, cells.take(pa.array(first)))
        rows = np.flatnonzero(differ.to_numpy(zero_copy_only=False))
        if len(rows):
            pair = [int(first[rows[0]]), int(rows[0])]
            values = " and ".join(repr(cells[row].as_py()) for row in pair)
            raise DataError(
                f"{table.source}: the image {ids[pair[0]]!r} has two values in column {name!r}, "
                f"{values}, in {table.lines(pair)}; lines of an image may differ in labels alone"
            )


def without_repeats(read: ReadLabels, ids: StringColumn, columns: Sequence[pa.Array]) -> ReadLabels:
    """What was read without the rows that repeat an earlier one, which a note counts.

    Args:
        read: Labels of N rows, one per row.
        ids: N strings, the image of each row.
        columns: What else there is of each row, (N,) each.

    Example:
        >>> from scipy.sparse import csr_array
        >>> ids = StringColumn.from_iterable(["a", "b", "a", "b"])
        >>> labels = csr_array(np.array([[1], [0], [1], [1]], bool))
        >>> read = without_repeats(ReadLabels(("cat",), labels), ids, [])
        >>> read.rows.tolist(), read.notes
        ([0, 1, 3], ("1 row is left out, repeating an image with the same labels: 'a'",))
    """
    if ids.is_distinct:
        return read
    first = positions(ids, ids)
    again = np.flatnonzero(first != np.arange(len(ids)))
    before = first[again]
    differ = np.zeros(len(again), np.bool_)
    for cells in columns:
        unequal = pc.not_equal(cells.take(pa.array(again)), cells.take(pa.array(before)))
        differ |= unequal.to_numpy(zero_copy_only=False)
    for matrix in (read.labels, read.known, read.soft):
        if matrix is not None:
            differ |= np.diff((matrix[again] != matrix[before]).tocsr().indptr) > 0
    same = again[~differ]
    if not len(same):
        return read
    rows = np.setdiff1d(np.arange(len(ids)), same)
    number = amount(len(same), "row is", "rows are")
    note = f"{number} left out, repeating an image with the same labels: {ids[same[0]]!r}"
    return replace(
        read,
        labels=read.labels[rows],
        known=None if read.known is None else read.known[rows],
        soft=None if read.soft is None else read.soft[rows],
        rows=rows,
        notes=(*read.notes, note + ", ..." * (len(same) > 1)),
    )
