"""CSV and Parquet tables of scores and labels, and which of their columns has the ids."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from mlt.data.formats.csv import read_csv
from mlt.data.formats.csv_table import CsvTable
from mlt.data.labels import LabelTable
from mlt.errors import DataError, MissingFileError

__all__ = ["find_id_column", "open_table", "read_labels"]


class _Csv:
    def __init__(self, file: Path) -> None:
        self._table = CsvTable(file, ",")
        self.source, self.header = str(file), self._table.header

    def columns(self, names: Sequence[str]) -> list[pa.Array]:
        return self._table.columns(names)

    def line(self, row: int) -> str:
        return self._table.line(row)


class _Parquet:
    def __init__(self, file: Path) -> None:
        from pyarrow import parquet

        if not file.is_file():
            raise MissingFileError(f"there is no Parquet file {file}")
        self._table = parquet.read_table(file)
        self.source, self.header = str(file), list(self._table.column_names)

    def columns(self, names: Sequence[str]) -> list[pa.Array]:
        return [self._table.column(n).combine_chunks().cast(pa.large_string()) for n in names]

    def line(self, row: int) -> str:
        return f"{self.source}, row {row + 1}"


def open_table(file: Path) -> Any:
    """Open a table by its ending."""
    return _Parquet(file) if file.suffix == ".parquet" else _Csv(file)


def find_id_column(table: Any, wanted: str | None) -> str:
    """The column of the image ids: the one that was asked for, or the first."""
    if wanted is None:
        return table.header[0]
    if wanted not in table.header:
        raise DataError(f"{table.source} has no column {wanted!r}")
    return wanted


def read_labels(file, id_column, labels_column, class_names, separator) -> LabelTable:
    return read_csv(
        file,
        ".",
        path_column=id_column,
        labels_column=labels_column,
        separator=separator,
        class_names=class_names,
    )
