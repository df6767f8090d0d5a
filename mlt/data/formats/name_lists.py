"""The layout with a column that lists the class names of each image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_array

from mlt.data.formats.cells import is_blank
from mlt.data.formats.list_cells import are_list_literals, parse_list
from mlt.data.formats.name_suspicions import (
    name_with_shared_word,
    other_separator,
    suspicious_names,
)
from mlt.data.formats.read_labels import ReadLabels, amount, readable_names
from mlt.data.formats.table import Table
from mlt.data.sparse import csr_from_runs
from mlt.errors import DataError

if TYPE_CHECKING:
    from mlt.data.formats.table_format import TableFormat

__all__ = ["read_name_lists"]

_ROWS_AT_ONCE = 1 << 18
_NOTHING, _NEGATIVE = -1, -2
_LISTS = pa.large_list(pa.large_string())


def read_name_lists(
    table: Table,
    cells: pa.Array,
    form: TableFormat,
    class_names: Sequence[str] | None = None,
    names_of: Mapping[str, str] | None = None,
) -> ReadLabels:
    """Read the labels of a column that lists names.

    Args:
        table: Where the column is from, for messages.
        cells: N cells; strings, or lists of strings.
        form: What separates names, and which names mean none of the classes.
        class_names: Classes, which are the first columns, whether they occur or not. Other names
            that occur are the next ones, in alphabetical order.
        names_of: Names that stand for what is written.

    Raises:
        DataError: If there is no class name, or none of ``class_names``; if names look like lists
            that are separated otherwise.
    """
    assert form.labels_column is not None
    written, names, lengths, notes = _split(table, cells, form)
    found, more = readable_names(written, names_of)
    notes += more
    given = tuple(class_names or ())
    said_blank = {name for name in found if is_blank(name) and name not in given}
    said_none = {*form.negatives}
    others = sorted({*found} - said_blank - said_none - {*given})
    classes = (*given, *others)
    if not classes:
        raise DataError(f"{table.source} has no class name in its column {form.labels_column!r}")
    column_of = {
        **{name: column for column, name in enumerate(classes)},
        **dict.fromkeys(said_blank, _NOTHING),
        **dict.fromkeys(said_none, _NEGATIVE),
    }
    columns = np.array([column_of[name] for name in found], np.int32)[names]
    ends = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    if given and others:
        notes += _names_that_are_not_classes(table, given, others, columns, ends, form)
    notes += suspicious_names(classes)
    notes += _blank_names(found, names, said_blank)
    are_classes = columns >= 0
    indptr = ends if are_classes.all() else _sums(are_classes)[ends]
    filled = np.diff(indptr) > 0
    labels = csr_from_runs(columns[are_classes], indptr, len(classes))
    if form.negatives:
        without = np.diff(_sums(columns == _NEGATIVE)[ends]) > 0
        notes += _negatives_notes(form, found, without, filled, classes)
        filled |= without
    known = None
    if not bool(filled.all()) and form.blank == "unknown":
        known = csr_array(np.repeat(filled[:, None], len(classes), axis=1))
        empty = amount(int((~filled).sum()), "image has", "images have")
        notes.append(f"{empty} no class name, so nothing is known about them")
    return ReadLabels(classes, labels, known, notes=tuple(notes))


def _sums(mask: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(mask)])


def _split(
    table: Table, cells: pa.Array, form: TableFormat
) -> tuple[list[str], np.ndarray, np.ndarray, list[str]]:
    """The different names of a column, which of them each cell lists, and how many it lists."""
    notes: list[str] = []
    literals = None
    are_lists = pa.types.is_large_list(cells.type)
    if are_lists:
        parts = iter([cells])
    elif (literals := _list_literals(cells)) is not None:
        parts = iter([_parse_literals(table, cells, literals)])
        example = next(text for text in literals if not is_blank(text))
        notes.append(f"column {form.labels_column!r} holds lists, such as {example[:60]!r}")
    else:
        starts = range(0, len(cells), _ROWS_AT_ONCE)
        chunks = (cells[first : first + _ROWS_AT_ONCE] for first in starts)
        parts = (pc.split_pattern(chunk, form.separator or "|") for chunk in chunks)
    found, names, lengths = _number_names(parts)
    if literals is None and not are_lists and form.separator is None:
        notes += _other_separators(table, found, names, lengths)
    return found, names, lengths, notes


def _number_names(parts: Iterator[pa.Array]) -> tuple[list[str], np.ndarray, np.ndarray]:
    found: dict[str, int] = {}
    names, lengths = [np.empty(0, np.int32)], [np.empty(0, np.int64)]
    for listed in parts:
        part = listed.flatten().dictionary_encode()
        numbers = [
            found.setdefault(name.strip(), len(found)) for name in part.dictionary.to_pylist()
        ]
        names.append(np.array(numbers, np.int32)[part.indices.to_numpy()])
        lengths.append(pc.list_value_length(listed).to_numpy())
    return list(found), np.concatenate(names), np.concatenate(lengths)


def _list_literals(cells: pa.Array) -> list[str] | None:
    """The different cells, if all are list literals."""
    filled = (text for text in map(str, cells) if not is_blank(text))
    if not are_list_literals(islice(filled, 1)):
        return None
    distinct = pc.unique(cells).to_pylist()
    return distinct if are_list_literals(distinct) else None


def _parse_literals(table: Table, cells: pa.Array, distinct: list[str]) -> pa.Array:
    text = ""
    try:
        lists = pa.array([parse_list(text := cell) for cell in distinct], _LISTS)
    except ValueError as error:
        raise DataError(f"{table.line(pc.index(cells, text).as_py())}: {error}") from None
    return lists.take(pc.index_in(cells, value_set=pa.array(distinct, cells.type)))


def _other_separators(
    table: Table, found: list[str], names: np.ndarray, lengths: np.ndarray
) -> list[str]:
    """Refuse names that are lists with another separator; a note on those that may be."""
    if bool((lengths > 1).any()):
        return []
    other = other_separator(found)
    if other is None and (name := name_with_shared_word(found)):
        return [
            f"names of several words, such as {name!r}, are taken for one class each; if they "
            'list several, set separator: " "'
        ]
    if other is None:
        return []
    example = next(n for n, name in enumerate(found) if other in name)
    row = int(np.argmax(names == example))  # a name per cell
    kind = {" ": "spaces", ",": "commas", ";": "semicolons"}.get(other, repr(other))
    raise DataError(
        f"{table.line(row)}: {found[example][:80]!r} looks like a list with {kind} between its "
        f'names, as in other lines. If so, set separator: "{other}"; if it is the name of one '
        'class, set separator: "|"'
    )


def _names_that_are_not_classes(
    table: Table,
    given: tuple[str, ...],
    others: list[str],
    columns: np.ndarray,
    ends: np.ndarray,
    form: TableFormat,
) -> list[str]:
    """Notes on misspelt names; refused where no name is a class."""
    first = {name: len(given) + n for n, name in enumerate(others)}

    def line(name: str) -> str:
        place = int(np.argmax(columns == first[name]))
        return table.line(int(np.searchsorted(ends, place, side="right")) - 1)

    close = {name: get_close_matches(name, given, n=1, cutoff=0.75) for name in others[:1000]}
    if not bool(((columns >= 0) & (columns < len(given))).any()):
        name = others[0]
        hint = f"did you mean {close[name][0]!r}? Or " if close[name] else ""
        raise DataError(
            f"{line(name)}: {name!r} is not among the {len(given)} class names, and neither is any "
            f"other: {', '.join(given[:20])}; {hint}is {form.separator or '|'!r} the separator?"
        )
    misspelt = [(name, near[0]) for name, near in close.items() if near][:5]
    return [f"{line(name)}: {name!r} is not a class; did you mean {n!r}?" for name, n in misspelt]


def _blank_names(found: list[str], names: np.ndarray, blank: set[str]) -> list[str]:
    if words := sorted(name for name in blank if name):
        counts = np.bincount(names, minlength=len(found))
        number = sum(int(counts[n]) for n, name in enumerate(found) if name in words)
        shown = ", ".join(map(repr, words))
        return [
            f"{amount(number, 'name', 'names')} {shown} taken for blank; if it is a class, list it "
            "in class_names"
        ]
    return []


def _negatives_notes(
    form: TableFormat,
    found: list[str],
    without: np.ndarray,
    filled: np.ndarray,
    classes: Sequence[str],
) -> list[str]:
    names = ", ".join(map(repr, form.negatives))
    number = amount(int(without.sum()), "image has", "images have")
    notes = [f"{number} none of the classes by {names}"]
    if both := int((without & filled).sum()):
        notes.append(f"{amount(both, 'of them has', 'of them have')} a class too, which counts")
    absent = {name: get_close_matches(name, classes, n=1) for name in {*form.negatives} - {*found}}
    return notes + [
        f"negatives: {name!r} does not occur; did you mean {close[0]!r}?"
        for name, close in absent.items()
        if close
    ]
