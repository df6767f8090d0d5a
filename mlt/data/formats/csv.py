"""CSV tables to a label table: class names in one column, or one column per class."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Literal, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_array

from mlt.data.columns import StringColumn, duplicates
from mlt.data.formats.csv_table import CsvTable
from mlt.data.labels import LabelTable
from mlt.data.sparse import csr_from_runs
from mlt.errors import ConfigError, DataError

__all__ = ["Meaning", "read_csv"]

log = logging.getLogger(__name__)

Meaning = Literal["negative", "positive", "unknown"]
"""What an entry that is not a plain 0 or 1 is taken for."""

_MEANINGS = ("negative", "positive", "unknown")
_NEGATIVE, _POSITIVE, _UNCERTAIN, _BLANK = range(4)
_ROWS_AT_ONCE = 1 << 18


def read_csv(
    file: str | Path,
    image_root: str | Path,
    *,
    path_column: str = "path",
    labels_column: str | None = "labels",
    separator: str = "|",
    id_column: str | None = None,
    class_names: Sequence[str] | None = None,
    blank: Meaning = "negative",
    uncertain: Meaning = "unknown",
    delimiter: str = ",",
) -> LabelTable:
    """Read a CSV file with a header line as a label table.

    There are two layouts. In the first, the column ``labels_column`` lists names of classes::

        path,labels
        a.jpg,cat|dog

    In the second, with ``labels_column=None``, there is one column per class, holding 1 (has the
    class), 0 (does not have it), -1 (uncertain) or nothing; ``1.0`` and the like are fine::

        path,cat,dog
        a.jpg,1,-1

    How many entries of each kind there were, and what they were taken for, is logged.

    Args:
        file: The CSV file, UTF-8, with or without byte order mark.
        image_root: The folder that the paths start from.
        path_column: Header of the column of image paths.
        labels_column: Header of the column of class names; None for one column per class.
        separator: Between class names in ``labels_column``; space around names is dropped.
        id_column: Header of the column of image ids; the paths are the ids if None.
        class_names: C names, in the order of the label columns. None takes, in the first layout,
            the names that occur, sorted; in the second, every column that is neither path nor id.
        blank: What an empty entry is taken for. In the first layout, an image with no class name.
        uncertain: What -1 is taken for.
        delimiter: Between columns.

    Returns:
        A table with string ids, of N images and C classes; ``known`` is None if nothing is unknown.

    Raises:
        MissingFileError: If the file does not exist.
        DataError: If a column is absent, an entry is not a label, a row is too short or repeats an
            image; the message gives the line.
        ConfigError: If ``blank`` or ``uncertain`` is not one of the three meanings.

    Example:
        >>> import tempfile
        >>> table = Path(tempfile.mkdtemp()) / "labels.csv"
        >>> _ = table.write_text("path,cat,dog\\na.jpg,1,\\nb.jpg,0,-1.0\\n")
        >>> read = read_csv(table, "photos", labels_column=None)
        >>> read.targets([0, 1]).tolist(), read.known_mask([0, 1]).tolist()
        ([[1.0, 0.0], [0.0, 0.0]], [[True, True], [True, False]])
    """
    for name, meaning in (("blank", blank), ("uncertain", uncertain)):
        if meaning not in _MEANINGS:
            raise ConfigError(f"{name} must be one of {', '.join(_MEANINGS)}, got {meaning!r}")
    if labels_column is not None and blank == "positive":
        raise ConfigError("with labels_column, blank must be negative or unknown, got 'positive'")
    table = CsvTable(Path(file), delimiter)
    path_at = table.position(path_column)
    id_at = path_at if id_column is None else table.position(id_column)
    if labels_column is None:
        if class_names is None:
            class_names = [c for c in table.header if c not in (path_column, id_column)]
        labels_at = [table.position(name) for name in class_names]
        paths, ids, *cells = table.columns([path_at, id_at, *labels_at])
        labels, known = _from_class_columns(table, cells, class_names, blank, uncertain)
    else:
        remedy = "; for one column per class, set labels_column to null"
        labels_at = [table.position(labels_column, remedy)]
        paths, ids, cell = table.columns([path_at, id_at, *labels_at])
        labels, known, class_names = _from_names(
            table, cell, labels_column, separator, class_names, blank
        )
    if len(empty := np.flatnonzero(pc.equal(paths, "").to_numpy(zero_copy_only=False))):
        raise DataError(f"{table.line(empty[0])}: the path is empty")
    if id_column is not None:
        _check_distinct(table, "path", paths)
    names, root = tuple(class_names), Path(image_root)
    try:
        return LabelTable(StringColumn(ids), StringColumn(paths), names, labels, known, root)
    except DataError:
        _check_distinct(table, "path" if id_column is None else "image id", ids)
        raise


def _check_distinct(table: CsvTable, kind: str, column: pa.Array) -> None:
    """Refuse an image that is listed twice; says in which lines."""
    if twice := duplicates(StringColumn(column)):
        rows = np.flatnonzero(pc.equal(column, twice[0]).to_numpy(zero_copy_only=False))
        lines = table.lines(rows[:5].tolist())
        raise DataError(
            f"{table.file}: {len(twice)} {kind}s occur more than once, "
            f"{twice[0]!r} in lines {', '.join(map(str, lines))}"
        )


_WRONG = 255


def _code(entry: str) -> int:
    """What an entry of a class column is; ``_WRONG`` if it is not a label."""
    try:
        value = float(entry) if entry.strip() else None
    except ValueError:
        return _WRONG
    return {None: _BLANK, 0.0: _NEGATIVE, 1.0: _POSITIVE, -1.0: _UNCERTAIN}.get(value, _WRONG)


def _from_class_columns(
    table: CsvTable,
    cells: Sequence[pa.Array],
    class_names: Sequence[str],
    blank: Meaning,
    uncertain: Meaning,
) -> tuple[csr_array, csr_array | None]:
    if not class_names:
        raise DataError(f"{table.file} has no column that could be a class")
    entries = np.empty((len(cells[0]), len(cells)), np.uint8)
    for column, cell in enumerate(cells):
        spellings = cell.dictionary_encode()
        codes = np.array([_code(entry) for entry in spellings.dictionary.to_pylist()], np.uint8)
        entries[:, column] = codes[spellings.indices.to_numpy()]
    if len(wrong := np.argwhere(entries == _WRONG)):
        _refuse_entry(table, cells, class_names, *wrong[0])
    counts = np.bincount(entries.reshape(-1), minlength=4)
    log.info(
        "%s: %d images, %d classes; entries: %d positive, %d negative, "
        "%d uncertain (taken as %s), %d blank (taken as %s)",
        table.file,
        len(entries),
        len(class_names),
        counts[_POSITIVE],
        counts[_NEGATIVE],
        counts[_UNCERTAIN],
        uncertain,
        counts[_BLANK],
        blank,
    )
    meanings = np.array(["negative", "positive", uncertain, blank])
    positive = (meanings == "positive")[entries]
    known = (meanings != "unknown")[entries]
    return csr_array(positive), None if bool(known.all()) else csr_array(known)


def _refuse_entry(
    table: CsvTable, cells: Sequence[pa.Array], class_names: Sequence[str], row: int, column: int
) -> NoReturn:
    name, entry = class_names[column], cells[column][row].as_py()
    raise DataError(
        f"{table.line(row)}, column {name!r}: {entry!r} is not a label; expected "
        f"1, 0, -1 or nothing. If this column is not a class, give class_names; if it lists "
        f"names of classes, give labels_column={name!r}"
    )


def _from_names(
    table: CsvTable,
    cell: pa.Array,
    labels_column: str,
    separator: str,
    class_names: Sequence[str] | None,
    blank: Meaning,
) -> tuple[csr_array, csr_array | None, Sequence[str]]:
    found, names, lengths = _split_names(cell, separator)
    if class_names is None:
        class_names = sorted(name for name in found if name)
        for alike in _alike_but_for_case(class_names):
            log.warning("%s: are the classes %s one class?", table.file, alike)
    if not class_names:
        raise DataError(f"{table.file} has no class name in its column {labels_column!r}")
    column_of = {name: c for c, name in enumerate(class_names)}
    # Nothing between two separators names no class: -1. What is not a class: -2.
    columns_of = [-1 if not name else column_of.get(name, -2) for name in found]
    columns = np.array(columns_of, np.int32)[names]
    ends = np.cumsum(lengths, dtype=np.int64)
    if len(wrong := np.flatnonzero(columns == -2)):
        unknown = found[names[wrong[0]]]
        close = get_close_matches(unknown, class_names, n=1, cutoff=0.75)
        raise DataError(
            f"{table.line(np.searchsorted(ends, wrong[0], side='right'))}: "
            f"{unknown!r} is not among the {len(class_names)} class names: "
            f"{', '.join(class_names[:20])}; "
            f"{f'did you mean {close[0]!r}? Or ' if close else ''}is {separator!r} the separator?"
        )
    named = np.concatenate([[0], np.cumsum(columns >= 0)])
    indptr = named[np.concatenate([[0], ends])]
    labels = csr_from_runs(columns[columns >= 0], indptr, len(class_names))
    filled = np.diff(indptr) > 0
    log.info(
        "%s: %d images, %d classes; %d labels, %d images without a class name (taken as %s)",
        table.file,
        len(filled),
        len(class_names),
        indptr[-1],
        int((~filled).sum()),
        blank,
    )
    if blank == "negative" or bool(filled.all()):
        return labels, None, class_names
    known = np.repeat(filled[:, None], len(class_names), axis=1)
    return labels, csr_array(known), class_names


def _alike_but_for_case(class_names: Sequence[str]) -> Iterator[str]:
    """The classes that differ in nothing but capitals, as they come from tables typed by hand."""
    spellings: dict[str, list[str]] = {}
    for name in class_names:
        spellings.setdefault(name.casefold(), []).append(name)
    return (" and ".join(map(repr, names)) for names in spellings.values() if len(names) > 1)


def _split_names(cell: pa.Array, separator: str) -> tuple[list[str], np.ndarray, np.ndarray]:
    """The different names of a column, which of them each entry lists, and how many it lists."""
    found: dict[str, int] = {}
    names, lengths = [np.empty(0, np.int32)], [np.empty(0, np.int32)]
    for first in range(0, len(cell), _ROWS_AT_ONCE):
        listed = pc.split_pattern(cell[first : first + _ROWS_AT_ONCE], separator)
        part = pc.utf8_trim_whitespace(listed.flatten()).dictionary_encode()
        numbers = [found.setdefault(name, len(found)) for name in part.dictionary.to_pylist()]
        names.append(np.array(numbers, np.int32)[part.indices.to_numpy()])
        lengths.append(pc.list_value_length(listed).to_numpy())
    return list(found), np.concatenate(names), np.concatenate(lengths)
