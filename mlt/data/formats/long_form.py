"""The layout with a line per image and class, as Open Images has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_array

from mlt.data.formats.cells import (
    POSITIVE,
    VALUE,
    WRONG,
    check_policies,
    explain,
    is_blank,
    meanings,
    read_cell,
)
from mlt.data.formats.name_suspicions import suspicious_names
from mlt.data.formats.read_labels import ReadLabels, amount, readable_names
from mlt.data.formats.table import Table
from mlt.data.sparse import csr_from_pairs
from mlt.errors import DataError

if TYPE_CHECKING:
    from mlt.data.formats.table_format import TableFormat

__all__ = ["read_long_form"]

_NOTHING, _NEGATIVE = -1, -2


def read_long_form(
    table: Table,
    ids: pa.Array,
    names: pa.Array,
    values: pa.Array | None,
    form: TableFormat,
    class_names: Sequence[str] | None = None,
    names_of: Mapping[str, str] | None = None,
) -> ReadLabels:
    """Read labels from lines of an image and a class.

    Of several lines for one image and class, one that says present outweighs one that says absent,
    that outweighs one that says unknown, and the highest soft target counts.

    Args:
        table: Where the columns are from, for messages.
        ids: The image of each of R lines.
        names: The class of each line; an image without classes has a line with an empty one.
        values: What each line says about it; None: that it is present.
        form: What values mean, and what is not listed means.
        class_names: Classes, which are the first columns, whether they occur or not. Other names
            that occur are the next ones, in alphabetical order.
        names_of: Names that stand for what is written.

    Returns:
        Labels of N images, in the order of their first lines.

    Raises:
        DataError: If there is no class name, none of ``class_names``, or a value means nothing.
        ConfigError: If there is a policy for what is not a class.
    """
    images = ids.dictionary_encode()
    image_of = images.indices.to_numpy().astype(np.int64)
    # The dictionary is in the order of first lines.
    first_rows = np.flatnonzero(np.diff(np.maximum.accumulate(image_of), prepend=-1))
    classes, column_of, notes = _columns(table, names, form, class_names, names_of)
    shape = (len(first_rows), len(classes))

    kinds, targets = _read_values(table, values, form, len(ids))
    meaning = meanings([*classes, "", ""], form)  # the last two for no class and for negatives
    targets = np.where(kinds == VALUE, targets, meaning[column_of, np.minimum(kinds, 3)])
    without = np.zeros(shape[0], bool)
    without[image_of[(column_of == _NEGATIVE) & (kinds == POSITIVE)]] = True

    said = column_of >= 0
    keys = image_of[said] * shape[1] + column_of[said]
    pairs, target, contradicted, repeated = _strongest(keys, targets[said])
    rows, columns = pairs // shape[1], pairs % shape[1]
    present = target >= 0.5
    labels = csr_from_pairs(rows[present], columns[present], shape)
    unlisted = form.unlisted or ("unknown" if form.value_column else "negative")
    known = _known(rows, columns, ~np.isnan(target), unlisted, without, shape)
    soft = None
    if bool((kinds == VALUE).any()):
        kept = target > 0
        soft = csr_array((target[kept], (rows[kept], columns[kept])), shape=shape)
        notes.append("values between 0 and 1 are soft targets, and labels from 0.5 on")
    notes += _notes(form, target, unlisted, repeated, contradicted, without, shape)
    return ReadLabels(classes, labels, known, soft, tuple(notes), first_rows)


def _columns(
    table: Table,
    names: pa.Array,
    form: TableFormat,
    class_names: Sequence[str] | None,
    names_of: Mapping[str, str] | None,
) -> tuple[tuple[str, ...], np.ndarray, list[str]]:
    """The classes, the column of each line, and notes."""
    spellings = pc.utf8_trim_whitespace(names).dictionary_encode()
    written = spellings.dictionary.to_pylist()
    found, notes = readable_names(written, names_of)
    given = tuple(class_names or ())
    nothing = {name for name in found if is_blank(name) and name not in given}
    others = sorted({*found} - nothing - {*form.negatives} - {*given})
    classes = (*given, *others)
    if not classes:
        raise DataError(f"{table.source} has no class name in its column {form.labels_column!r}")
    if given and others and not {*given} & {*found}:
        raise DataError(
            f"{table.source}: none of the {len(given)} class names is in its column "
            f"{form.labels_column!r}, which has {', '.join(map(repr, others[:5]))}"
        )
    check_policies(form, classes)
    column_of = {
        **{name: column for column, name in enumerate(classes)},
        **dict.fromkeys(nothing, _NOTHING),
        **dict.fromkeys(form.negatives, _NEGATIVE),
    }
    notes += suspicious_names(classes)
    for name in others[:1000] if given else ():
        if close := get_close_matches(name, given, n=1, cutoff=0.75):
            notes.append(f"{name!r} is not a class; did you mean {close[0]!r}?")
    columns = np.array([column_of[name] for name in found], np.int64)
    return classes, columns[spellings.indices.to_numpy()], notes


def _read_values(
    table: Table, values: pa.Array | None, form: TableFormat, lines: int
) -> tuple[np.ndarray, np.ndarray]:
    """What each line says: kinds (R,) uint8 and, for values, targets (R,) float32."""
    if values is None:
        return np.full(lines, POSITIVE, np.uint8), np.ones(lines, np.float32)
    spellings = values.dictionary_encode()
    read = [read_cell(text, form) for text in spellings.dictionary.to_pylist()]
    indices = spellings.indices.to_numpy()
    kinds = np.array([cell.kind for cell in read], np.uint8)[indices]
    if bool((kinds == WRONG).any()):
        row = int(np.argmax(kinds == WRONG))
        text = values[row].as_py()
        raise DataError(
            f"{table.line(row)}, column {form.value_column!r}: {text!r} does not say whether the "
            f"class is there; {explain(text, form)}"
        )
    return kinds, np.array([cell.target for cell in read], np.float32)[indices]


def _strongest(keys: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray, int, int]:
    """The different keys, the highest target of each, and how many are repeated and contradicted.

    NaN, which is unknown, is the lowest.
    """
    if not len(keys):
        return keys, targets, 0, 0
    order = np.argsort(keys, kind="stable")
    keys, strength = keys[order], np.nan_to_num(targets[order], nan=-1.0)
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    highest = np.maximum.reduceat(strength, starts)
    lowest = np.minimum.reduceat(strength, starts)
    target = np.where(highest < 0, np.nan, highest)
    repeated = int((np.diff(starts, append=len(keys)) > 1).sum())
    return keys[starts], target, int((lowest < highest).sum()), repeated


def _known(
    rows: np.ndarray,
    columns: np.ndarray,
    is_known: np.ndarray,
    unlisted: str,
    without: np.ndarray,
    shape: tuple[int, int],
) -> csr_array | None:
    if unlisted == "negative" and bool(is_known.all()):
        return None
    if unlisted == "unknown" and not bool(without.any()):
        return csr_from_pairs(rows[is_known], columns[is_known], shape)
    dense = np.repeat(without[:, None] | (unlisted == "negative"), shape[1], axis=1)
    dense[rows, columns] = is_known
    return csr_array(dense)


def _notes(
    form: TableFormat,
    target: np.ndarray,
    unlisted: str,
    repeated: int,
    contradicted: int,
    without: np.ndarray,
    shape: tuple[int, int],
) -> list[str]:
    present = int((target >= 0.5).sum())
    unknown = int(np.isnan(target).sum())
    rest = shape[0] * shape[1] - len(target)
    notes = [
        f"{present:,} labels are present, {len(target) - present - unknown:,} absent, "
        f"{unknown:,} uncertain; {rest:,} are not listed, taken as {unlisted}"
    ]
    if repeated:
        note = f"{amount(repeated, 'label is', 'labels are')} listed more than once"
        if contradicted:
            number = amount(contradicted, "of them is", "of them are")
            note += f"; {number} contradicted: present goes before absent, absent before unknown"
        notes.append(note)
    if form.negatives:
        number = amount(int(without.sum()), "image has", "images have")
        names = ", ".join(map(repr, form.negatives))
        notes.append(f"{number} none of the classes by {names}: what is not listed is negative")
    return notes
