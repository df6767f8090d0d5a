"""One order of classes for all parts of the data, whatever order their files have."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from difflib import get_close_matches

import numpy as np
from scipy.sparse import csr_array

from mlt.data.labels import LabelTable
from mlt.data.names import name_difference
from mlt.data.sparse import column_counts
from mlt.errors import DataError

__all__ = ["labelled_classes", "near_names", "with_classes"]


def with_classes(
    table: LabelTable, class_names: Sequence[str], *, of: str = "class_names"
) -> LabelTable:
    """The table with these classes, in this order; what that leaves out or lacks is noted.

    Args:
        table: Labels of any classes.
        class_names: C names. Other classes of the table are left out; a class that the table lacks
            becomes a column in which nothing is known.
        of: Whose the names are, for messages: ``"class_names"`` or ``"training"``.

    Raises:
        DataError: If the table has none of the classes.

    Example:
        >>> table = LabelTable.from_lists([1, 2], ["1.jpg", "2.jpg"], ["ox", "cat"], [[0], [0, 1]])
        >>> aligned = with_classes(table, ["cat", "dog"])
        >>> aligned.targets([0, 1]).tolist(), aligned.known_mask([0]).tolist()
        ([[0.0, 0.0], [1.0, 0.0]], [[True, False]])
        >>> aligned.notes[0]
        "1 class is not in class_names and left out: 'ox' (2 labels; 1 image has no label left)"
    """
    names = tuple(class_names)
    if names == table.class_names:
        return table
    column_of = {name: c for c, name in enumerate(table.class_names)}
    columns = np.array([column_of.get(name, -1) for name in names], np.int64)
    if not (columns >= 0).any():
        difference = name_difference(names, table.class_names, of, "the data")
        raise DataError(f"none of the classes of {of} is in the data: {difference}")
    labels = _columns(table.labels, columns)
    known = None if table.known is None else _columns(table.known, columns)
    if known is None and bool((columns < 0).any()):
        known = csr_array(np.repeat((columns >= 0)[None, :], len(table), axis=0))
    return replace(
        table,
        class_names=names,
        labels=labels,
        known=known,
        soft=None if table.soft is None else _columns(table.soft, columns),
        notes=(*table.notes, *_notes(table, labels, names, of)),
    )


def labelled_classes(table: LabelTable) -> set[str]:
    """The names of the classes that at least one image has."""
    return {name for name, count in zip(table.class_names, column_counts(table.labels)) if count}


def near_names(names: Iterable[str], others: Collection[str]) -> dict[str, str]:
    """The names that are nearly one of the others, in spelling but for case, and which.

    Example:
        >>> near_names(["edemma", "Mass"], ["Edema", "Hernia"])
        {'edemma': 'Edema'}
    """
    spelling = {name.casefold(): name for name in sorted(others)}
    near = {n: get_close_matches(n.casefold(), spelling, n=1, cutoff=0.75) for n in names}
    return {name: spelling[close[0]] for name, close in near.items() if close}


def _columns(matrix: csr_array, columns: np.ndarray) -> csr_array:
    """The columns at these positions; an empty one for -1."""
    target = np.full(matrix.shape[1], -1, np.int64)
    target[columns[columns >= 0]] = np.flatnonzero(columns >= 0)
    moved = target[matrix.indices]
    kept = moved >= 0
    indptr = np.concatenate([[0], np.cumsum(kept)])[matrix.indptr]
    parts = matrix.data[kept], moved[kept], indptr
    chosen = csr_array(parts, shape=(matrix.shape[0], len(columns)))
    chosen.sort_indices()
    return chosen


def _notes(table: LabelTable, labels: csr_array, names: tuple[str, ...], of: str) -> list[str]:
    notes = []
    if extra := [name for name in table.class_names if name not in set(names)]:
        lost = table.labels.nnz - labels.nnz
        emptied = int(((np.diff(table.labels.indptr) > 0) & (np.diff(labels.indptr) == 0)).sum())
        notes.append(
            f"{_classes(extra)} not in {of} and left out: {_some(extra)} ({lost} labels; "
            f"{emptied} {'image has' if emptied == 1 else 'images have'} no label left)"
        )
    if absent := [name for name in names if name not in set(table.class_names)]:
        notes.append(f"{_classes(absent)} not in the data, so nothing is known: {_some(absent)}")
    return notes


def _classes(names: list[str]) -> str:
    return f"{len(names)} class is" if len(names) == 1 else f"{len(names)} classes are"


def _some(names: list[str], limit: int = 10) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(map(repr, names[:limit])) + more
