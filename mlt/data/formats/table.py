"""A table as columns of strings, with the place of each row for messages."""

from __future__ import annotations

import gzip
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa

from mlt.data.formats.nested import outer_column
from mlt.errors import DataError

__all__ = ["JoinedTables", "Table", "open_unpacked"]

_SHOWN = 20


class Table(ABC):
    """A table of strings.

    Attributes:
        source: What it is called in messages.
        header: The names of its columns.
        notes: What a user should know about how it was read.
    """

    source: str
    header: list[str]
    notes: tuple[str, ...] = ()

    @abstractmethod
    def columns(self, names: Sequence[str]) -> list[pa.Array]:
        """The columns of these names, without header: large strings, or large lists of them.

        A name such as ``objects.label`` is of what is within a column of objects.

        Raises:
            DataError: If one is not there exactly once, or the file is damaged; gives the line.
        """

    @abstractmethod
    def line(self, row: int) -> str:
        """File and line of a row, for messages."""

    def lines(self, rows: Sequence[int]) -> str:
        """The places of some rows, for messages."""
        return "; ".join(self.line(row) for row in rows)

    def require(self, column: str, remedy: str = "") -> None:
        """Check that a column is there exactly once, or the one that a name with dots is within.

        Args:
            column: Its name.
            remedy: Ends the message.

        Raises:
            DataError: If it is not.
        """
        count = self.header.count(column)
        if count == 1 or outer_column(column, self.header):
            return
        amount = f"{count} columns" if count else "no column"
        shown = ", ".join(map(repr, self.header[:_SHOWN]))
        more = f" and {len(self.header) - _SHOWN} more" if len(self.header) > _SHOWN else ""
        close = [] if count else get_close_matches(column, self.header, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise DataError(
            f"{self.source} has {amount} {column!r}; its columns{self.how_taken_apart()} are "
            f"{shown}{more}{hint}{remedy}"
        )

    def how_taken_apart(self) -> str:
        """How the columns were found, for messages."""
        return ""


@contextmanager
def open_unpacked(file: Path, mode: str, **how: Any) -> Iterator[IO[Any]]:
    """Open a file, or what is packed in it where its name ends in ``.gz``.

    Raises:
        DataError: If it cannot be unpacked, also while it is read.
    """
    opener: Callable[..., IO[Any]] = gzip.open if file.suffix.lower() == ".gz" else Path.open
    try:
        with opener(file, mode, **how) as stream:
            yield stream
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{file} cannot be unpacked: {error}; is the download complete?") from None


class JoinedTables(Table):
    """Several tables, one below the other; their columns may be in another order.

    Args:
        tables: At least one.
    """

    def __init__(self, tables: Sequence[Table]) -> None:
        self.tables = list(tables)
        self.source = " and ".join(table.source for table in self.tables)
        self.header = self.tables[0].header
        self.notes = tuple(note for table in self.tables for note in table.notes)
        self._ends = np.zeros(1, np.int64)

    def columns(self, names: Sequence[str]) -> list[pa.Array]:
        """The columns of all tables together.

        Raises:
            DataError: If a table lacks one, or holds lists where another holds text.
        """
        parts = [table.columns(names) for table in self.tables]
        self.notes = tuple(note for table in self.tables for note in table.notes)
        self._ends = np.cumsum([len(part[0]) for part in parts])
        for name, *arrays in zip(names, *parts):
            if len({array.type for array in arrays}) > 1:
                raise DataError(f"{self.source}: only some of them hold lists in column {name!r}")
        return [pa.concat_arrays(arrays) for arrays in zip(*parts)]

    def line(self, row: int) -> str:
        """File and line of a row."""
        number = int(np.searchsorted(self._ends, row, side="right"))
        before = int(self._ends[number - 1]) if number else 0
        return self.tables[number].line(row - before)

    def require(self, column: str, remedy: str = "") -> None:
        """Check that every table has the column once."""
        for table in self.tables:
            table.require(column, remedy)
