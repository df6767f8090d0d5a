"""CSV files as columns of strings, with the line of each row for messages.

Columns are read by Arrow, millions of rows per second. Files with quotation marks, and all files
that something is wrong with, go through Python's strict reader, which knows the line.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as arrow_csv

from mlt.data.columns import StringColumn
from mlt.errors import DataError, MissingFileError

__all__ = ["CsvTable", "csv_rows"]


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


class CsvTable:
    """A CSV file with a header: its columns, and for messages the line of each row.

    Args:
        file: The file, UTF-8, with or without byte order mark.
        delimiter: Between columns.

    Raises:
        MissingFileError: If it does not exist.
        DataError: If it is empty.
    """

    def __init__(self, file: Path, delimiter: str) -> None:
        if not file.is_file():
            raise MissingFileError(f"there is no CSV file {file}")
        self.file = file
        self.delimiter = delimiter
        self.header = next(csv_rows(file, delimiter), (0, []))[1]
        if not self.header:
            raise DataError(f"{file} is empty; expected a header line")

    def position(self, column: str, remedy: str = "") -> int:
        """The index of a column.

        Args:
            column: Its header.
            remedy: Ends the message.

        Raises:
            DataError: If it is not there exactly once.
        """
        count = self.header.count(column)
        if count != 1:
            amount = f"{count} columns" if count else "no column"
            shown = ", ".join(map(repr, self.header[:20]))
            raise DataError(
                f"{self.file} has {amount} {column!r}; its columns, taken apart at "
                f"{self.delimiter!r}, are {shown}{remedy}"
            )
        return self.header.index(column)

    def columns(self, positions: Sequence[int]) -> list[pa.Array]:
        """The columns at these positions as large strings, without the header.

        Raises:
            DataError: If a row is too short or too long, or the text is damaged; gives the line.
        """
        if self.delimiter.isascii() and not _has_quotes(self.file):
            try:
                return self._arrow_columns(positions)
            except pa.ArrowInvalid as error:
                arrow_problem = error
            for _ in self._rows():  # finds the same fault, and its line
                pass
            raise DataError(f"{self.file}: {arrow_problem}")
        kept = sorted(set(positions))
        rows = [[row[at] for at in kept] for _, row in self._rows()]
        columns = zip(*rows) if rows else [()] * len(kept)
        found = {at: StringColumn.from_iterable(c).array for at, c in zip(kept, columns)}
        return [found[at] for at in positions]

    def line(self, row: int) -> str:
        """File and line of a row, for messages."""
        return f"{self.file}, line {next(islice(self._rows(), int(row), None))[0]}"

    def lines(self, rows: Sequence[int]) -> list[int]:
        """The lines of some rows."""
        wanted = set(rows)
        return [line for row, (line, _) in enumerate(self._rows()) if row in wanted]

    def _arrow_columns(self, positions: Sequence[int]) -> list[pa.Array]:
        # Columns by number, because headers may repeat; the header is then a row.
        names = [f"f{at}" for at in positions]
        read = arrow_csv.read_csv(
            self.file,
            read_options=arrow_csv.ReadOptions(autogenerate_column_names=True),
            parse_options=arrow_csv.ParseOptions(delimiter=self.delimiter, quote_char=False),
            convert_options=arrow_csv.ConvertOptions(
                include_columns=list(dict.fromkeys(names)),
                column_types=dict.fromkeys(names, pa.large_string()),
            ),
        )
        return [read.column(name).combine_chunks()[1:] for name in names]

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        rows = csv_rows(self.file, self.delimiter)
        next(rows)
        width = len(self.header)
        for line, row in rows:
            if len(row) != width:
                raise DataError(
                    f"{self.file}, line {line}: {len(row)} columns, but the header has {width}"
                )
            yield line, row


def _has_quotes(file: Path) -> bool:
    with file.open("rb") as stream:
        return any(b'"' in block for block in iter(lambda: stream.read(1 << 20), b""))
