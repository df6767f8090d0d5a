"""Labels as data sets store them, names, numbers or cells of 0 and 1, as matrices of labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_array, vstack

from mlt.data.sparse import csr_from_pairs
from mlt.errors import DataError

if TYPE_CHECKING:
    from mlt.data.formats.table_format import LabelValue

__all__ = ["Labels", "labels_of_columns", "labels_of_lists"]

_ROWS_AT_ONCE = 1 << 16


@dataclass(frozen=True)
class Labels:
    """What a label table needs of the labels of N images and C classes.

    Attributes:
        class_names: C names.
        labels: (N, C) boolean CSR array.
        known: (N, C) boolean CSR array of what was annotated; None if all was.
        soft: (N, C) float32 CSR array of soft targets; None if all are 0 or 1.
        notes: What a user should know about how they were read.
    """

    class_names: tuple[str, ...]
    labels: csr_array
    known: csr_array | None = None
    soft: csr_array | None = None
    notes: tuple[str, ...] = ()


def labels_of_lists(
    column: pa.Array,
    where: Callable[[int], str],
    *,
    class_names: Sequence[str] | None = None,
    number_names: Sequence[str] | None = None,
    multi_hot: bool = False,
    separator: str | None = None,
    blank: LabelValue = "unknown",
    uncertain: LabelValue = "unknown",
) -> Labels:
    """Read one entry per image: its class names, their numbers, or 0 and 1 for every class.

    Args:
        column: N lists of strings, of integers, or of numbers or booleans for every class; or N
            strings or integers, one label each. A null stands for an image without any annotation.
        where: From a row to what it is, for messages.
        class_names: The classes of lists of names; further names that occur come after them. None
            takes those that occur, sorted.
        number_names: What the numbers from 0 on mean.
        multi_hot: Whether lists of integers are 0 and 1 for every class, rather than class numbers.
        separator: What separates the names in a string; None: a string is one name.
        blank: What a null means; ``"negative"``: that the image has none of the classes.
        uncertain: What -1 in a list of 0 and 1 means.

    Raises:
        DataError: If a number is of no class, or the lists are something else; names the row.

    Example:
        >>> column = pa.array([["ox", "cat"], [], None])
        >>> read = labels_of_lists(column, "row {}".format)
        >>> read.class_names, read.labels.toarray().tolist(), read.known.toarray().tolist()[2]
        (('cat', 'ox'), [[True, True], [False, False], [False, False]], [False, False])
        >>> labels_of_lists(pa.array([[0, 2]]), "row {}".format, number_names=["ox", "cat"])
        Traceback (most recent call last):
        ...
        mlt.errors.DataError: row 0 has the label 2, but the numbers of the 2 classes are 0 to 1
    """
    lists = _as_lists(column, separator)
    kind = lists.type.value_type
    if pa.types.is_boolean(kind) or pa.types.is_floating(kind) or multi_hot:
        return _multi_hot(lists, where, _needed(number_names, where(0)), blank, uncertain)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        read = _names(lists, class_names)
    elif pa.types.is_integer(kind):
        read = _numbers(lists, where, _needed(number_names, where(0)))
    elif pa.types.is_null(kind):  # no image has a label
        names = tuple(class_names or number_names or ())
        read = Labels(names, csr_array((len(lists), len(names)), dtype=np.bool_))
    else:
        raise DataError(
            f"{where(0)}: its labels are of the type {column.type}; expected a list of names, of "
            "class numbers, or of 0 and 1 for every class"
        )
    return _with_nulls(read, np.asarray(lists.is_null()), blank)


def labels_of_columns(
    columns: Mapping[str, pa.Array],
    where: Callable[[int], str],
    *,
    blank: LabelValue = "unknown",
    uncertain: LabelValue = "unknown",
) -> Labels:
    """Read a column of 0 and 1 for every class.

    Args:
        columns: C names to N numbers or booleans each: 0 to 1, null, or -1.
        where: From a row to what it is, for messages.
        blank: What null or NaN means.
        uncertain: What -1 means.

    Raises:
        DataError: If a value is something else; names the row and the class.

    Example:
        >>> read = labels_of_columns({"ox": pa.array([1, None]), "cat": pa.array([0, -1])}, str)
        >>> read.labels.toarray().tolist(), read.known.toarray().tolist()
        ([[True, False], [False, False]], [[True, True], [False, False]])
    """
    names = tuple(columns)
    rows = len(next(iter(columns.values())))

    def cells() -> Iterator[np.ndarray]:
        for first in range(0, rows, _ROWS_AT_ONCE):
            part = slice(first, first + _ROWS_AT_ONCE)
            yield np.stack([_as_numbers(columns[name][part], name) for name in names], axis=1)

    return _of_cells(cells(), names, where, blank, uncertain)


def _as_lists(column: pa.Array, separator: str | None) -> pa.Array:
    """The column as large lists; a single value becomes a list of one."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        if separator is not None:
            return pc.split_pattern(column, separator).cast(pa.large_list(pa.large_string()))
        # An empty string names nothing.
        filled = pc.not_equal(pc.utf8_trim_whitespace(column), "")
        return _of_single(column.cast(pa.large_string()), np.asarray(filled.fill_null(False)))
    if pa.types.is_integer(kind):
        return _of_single(column, np.asarray(column.is_valid()))
    if pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind):
        column = column.cast(pa.large_list(kind.value_type))
    elif pa.types.is_null(kind):
        column = column.cast(pa.large_list(pa.null()))
    elif not pa.types.is_large_list(kind):
        column = pa.array([[]], pa.large_list(kind)).take(pa.array(np.zeros(len(column), int)))
    inner = column.type.value_type
    return column.cast(pa.large_list(inner.value_type)) if pa.types.is_dictionary(inner) else column


def _of_single(column: pa.Array, filled: np.ndarray) -> pa.Array:
    """Lists of one value, empty where there is none; nulls stay nulls."""
    offsets = np.concatenate([[0], np.cumsum(filled)])
    values = column.filter(pa.array(filled))
    return pa.LargeListArray.from_arrays(
        pa.array(offsets, pa.int64()), values, mask=column.is_null()
    )


def _flat(lists: pa.Array) -> tuple[np.ndarray, pa.Array]:
    """The row of each entry, and the entries; without nulls among them."""
    rows = np.asarray(pc.list_parent_indices(lists))
    values = pc.list_flatten(lists)
    valid = np.asarray(values.is_valid())
    return rows[valid], values.filter(pa.array(valid))


def _names(lists: pa.Array, class_names: Sequence[str] | None) -> Labels:
    rows, values = _flat(lists)
    found = pc.utf8_trim_whitespace(values).dictionary_encode()
    given = dict.fromkeys(class_names or ())
    different = found.dictionary.to_pylist()
    names = (*given, *sorted(set(different).difference(given, {""})))
    column_of = {name: c for c, name in enumerate(names)}
    columns = np.array([column_of.get(name, -1) for name in different], np.int64)
    columns = columns[np.asarray(found.indices)] if len(values) else np.empty(0, np.int64)
    named = columns >= 0
    shape = (len(lists), len(names))
    return Labels(names, csr_from_pairs(rows[named], columns[named], shape))


def _numbers(lists: pa.Array, where: Callable[[int], str], names: tuple[str, ...]) -> Labels:
    rows, values = _flat(lists)
    columns = np.asarray(values.cast(pa.int64()))
    wrong = np.flatnonzero((columns < 0) | (columns >= len(names)))
    if len(wrong):
        raise DataError(
            f"{where(rows[wrong[0]])} has the label {columns[wrong[0]]}, but the numbers of the "
            f"{len(names)} classes are 0 to {len(names) - 1}"
        )
    shape = (len(lists), len(names))
    labels = csr_from_pairs(rows, columns, shape)
    repeats = labels.nnz < len(columns) and bool((columns <= 1).all())
    if repeats and bool((np.asarray(pc.list_value_length(lists)) == len(names)).all()):
        raise DataError(
            f"{where(0)}: its labels look like 0 or 1 for each of the {len(names)} classes rather "
            "than class numbers; if they are, set data.multi_hot: true"
        )
    return Labels(names, labels)


def _multi_hot(
    lists: pa.Array,
    where: Callable[[int], str],
    names: tuple[str, ...],
    blank: LabelValue,
    uncertain: LabelValue,
) -> Labels:
    lengths = np.asarray(pc.list_value_length(lists).fill_null(len(names)))
    if len(wrong := np.flatnonzero(lengths != len(names))):
        raise DataError(
            f"{where(wrong[0])} has {lengths[wrong[0]]} numbers, but there are {len(names)} "
            f"classes: {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}"
        )
    nulls = np.asarray(lists.is_null())

    def cells() -> Iterator[np.ndarray]:
        for first in range(0, len(lists), _ROWS_AT_ONCE):
            part = lists[first : first + _ROWS_AT_ONCE]
            filled = ~nulls[first : first + _ROWS_AT_ONCE]
            values = np.full((len(part), len(names)), np.nan)
            numbers = _as_numbers(pc.list_flatten(part), where(first))
            values[filled] = numbers.reshape(-1, len(names))
            yield values

    return _of_cells(cells(), names, where, blank, uncertain)


def _of_cells(
    cells: Iterator[np.ndarray],
    names: tuple[str, ...],
    where: Callable[[int], str],
    blank: LabelValue,
    uncertain: LabelValue,
) -> Labels:
    """Labels of chunks of (n, C) numbers: 0 to 1, NaN for blank, -1 for uncertain."""
    targets, unknown, first = [], [], 0
    for values in cells:
        meanings = [(np.isnan(values), blank), (values == -1, uncertain)]
        masked = np.zeros(values.shape, np.bool_)
        for cell, meaning in meanings:
            masked[cell] = meaning == "unknown"
            values[cell] = meaning == "positive"
        if len(wrong := np.argwhere(~((values >= 0) & (values <= 1)))):
            row, c = wrong[0]
            raise DataError(
                f"{where(first + row)} has {values[row, c]:g} for {names[c]!r}; expected 0 to 1, "
                "-1 for uncertain, or nothing. If this is not a class, name the classes: "
                "data.class_names: [...]"
            )
        targets.append(csr_array(values.astype(np.float32)))
        unknown.append(csr_array(masked))
        first += len(values)
    empty = csr_array((0, len(names)), dtype=np.float32)
    soft = csr_array(vstack([*targets, empty], format="csr"))
    known = [csr_array(~mask.toarray()) for mask in unknown] if any(m.nnz for m in unknown) else []
    return Labels(
        names,
        csr_array(soft >= 0.5),
        known=csr_array(vstack(known, format="csr")) if known else None,
        soft=soft if bool((soft.data < 1).any()) else None,
    )


def _with_nulls(read: Labels, nulls: np.ndarray, blank: LabelValue) -> Labels:
    """Mark rows without any annotation, as ``blank`` says."""
    if not nulls.any():
        return read
    if blank == "positive":
        raise DataError(
            "data.blank: positive is for columns of 0 and 1; an image without a list cannot have "
            "all classes"
        )
    images = "1 image has" if nulls.sum() == 1 else f"{nulls.sum()} images have"
    note = f"{images} null for labels, taken as {blank} for every class (data.blank)"
    known = None
    if blank == "unknown":
        lengths = np.where(nulls, 0, len(read.class_names))
        indices = np.tile(np.arange(len(read.class_names)), int((~nulls).sum()))
        indptr = np.concatenate([[0], np.cumsum(lengths)])
        known = csr_array((np.ones(len(indices), np.bool_), indices, indptr), read.labels.shape)
    return Labels(read.class_names, read.labels, known, notes=(*read.notes, note))


def _needed(names: Sequence[str] | None, where: str) -> tuple[str, ...]:
    if not names:
        raise DataError(
            f"{where}: its labels are numbers; name the classes, from number 0 on: "
            "data.class_names: [...]"
        )
    return tuple(names)


def _as_numbers(column: pa.Array, what: str) -> np.ndarray:
    """As float64, null as NaN."""
    kind: Any = column.type
    if pa.types.is_boolean(kind):
        column = column.cast(pa.int8())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind)):
        raise DataError(
            f"{what} is of the type {kind}; expected 0 and 1, or true and false. If this is not a "
            "class, name the classes: data.class_names: [...]"
        )
    return np.array(column.cast(pa.float64()).to_numpy(zero_copy_only=False))
