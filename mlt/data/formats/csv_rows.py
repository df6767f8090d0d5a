"""The rows of a CSV file as Python's strict reader has them, and what separates its columns."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from mlt.data.formats.table import open_unpacked
from mlt.errors import DataError

__all__ = ["csv_rows", "encoding_by_mark", "find_delimiter", "first_row"]

_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_DELIMITERS = {".tsv": "\t", ".tab": "\t"}
_OTHER_DELIMITERS = (";", "\t", "|", ",")


def csv_rows(
    file: Path, delimiter: str = ",", encoding: str | None = None
) -> Iterator[tuple[int, list[str]]]:
    """Read the rows of a CSV file, header included, each with its line number.

    Blank lines are skipped. Files that end in ``.gz`` are unpacked.

    Args:
        file: The file.
        delimiter: Between columns; a space stands for several, too.
        encoding: Of the text; None is UTF-8, with or without byte order mark, or what the mark at
            the beginning of the file says.

    Raises:
        DataError: If the text is not in this encoding, its quotes do not fit together, or the file
            cannot be unpacked; the message gives the line.
    """
    encoding = encoding or encoding_by_mark(file)
    line = 0
    try:
        with open_unpacked(file, "rt", encoding=encoding, newline="") as stream:
            reader = csv.reader(
                stream, delimiter=delimiter, strict=True, skipinitialspace=delimiter == " "
            )
            for row in reader:
                line = reader.line_num
                if delimiter == " " and row and not row[-1]:
                    row.pop()  # a space at the end of the line
                if row:
                    yield line, row
    except csv.Error as error:
        place = f"{file}, line {reader.line_num}"
        raise DataError(f"{place}: {_what_is_wrong(error, line + 1, reader.line_num)}") from None
    except UnicodeError as error:
        _refuse_text(file, encoding, error)


def find_delimiter(file: Path, encoding: str | None = None, *, header: bool = True) -> str:
    """What separates the columns of a CSV file, by its ending and its first line.

    Args:
        file: The file.
        encoding: As of :func:`csv_rows`.
        header: Whether the first line names columns; without, spaces may separate them, too.
    """
    by_ending = _DELIMITERS.get(Path(file.name.removesuffix(".gz")).suffix.lower(), ",")
    others = _OTHER_DELIMITERS if header else (*_OTHER_DELIMITERS, " ")
    for delimiter in (by_ending, *others):
        # A table of labels has two columns at least.
        if _width(file, delimiter, encoding) > 1:
            return delimiter
    return by_ending


def first_row(file: Path, delimiter: str, encoding: str | None) -> list[str]:
    """The first row of :func:`csv_rows`; empty if there is none."""
    return next(csv_rows(file, delimiter, encoding), (0, []))[1]


def _width(file: Path, delimiter: str, encoding: str | None) -> int:
    """How many columns the first line has; 0 where its quotes do not fit this delimiter."""
    try:
        return len(first_row(file, delimiter, encoding))
    except DataError:
        return 0


def _what_is_wrong(error: csv.Error, first: int, last: int) -> str:
    """What Python's reader says of a row, in terms of its lines.

    Args:
        error: What it raised.
        first: The line in which the row begins.
        last: The line that was read last.
    """
    quote = f"is a quote opened in line {first} and never closed?"
    if "field limit" in str(error):
        shorter = f"a cell has more than {csv.field_size_limit():,} characters"
        if last > first:
            return f"{shorter}, from line {first} on; {quote}"
        return f"{shorter}; write the table without this column, or as Parquet"
    if str(error) == "unexpected end of data":
        return f"{error}; {quote}"
    return f"{error}; the row begins in line {first}; {quote}" if last > first else str(error)


def encoding_by_mark(file: Path) -> str:
    """The encoding by the byte order mark; UTF-8, whose own mark is dropped, without."""
    with open_unpacked(file, "rb") as stream:
        start = stream.read(4)
    marks = (encoding for mark, encoding in _MARKS.items() if start.startswith(mark))
    return next(marks, "utf-8-sig")


def _refuse_text(file: Path, encoding: str, error: UnicodeError) -> NoReturn:
    """Say in which line the text is not what it should be, and what it may be."""
    name = "UTF-8" if encoding == "utf-8-sig" else encoding
    place = f"{file} is not {name} ({error.reason if hasattr(error, 'reason') else error})"
    if name == "UTF-8":
        with open_unpacked(file, "rb") as stream:
            number, line = next((n, text) for n, text in enumerate(stream, 1) if not _is_utf8(text))
        text = line.strip()[:60].decode("cp1252", "replace")
        place = f"{file}, line {number} is not UTF-8; as cp1252 it would be {text!r}"
    raise DataError(
        f"{place}. Save the file as UTF-8, or name its encoding: encoding: cp1252 (Excel and "
        "Windows), latin-1, mac-roman or utf-16"
    ) from None


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
