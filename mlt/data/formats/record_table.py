"""Parquet files and JSON records as columns of strings and of lists of strings."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
from pyarrow import json

from mlt.data.formats.nested import outer_column, paths_to, strings_at
from mlt.data.formats.table import Table, open_unpacked
from mlt.errors import DataError, MissingFileError
from mlt.files import NOT_JSON

__all__ = ["JsonTable", "ParquetTable"]

_TEXT = pa.large_string()
_LISTS = pa.large_list(_TEXT)
_TRIED, _SHOWN = 100, 3
_BLOCK = 1 << 24


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
            self.header = self._parquet.schema_arrow.names
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise DataError(f"{file} is not a Parquet file, or is damaged: {error}") from None

    def columns(self, names: Sequence[str]) -> list[pa.Array]:
        """The columns of these names; numbers and truth values as text, nothing as empty text."""
        for name in names:
            self.require(name)
        outer = {name: outer_column(name, self.header) or name for name in names}
        try:
            read = self._parquet.read(columns=list(dict.fromkeys(outer.values())))
            read.validate(full=True)  # text is UTF-8, for example
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise DataError(f"{self.source} is damaged: {error}") from None
        return [
            self._strings(name, read.column(name).combine_chunks())
            if outer[name] == name
            else self._within(name, outer[name], read.column(outer[name]))
            for name in names
        ]

    def line(self, row: int) -> str:
        """File and row, counted from 1."""
        return f"{self.source}, row {row + 1}"

    def _within(self, name: str, column: str, array: Any) -> pa.Array:
        array, notes = strings_at(array.to_pylist(), name[len(column) + 1 :], name, self.line)
        self.notes += tuple(note for note in notes if note not in self.notes)
        return array

    def _strings(self, name: str, array: Any) -> pa.Array:
        if isinstance(array, pa.ChunkedArray):
            array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], _TEXT)
        is_list = pa.types.is_list(array.type) or pa.types.is_large_list(array.type)
        try:
            if is_list:
                return _text_lists(array)
            return array.cast(_TEXT).fill_null("")
        except pa.ArrowException:
            inner = array.type.value_type if is_list else array.type
            is_object = pa.types.is_struct(inner) and inner.num_fields
            within = f"; name what is within, as in '{name}.{inner[0].name}'" if is_object else ""
            raise DataError(
                f"{self.source}: the column {name!r} holds {array.type}, not text, numbers or "
                f"lists of them{within}"
            ) from None


class JsonTable(Table):
    """Records in JSON: an object per line, a list of objects, or an object of objects.

    A key that a record lacks is an empty cell. ``annotations.label`` is what is within.

    Args:
        file: The file, UTF-8; unpacked if its name ends in ``.gz``.

    Raises:
        MissingFileError: If it does not exist.
        DataError: If it holds something else; gives the line.
    """

    def __init__(self, file: Path) -> None:
        if not file.is_file():
            raise MissingFileError(f"there is no file {file}")
        self.file, self.source = file, str(file)
        self._is_json = file.name.lower().removesuffix(".gz").endswith(".json")
        self._arrow = None if self._is_json else _arrow_lines(file)
        if self._arrow is not None:
            self.header = self._arrow.column_names
        else:
            self.header = list(
                dict.fromkeys(key for record in self._read.records for key in record)
            )

    @cached_property
    def _read(self) -> _Records:
        """All records; what Arrow reads is read again, for messages and for objects within."""
        with open_unpacked(self.file, "rb") as stream:
            data = stream.read().removeprefix(b"\xef\xbb\xbf")
        read = _whole(self.file, data) if self._is_json else None
        read = read or _of_lines(self.file, data)
        if not read.records:
            raise DataError(f"{self.file} is empty; expected JSON objects, one for each image")
        return read

    def columns(self, names: Sequence[str]) -> list[pa.Array]:
        """The columns of these names; numbers and truth values as text, null as empty text."""
        arrays = []
        for name in names:
            self.require(name)
            array = self._arrow_strings(name)
            if array is None:
                array, notes = strings_at(self._read.records, name, name, self.line)
                self.notes += tuple(note for note in notes if note not in self.notes)
            arrays.append(array)
        return arrays

    def line(self, row: int) -> str:
        """File and line, or number, of a record."""
        return f"{self.source}, {self._read.kind} {self._read.numbers[row]}"

    def _arrow_strings(self, name: str) -> pa.Array | None:
        """A column of text, or of lists of text without nulls, as Arrow reads it; else None."""
        if self._arrow is None or name not in self._arrow.column_names:
            return None
        column = self._arrow.column(name).combine_chunks()
        if pa.types.is_string(column.type):
            return column.cast(_TEXT).fill_null("")
        is_list = pa.types.is_list(column.type) and pa.types.is_string(column.type.value_type)
        return None if not is_list or column.flatten().null_count else _text_lists(column)

    def require(self, column: str, remedy: str = "") -> None:
        """Check that a column, or what a name with dots begins with, is there."""
        if column in self.header:
            return
        if {"images", "annotations", "categories"} <= {*self.header}:
            remedy = "; this is COCO's format: data: {name: coco, ...}"
        elif column in self._read.numbers:
            remedy = "; it is written by column: write records (pandas: orient='records')"
        elif self._read.kind == "object" and len(self._read.records) == 1:
            remedy = (
                "; a list of objects was expected, one for each image: "
                "docs/other_formats.md shows how to write one"
            )
        elif paths := paths_to(column, self._read.records[:_TRIED]):
            remedy = f"; is it {' or '.join(map(repr, paths[:_SHOWN]))}?"
        if not column.startswith("*."):
            super().require(column, remedy)


class _Records(NamedTuple):
    """What records are called in messages, the number or key of each, and the records."""

    kind: str
    numbers: list[Any]
    records: list[dict[str, Any]]


def _arrow_lines(file: Path) -> pa.Table | None:
    """A file with an object per line, where every key has values of one type; else None."""
    try:
        table = json.read_json(file, json.ReadOptions(block_size=_BLOCK))
        table.validate(full=True)
        names = table.column_names  # not UTF-8: an error, which validating does not find
        with open_unpacked(file, "rb") as stream:
            lines = sum(not line.isspace() for line in stream)
    except (pa.ArrowException, OSError, DataError, UnicodeDecodeError):
        return None
    return table if names and 0 < table.num_rows == lines else None


def _text_lists(array: pa.Array) -> pa.Array:
    """Lists as large lists of text, empty for null."""
    lists = array.cast(_LISTS)
    lengths = lists.value_lengths().fill_null(0).to_numpy()
    ends = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int64())
    return pa.LargeListArray.from_arrays(ends, lists.flatten().fill_null(""))


def _whole(file: Path, data: bytes) -> _Records | None:
    """The records of a JSON file; None if it has several values, one per line."""
    try:
        content = msgspec.json.decode(data)
    except NOT_JSON as error:
        if "trailing characters" in str(error):
            return None
        raise DataError(f"{file} is not JSON: {error}; is the download complete?") from None
    if isinstance(content, dict):
        if not content or not all(isinstance(value, dict) for value in content.values()):
            return _Records("object", [1], [content])
        return _Records("object", list(content), list(content.values()))
    if not isinstance(content, list) or not all(isinstance(item, dict) for item in content):
        raise DataError(
            f"{file} is not a table: expected a list of objects, one for each image, such as "
            '[{"path": "a.jpg", "labels": ["cat"]}]'
        )
    return _Records("object", list(range(1, len(content) + 1)), content)


def _of_lines(file: Path, data: bytes) -> _Records:
    decoder = msgspec.json.Decoder(dict[str, Any])
    lines, records = [], []
    for number, line in enumerate(data.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            records.append(decoder.decode(line))
        except NOT_JSON as error:
            raise DataError(f"{file}, line {number} is not a JSON object: {error}") from None
        lines.append(number)
    return _Records("line", lines, records)
