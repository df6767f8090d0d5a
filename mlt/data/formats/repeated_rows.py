"""Rows of a table that say of an image what an earlier row says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlt.data.columns import StringColumn, positions
from mlt.data.formats.read_labels import ReadLabels, amount

__all__ = ["without_repeats"]


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
