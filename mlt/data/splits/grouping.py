"""Which images must stay together: those of a group, and those that are the same picture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from mlt.data.columns import StringColumn
from mlt.data.labels import LabelTable
from mlt.data.splits.parts import group_codes

__all__ = ["kept_together", "rows_together"]


def kept_together(table: LabelTable, same: Iterable[Sequence[int]]) -> LabelTable:
    """The table with groups in which these rows are together, beside those that were already.

    Args:
        table: The images.
        same: Rows that are one picture.

    Example:
        >>> table = LabelTable.from_lists(range(4), map(str, range(4)), ["cat"], [[]] * 4)
        >>> groups = kept_together(table, [[0, 3]]).groups
        >>> groups[0] == groups[3], len(set(groups))
        (True, 3)
    """
    n = len(table)
    codes = np.arange(n) if table.groups is None else group_codes(table.groups)
    pairs = [(rows[0], row) for rows in same for row in rows[1:]]
    first, second = np.array(pairs, np.int64).reshape(-1, 2).T
    # A graph of images and groups: an image is joined to its group and to what it is the same as.
    from_, to = np.concatenate([np.arange(n), first]), np.concatenate([n + codes, second])
    size = n + int(codes.max(initial=-1)) + 1
    edges = csr_array((np.ones(len(from_)), (from_, to)), shape=(size, size))
    joined = connected_components(edges, directed=False)[1][:n]
    return replace(table, groups=StringColumn.from_iterable(map(str, joined.tolist())))


def rows_together(codes: np.ndarray) -> list[list[int]]:
    """The rows of each code that occurs more than once.

    Example:
        >>> rows_together(np.array([5, 1, 5, 2]))
        [[0, 2]]
    """
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order])) + 1
    return [rows.tolist() for rows in np.split(order, starts) if len(rows) > 1]
