"""Parquet files and JSON lines as columns of strings and of lists of strings."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from mlt.data.columns import StringColumn
from mlt.data.formats.table import Table, open_unpacked
from mlt.errors import DataError, MissingFileError

__all__ = ["JsonLinesTable", "ParquetTable"]

_TEXT = pa.large_string()
_LISTS = pa.large_list(_TEXT)


class ParquetTable(Table):
    """A Parquet file; columns of lists stay lists.

    Args:
        file: The file.

    Raises:
        MissingFileError: If it does not exist.
        DataError: If it is not Parquet.
    """

    def __init__(self, file: Path) -> None:
        from pyarrow import parquet

        if not file.is_file():
            raise MissingFileError(f"there is no Parquet file {file}")
        self.source = str(file)
        try:
            self._parquet = parquet.ParquetFile(file)
        except pa.ArrowException as error:
            raise DataError(f"{file} is not a Parquet file: {error}") from None
        self.header = self._parquet.schema_arrow.names

    def columns(self, names: Sequence[str]) -> list[pa.Array]:
        """The columns of these names; numbers and truth values as text, nothing as empty text."""
        for name in names:
            self.require(name)
        try:
            read = self._parquet.read(columns=list(dict.fromkeys(names)))
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{self.source} is damaged: {error}") from None
        return [self._strings(name, read.column(name).combine_chunks()) for name in names]

    def line(self, row: int) -> str:
        """File and row, counted from 1."""
        return f"{self.source}, row {row + 1}"

    def _strings(self, name: str, array: Any) -> pa.Array:
        if isinstance(array, pa.ChunkedArray):
            array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], _TEXT)
        is_list = pa.types.is_list(array.type) or pa.types.is_large_list(array.type)
        try:
            if is_list:
                lists = array.cast(_LISTS)
                lengths = lists.value_lengths().fill_null(0).to_numpy()
                ends = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int64())
                return pa.LargeListArray.from_arrays(ends, lists.flatten().fill_null(""))
            return array.cast(_TEXT).fill_null("")
        except pa.ArrowException:
            raise DataError(
                f"{self.source}: the column {name!r} holds {array.type}, not text, numbers or "
                "lists of them"
            ) from None


class JsonLinesTable(Table):
    """A file with a JSON object per line; a key that a line lacks is an empty cell.

    Args:
        file: The file, UTF-8; unpacked if its name ends in ``.gz``.

    Raises:
        MissingFileError: If it does not exist.
        DataError: If a line is not a JSON object; gives the line.
    """

    def __init__(self, file: Path) -> None:
        if not file.is_file():
            raise MissingFileError(f"there is no file {file}")
        self.source = str(file)
        self._records: list[dict[str, Any]] = []
        self._lines: list[int] = []
        decoder = msgspec.json.Decoder(dict[str, Any])
        number = 0
        try:
            with open_unpacked(file, "rb") as stream:
                for number, line in enumerate(stream, start=1):
                    if text := line.removeprefix(b"\xef\xbb\xbf").strip():
                        self._records.append(decoder.decode(text))
                        self._lines.append(number)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise DataError(f"{file}, line {number} is not a JSON object: {error}") from None
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DataError(f"{file} cannot be unpacked after line {number}: {error}") from None
        if not self._records:
            raise DataError(f"{file} is empty; expected a JSON object per line")
        self.header = list(dict.fromkeys(key for record in self._records for key in record))

    def columns(self, names: Sequence[str]) -> list[pa.Array]:
        """The columns of these names; numbers and truth values as text, null as empty text."""
        for name in names:
            self.require(name)
        return [self._column(name) for name in names]

    def line(self, row: int) -> str:
        """File and line of a row."""
        return f"{self.source}, line {self._lines[row]}"

    def _column(self, name: str) -> pa.Array:
        cells = [record.get(name) for record in self._records]
        if not any(isinstance(cell, list) for cell in cells):
            texts = (self._text(name, row, cell) for row, cell in enumerate(cells))
            return StringColumn.from_iterable(texts).array
        lists = [cell if isinstance(cell, list) else [cell] for cell in cells]
        rows = [[self._text(name, row, item) for item in items] for row, items in enumerate(lists)]
        return pa.array(rows, _LISTS)

    def _text(self, name: str, row: int, value: Any) -> str:
        if isinstance(value, (dict, list)):
            kind = "an object" if isinstance(value, dict) else "a list within a list"
            raise DataError(f"{self.line(row)}: {name!r} holds {kind}, not text or a number")
        return "" if value is None else str(value)
