"""The layout with one column per class: 1, 0, -1, nothing, or a value."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Literal, NoReturn

import numpy as np
import pyarrow as pa
from scipy.sparse import csc_array, csr_array

from mlt.data.formats.cells import (
    BLANK,
    POSITIVE,
    UNCERTAIN,
    VALUE,
    WRONG,
    explain,
    meanings,
    read_cell,
)
from mlt.data.formats.name_suspicions import suspicious_names
from mlt.data.formats.read_labels import ReadLabels, amount
from mlt.data.formats.table import Table
from mlt.errors import DataError

if TYPE_CHECKING:
    from mlt.data.formats.table_format import TableFormat

__all__ = ["class_columns", "read_class_columns"]

_NAMELESS = re.compile(r"(Unnamed: \d+(\.\d+)*)?")  # what pandas calls an index that it wrote


def class_columns(
    table: Table,
    form: TableFormat,
    others: Collection[str],
    class_names: Sequence[str] | None,
    *,
    may_lack: bool = False,
) -> tuple[list[str], list[str]]:
    """Which columns are classes.

    Args:
        table: The table.
        form: Names the columns that mean none of the classes.
        others: Columns that are something else.
        class_names: The classes; None takes all columns that have a name and are not others.
        may_lack: Whether some of ``class_names``, but not all, may be absent.

    Returns:
        Their names, and notes on columns that are not read or not there.

    Raises:
        DataError: If there is none, or a class or a column of ``negatives`` is absent.
    """
    for name in form.negatives:
        table.require(name, " (negatives)")
    if class_names is not None:
        absent = [name for name in class_names if name not in table.header] if may_lack else []
        absent = absent if len(absent) < len(class_names) else []
        names = [name for name in class_names if name not in absent]
        for name in names:
            table.require(name)
        close = {name: get_close_matches(name, table.header, n=1) for name in absent}
        return names, [
            f"there is no column {name!r}; is it {near[0]!r}?"
            for name, near in close.items()
            if near
        ]
    not_classes = {*others, *form.negatives}
    nameless = [n for n, name in enumerate(table.header, 1) if _NAMELESS.fullmatch(name)]
    names = [
        name for name in table.header if name not in not_classes and not _NAMELESS.fullmatch(name)
    ]
    for name in names:
        table.require(name)
    if not names:
        raise DataError(f"{table.source} has no column that could be a class")
    notes = [f"column {number} has no name and is not read" for number in nameless]
    return names, notes + suspicious_names(names)


def read_class_columns(
    table: Table, cells: Mapping[str, pa.Array], class_names: Sequence[str], form: TableFormat
) -> ReadLabels:
    """Read the labels of columns of cells.

    Args:
        table: Where they are from, for messages.
        cells: N cells of each column, of the classes and of ``negatives``.
        class_names: C columns that are classes.
        form: What the cells mean.

    Raises:
        DataError: If a cell is none of what the form allows; gives its line and what to do.
    """
    n = len(next(iter(cells.values())))
    shape = (n, len(class_names))
    without = np.zeros(n, bool)
    for name in form.negatives:
        without |= _read_column(table, name, cells[name], form)[0] == POSITIVE
    positive, unknown, soft = _Entries(), _Entries(), _Entries()
    counts = np.zeros((len(class_names), 6), np.int64)
    for c, (name, meaning) in enumerate(zip(class_names, meanings(class_names, form))):
        kinds, targets = _read_column(table, name, cells[name], form)
        counts[c] = np.bincount(kinds, minlength=6)
        targets = np.where(kinds == VALUE, targets, np.append(meaning, (0, 0))[kinds])
        targets[without & (kinds == BLANK)] = 0
        positive.add(targets >= 0.5)
        unknown.add(np.isnan(targets))
        soft.add(targets > 0, targets)
    labels = positive.array(shape)
    known = None
    if unknown.total:
        known = csr_array(~unknown.array(shape).toarray())
    notes = [*_count_notes(counts, class_names, form), *_negatives_notes(form, without, labels)]
    return ReadLabels(
        tuple(class_names),
        labels,
        known,
        soft.array(shape) if counts[:, VALUE].any() else None,
        tuple(notes),
    )


class _Entries:
    """Entries of a sparse array, put together column by column."""

    def __init__(self) -> None:
        self.rows: list[np.ndarray] = []
        self.values: list[np.ndarray] = []

    def add(self, mask: np.ndarray, values: np.ndarray | None = None) -> None:
        rows = np.flatnonzero(mask).astype(np.int32)
        self.rows.append(rows)
        self.values.append(np.ones(len(rows), bool) if values is None else values[rows])

    @property
    def total(self) -> int:
        return sum(map(len, self.rows))

    def array(self, shape: tuple[int, int]) -> csr_array:
        ends = np.concatenate([[0], np.cumsum([len(rows) for rows in self.rows])])
        parts = (np.concatenate(self.values), np.concatenate(self.rows), ends)
        return csr_array(csc_array(parts, shape=shape))


def _read_column(
    table: Table, name: str, cells: pa.Array, form: TableFormat
) -> tuple[np.ndarray, np.ndarray]:
    """What each cell says: kinds (N,) uint8 and, for values, targets (N,) float32."""
    spellings = cells.dictionary_encode()
    read = [read_cell(text, form) for text in spellings.dictionary.to_pylist()]
    indices = spellings.indices.to_numpy()
    kinds = np.array([cell.kind for cell in read], np.uint8)[indices]
    if any(cell.kind == WRONG for cell in read):
        row = int(np.argmax(kinds == WRONG))
        _refuse_cell(table, name, cells[row].as_py(), row, form)
    return kinds, np.array([cell.target for cell in read], np.float32)[indices]


def _refuse_cell(table: Table, name: str, text: str, row: int, form: TableFormat) -> NoReturn:
    raise DataError(
        f"{table.line(row)}, column {name!r}: {text!r} is not a label; {explain(text, form)}. If "
        f"this column is not a class, name the classes with class_names; if it lists names of "
        f"classes, set labels_column: {name}"
    )


def _count_notes(counts: np.ndarray, class_names: Sequence[str], form: TableFormat) -> list[str]:
    notes = [
        *_taken_notes(counts[:, UNCERTAIN], class_names, form, "uncertain", " (-1)"),
        *_taken_notes(counts[:, BLANK], class_names, form, "blank"),
    ]
    if values := int(counts[:, VALUE].sum()):
        number = amount(values, "cell is", "cells are")
        notes.append(
            f"{number} between 0 and 1: soft targets for the loss, labels from 0.5 on for counts "
            "and results"
        )
    return notes


def _taken_notes(
    counts: np.ndarray,
    class_names: Sequence[str],
    form: TableFormat,
    kind: Literal["uncertain", "blank"],
    written: str = "",
) -> list[str]:
    """What cells of a kind are taken for: a note per policy, and one on all other classes."""
    notes, others = [], 0
    policies = {n: getattr(policy, kind) for n, policy in form.policies.items()}
    for name, count in zip(class_names, counts.tolist()):
        if (taken := policies.get(name)) is None:
            others += count
        elif count:
            number = amount(count, "cell is", "cells are")
            notes.append(f"{name}: {number} {kind}{written}, taken as {taken}")
    if others:
        of = "other classes: " if notes else ""
        number = amount(others, "cell is", "cells are")
        notes.append(f"{of}{number} {kind}{written}, taken as {getattr(form, kind)}")
    return notes


def _negatives_notes(form: TableFormat, without: np.ndarray, labels: csr_array) -> list[str]:
    if not form.negatives:
        return []
    names = ", ".join(map(repr, form.negatives))
    number = amount(int(without.sum()), "image has", "images have")
    notes = [f"{number} none of the classes by {names}: blank cells there are negative"]
    if both := int((without & (np.diff(labels.indptr) > 0)).sum()):
        notes.append(f"{amount(both, 'of them has', 'of them have')} a class too, which counts")
    return notes
