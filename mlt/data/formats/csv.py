"""CSV tables to a label table: class names in one column, or one column a class."""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.sparse import csr_array

from mlt.data.columns import StringColumn, duplicates
from mlt.data.labels import LabelTable
from mlt.data.sparse import csr_from_runs
from mlt.errors import ConfigError, DataError, MissingFileError

__all__ = ["Meaning", "csv_rows", "read_csv"]

log = logging.getLogger(__name__)

Meaning = Literal["negative", "positive", "unknown"]
"""What an entry that is not a plain 0 or 1 is taken for."""

_MEANINGS = ("negative", "positive", "unknown")
_NEGATIVE, _POSITIVE, _UNCERTAIN, _BLANK = range(4)


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

    In the second, with ``labels_column=None``, there is one column a class, holding 1 (has the
    class), 0 (has it not), -1 (uncertain) or nothing; ``1.0`` and the like are fine::

        path,cat,dog
        a.jpg,1,-1

    How many entries of each kind there were, and what they were taken for, is logged.

    Args:
        file: The CSV file, UTF-8, with or without byte order mark.
        image_root: The folder that the paths start from.
        path_column: Header of the column of image paths.
        labels_column: Header of the column of class names; None for one column a class.
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
        DataError: If a column is absent, an entry is no label, a row is too short or repeats an
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
    rows = _Rows(Path(file), delimiter)
    image = _ImageColumns(rows, path_column, id_column)
    if labels_column is None:
        if class_names is None:
            class_names = [c for c in rows.header if c not in (path_column, id_column)]
        labels, known = _from_class_columns(rows, image, class_names, blank, uncertain)
    else:
        labels, known, class_names = _from_names(
            rows, image, labels_column, separator, class_names, blank
        )
    paths, ids = image.finish()
    return LabelTable(ids, paths, tuple(class_names), labels, known, Path(image_root))


def csv_rows(file: Path, delimiter: str = ",") -> Iterator[tuple[int, list[str]]]:
    """Read the rows of a CSV file, header included, each with its line number.

    Blank lines are skipped.

    Args:
        file: The file, UTF-8, with or without byte order mark.
        delimiter: Between columns.

    Raises:
        DataError: If it is not UTF-8 or its quotes do not fit together; the message gives the line.
    """
    # utf-8-sig drops the byte order mark that spreadsheets write.
    with file.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream, delimiter=delimiter, strict=True)
        try:
            for row in reader:
                if row:
                    yield reader.line_num, row
        except csv.Error as error:
            raise DataError(f"{file}, line {reader.line_num}: {error}") from None
        except UnicodeDecodeError as error:
            raise DataError(
                f"{file} is not UTF-8 near line {reader.line_num + 1} ({error}); save it as UTF-8"
            ) from None


class _Rows:
    """The rows of a CSV file, each with its line number and of the width of the header."""

    def __init__(self, file: Path, delimiter: str) -> None:
        if not file.is_file():
            raise MissingFileError(f"there is no CSV file {file}")
        self.file = file
        self.delimiter = delimiter
        self.header = next(csv_rows(file, delimiter), (0, []))[1]
        if not self.header:
            raise DataError(f"{file} is empty; expected a header line")

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        rows = csv_rows(self.file, self.delimiter)
        next(rows)
        width = len(self.header)
        for line, row in rows:
            if len(row) != width:
                raise DataError(
                    f"{self.file}, line {line}: {len(row)} columns, but the header has {width}"
                )
            yield line, row

    def position(self, column: str, remedy: str = "") -> int:
        """The index of a column, which must be there once."""
        count = self.header.count(column)
        if count != 1:
            amount = f"{count} columns" if count else "no column"
            shown = ", ".join(map(repr, self.header[:20]))
            raise DataError(
                f"{self.file} has {amount} {column!r}; its columns, taken apart at "
                f"{self.delimiter!r}, are {shown}{remedy}"
            )
        return self.header.index(column)


class _ImageColumns:
    """Collects path and id of each row."""

    def __init__(self, rows: _Rows, path_column: str, id_column: str | None) -> None:
        self.file = rows.file
        self.path_at = rows.position(path_column)
        self.id_at = None if id_column is None else rows.position(id_column)
        self.paths: list[str] = []
        self.ids: list[str] = []
        self.lines: list[int] = []

    def add(self, line: int, row: list[str]) -> None:
        path = row[self.path_at]
        if not path:
            raise DataError(f"{self.file}, line {line}: the path is empty")
        self.paths.append(path)
        self.lines.append(line)
        if self.id_at is not None:
            self.ids.append(row[self.id_at])

    def finish(self) -> tuple[StringColumn, StringColumn]:
        """Paths and ids, each distinct."""
        paths = self._distinct("path", self.paths)
        return paths, paths if self.id_at is None else self._distinct("image id", self.ids)

    def _distinct(self, kind: str, values: list[str]) -> StringColumn:
        column = StringColumn.from_iterable(values)
        if twice := duplicates(column):
            lines = [line for value, line in zip(values, self.lines) if value == twice[0]]
            raise DataError(
                f"{self.file}: {len(twice)} {kind}s occur more than once, "
                f"{twice[0]!r} in lines {', '.join(map(str, lines[:5]))}"
            )
        return column


class _Codes(dict[str, int]):
    """Entry as it stands in the file -> its code; spellings are learnt as they come."""

    def __missing__(self, entry: str) -> int:
        try:
            value = float(entry) if entry.strip() else None
        except ValueError:
            value = np.nan
        codes = {None: _BLANK, 0.0: _NEGATIVE, 1.0: _POSITIVE, -1.0: _UNCERTAIN}
        if value not in codes:
            raise KeyError(entry)
        self[entry] = codes[value]
        return self[entry]


def _from_class_columns(
    rows: _Rows,
    image: _ImageColumns,
    class_names: Sequence[str],
    blank: Meaning,
    uncertain: Meaning,
) -> tuple[csr_array, csr_array | None]:
    if not class_names:
        raise DataError(f"{rows.file} has no column that could be a class")
    positions = [rows.position(name) for name in class_names]
    # itemgetter with one position gives the bare entry.
    pick = itemgetter(*positions) if len(positions) > 1 else lambda row: (row[positions[0]],)
    codes = _Codes()
    collected = bytearray()
    for line, row in rows:
        image.add(line, row)
        try:
            collected += bytes(map(codes.__getitem__, pick(row)))
        except KeyError as error:
            entry = error.args[0]
            column = class_names[pick(row).index(entry)]
            raise DataError(
                f"{rows.file}, line {line}, column {column!r}: {entry!r} is not a label; expected "
                f"1, 0, -1 or nothing. If this column is no class, give class_names; if it lists "
                f"names of classes, give labels_column={column!r}"
            ) from None
    entries = np.frombuffer(collected, np.uint8).reshape(-1, len(class_names))
    counts = np.bincount(entries.reshape(-1), minlength=4)
    log.info(
        "%s: %d images, %d classes; entries: %d positive, %d negative, "
        "%d uncertain (taken as %s), %d blank (taken as %s)",
        rows.file,
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


def _from_names(
    rows: _Rows,
    image: _ImageColumns,
    labels_column: str,
    separator: str,
    class_names: Sequence[str] | None,
    blank: Meaning,
) -> tuple[csr_array, csr_array | None, Sequence[str]]:
    labels_at = rows.position(labels_column, "; for one column a class, set labels_column to null")
    found: dict[str, int] = {name: c for c, name in enumerate(class_names or ())}
    indices: list[int] = []
    ends = [0]
    for line, row in rows:
        image.add(line, row)
        for name in filter(None, map(str.strip, row[labels_at].split(separator))):
            if class_names is not None and name not in found:
                raise DataError(
                    f"{rows.file}, line {line}: {name!r} is not among the {len(found)} class "
                    f"names: {', '.join(list(found)[:20])}; is {separator!r} the separator?"
                )
            indices.append(found.setdefault(name, len(found)))
        ends.append(len(indices))
    columns, indptr = np.array(indices, np.int64), np.array(ends)
    if class_names is None:
        class_names = sorted(found)
        rank = {name: c for c, name in enumerate(class_names)}
        columns = np.array([rank[name] for name in found], np.int64)[columns]
    if not class_names:
        raise DataError(f"{rows.file} has no class name in its column {labels_column!r}")
    labels = csr_from_runs(columns, indptr, len(class_names))
    filled = np.diff(indptr) > 0
    log.info(
        "%s: %d images, %d classes; %d labels, %d images without a class name (taken as %s)",
        rows.file,
        len(filled),
        len(class_names),
        len(columns),
        int((~filled).sum()),
        blank,
    )
    if blank == "negative" or bool(filled.all()):
        return labels, None, class_names
    known = np.repeat(filled[:, None], len(class_names), axis=1)
    return labels, csr_array(known), class_names
