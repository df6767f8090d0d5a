"""CSV files as columns of strings, with the line of each row for messages.

Columns are read by Arrow, millions of rows per second. Files that something is wrong with, or with
quotation marks elsewhere than around whole cells, go through Python's strict reader, which knows
the line.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv

from mlt.data.columns import StringColumn
from mlt.data.formats.csv_rows import csv_rows, encoding_by_mark, find_delimiter, first_row
from mlt.data.formats.first_line import what_the_first_line_may_be
from mlt.data.formats.nested import outer_column, strings_at
from mlt.data.formats.quoting import Quoting, find_quoting
from mlt.data.formats.table import Table, open_unpacked
from mlt.errors import DataError, MissingFileError

__all__ = ["CsvTable"]

_UTF8 = ("utf-8", "utf-8-sig", "utf8")
_BLOCK = 1 << 22


class CsvTable(Table):
    """A CSV file: its columns, and for messages the line of each row.

    Args:
        file: The file.
        delimiter: Between columns; None goes by the ending and the first line.
        encoding: Of the text; None is UTF-8, or UTF-16 where the file begins with its mark.
        header: Whether the first line names the columns; without, they are 1, 2, 3, ...
        columns: Names of the columns of a file without a header. Where spaces separate them, the
            last one has the rest of the line.
        list_separator: What joins the rest of the line in the last of ``columns``, where it is not
            spaces that separate them; None: no line may be longer.

    Raises:
        MissingFileError: If it does not exist.
        DataError: If it is empty, or ``columns`` are not as many as it has.
    """

    def __init__(
        self,
        file: Path,
        delimiter: str | None = None,
        encoding: str | None = None,
        header: bool = True,
        columns: Sequence[str] | None = None,
        *,
        list_separator: str | None = None,
    ) -> None:
        if not file.is_file():
            raise MissingFileError(f"there is no CSV file {file}")
        self.file, self.source, self.encoding = file, str(file), encoding
        self.has_header = header and columns is None
        self.delimiter = delimiter or find_delimiter(file, encoding, header=self.has_header)
        first = first_row(file, self.delimiter, encoding)
        if not first:
            raise DataError(f"{file} is empty; expected a header line")
        self.list_separator = " " if self.delimiter == " " else list_separator
        self.last_has_rest = columns is not None and self.list_separator is not None
        self.width = len(columns) if columns and self.last_has_rest else len(first)
        if columns is not None and (len(columns) != self.width or self._is_wide(first)):
            raise DataError(
                f"{file} has {len(first)} columns, taken apart at {self.delimiter!r}, but "
                f"{len(columns)} names are given for them"
            )
        if self.has_header:
            self.header = [name.strip() for name in first]
        else:
            self.header = [str(n + 1) for n in range(self.width)] if not columns else list(columns)

    def columns(self, names: Sequence[str]) -> list[pa.Array]:
        """The columns of these names as large strings.

        Raises:
            DataError: If one is not there exactly once, a row is too short or too long, or the text
                is damaged; gives the line.
        """
        for name in names:
            self.require(name)
        outer = [outer_column(name, self.header) for name in names]
        found = self._cells([self.header.index(o or name) for o, name in zip(outer, names)])
        for n, (name, column) in enumerate(zip(names, outer)):
            if column is not None:
                path = name[len(column) + 1 :]
                found[n], notes = strings_at(found[n].to_pylist(), path, name, self.line)
                self.notes += tuple(note for note in notes if note not in self.notes)
        return found

    def _cells(self, positions: list[int]) -> list[pa.Array]:
        if self.delimiter.isascii() and self.delimiter != " " and not self.last_has_rest:
            try:
                quoting = self._quoting()
                found = self._arrow_columns(positions, quoting) if quoting != "mixed" else None
                if found is not None and not (quoting == "cells" and _is_long(found)):
                    return found
            except (pa.ArrowInvalid, UnicodeError, OSError, DataError):
                pass  # Python's reader finds the same fault, and its line.
        kept = sorted(set(positions))
        rows = [[row[at] for at in kept] for _, row in self._rows()]
        if self.last_has_rest and self.delimiter != " " and kept[-1] == self.width - 1:
            most = max((row[-1].count(self.list_separator or "") for row in rows), default=0) + 1
            if most > 1:
                self.notes = (f"lines of {self.file.name} end in up to {most} class names",)
        columns = zip(*rows) if rows else [()] * len(kept)
        arrays = {at: StringColumn.from_iterable(c).array for at, c in zip(kept, columns)}
        return [arrays[at] for at in positions]

    def line(self, row: int) -> str:
        """File and line of a row, for messages."""
        return f"{self.file}, line {next(islice(self._rows(), int(row), None))[0]}"

    def lines(self, rows: Sequence[int]) -> str:
        """The lines of some rows."""
        wanted = set(rows)
        lines = [str(line) for row, (line, _) in enumerate(self._rows()) if row in wanted]
        return f"lines {', '.join(lines)}"

    def how_taken_apart(self) -> str:
        """The delimiter, and what to do where the first line is not a header."""
        return f", taken apart at {self.delimiter!r},"

    def require(self, column: str, remedy: str = "") -> None:
        """Check that a column is there exactly once; suspects a file without a header."""
        if self.has_header and column not in self.header and not outer_column(column, self.header):
            rows = islice(csv_rows(self.file, self.delimiter, self.encoding), 5)
            remedy = what_the_first_line_may_be([row for _, row in rows], self.delimiter) or remedy
        super().require(column, remedy)

    def _quoting(self) -> Quoting:
        with open_unpacked(self.file, "rb") as stream:
            found = find_quoting(iter(lambda: stream.read(_BLOCK), b""), self.delimiter)
        is_utf8 = (self.encoding or encoding_by_mark(self.file)) in _UTF8
        return found if is_utf8 or found == "none" else "mixed"

    def _arrow_columns(self, positions: Sequence[int], quoting: Quoting) -> list[pa.Array]:
        # Columns by number, because headers may repeat; the header is then a row.
        names = [f"f{at}" for at in positions]
        encoding = self.encoding or encoding_by_mark(self.file)
        read = arrow_csv.read_csv(
            self.file,
            read_options=arrow_csv.ReadOptions(
                autogenerate_column_names=True,
                encoding="utf8" if encoding == "utf-8-sig" else encoding,
            ),
            parse_options=arrow_csv.ParseOptions(
                delimiter=self.delimiter,
                quote_char='"' if quoting == "cells" else False,
                newlines_in_values=quoting == "cells",
            ),
            convert_options=arrow_csv.ConvertOptions(
                include_columns=list(dict.fromkeys(names)),
                column_types=dict.fromkeys(names, pa.large_string()),
            ),
        )
        return [read.column(name).combine_chunks()[int(self.has_header) :] for name in names]

    def _is_wide(self, row: list[str]) -> bool:
        """Whether what is left of a line looks like columns of 0 and 1 rather than names."""
        rest = row[self.width - 1 :]
        return self.delimiter != " " and len(rest) > 1 and {*rest} <= {"0", "1", "-1", ""}

    def _may_have_rest(self, row: list[str]) -> bool:
        if not self.last_has_rest or len(row) > self.width:
            return self.last_has_rest
        # Nothing is listed; with spaces, this is not sure.
        return self.width == 2 or (self.delimiter != " " and len(row) == self.width - 1)

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        rows = csv_rows(self.file, self.delimiter, self.encoding)
        if self.has_header:
            next(rows)
        for line, row in rows:
            if self._may_have_rest(row):
                row[self.width - 1 :] = [(self.list_separator or "").join(row[self.width - 1 :])]
            if len(row) != self.width:
                expected = "the header has" if self.has_header else "there should be"
                lists = (
                    "; if lines end in a list, name the columns: columns: [path, labels]"
                    if not self.has_header and not self.last_has_rest
                    else ""
                )
                raise DataError(
                    f"{self.file}, line {line}: {len(row)} columns, but {expected} "
                    f"{self.width}{lists}"
                )
            yield line, row


def _is_long(columns: Sequence[pa.Array]) -> bool:
    """Whether a cell is so long that a quote may have been left open."""
    longest = [pc.max(pc.binary_length(column)).as_py() or 0 for column in columns]
    return max(longest) > csv.field_size_limit()
