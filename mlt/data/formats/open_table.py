"""Open a table by the ending of its file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlt.data.formats.csv_table import CsvTable
from mlt.data.formats.table import JoinedTables, Table
from mlt.errors import DataError

if TYPE_CHECKING:
    from mlt.data.formats.table_format import TableFormat

__all__ = ["open_tables"]

_NOT_TABLES = frozenset((".zip", ".tar", ".tgz", ".xls", ".xlsx", ".ods", ".json", ".pkl", ".npz"))


def open_tables(files: Sequence[Path], form: TableFormat) -> Table:
    """Open one table, or several as one.

    Args:
        files: ``.csv``, ``.tsv``, ``.txt``, ``.jsonl``, each also as ``.gz``; ``.parquet``. Other
            endings are taken for CSV.
        form: How text is encoded and taken apart.

    Raises:
        MissingFileError: If a file does not exist.
        DataError: If one is empty, or of a kind that holds no table.
    """
    tables = [_open(file, form) for file in files]
    return tables[0] if len(tables) == 1 else JoinedTables(tables)


def _open(file: Path, form: TableFormat) -> Table:
    ending = Path(file.name.lower().removesuffix(".gz")).suffix
    if ending in (".parquet", ".pq"):
        from mlt.data.formats.record_table import ParquetTable

        return ParquetTable(file)
    if ending in (".jsonl", ".ndjson"):
        from mlt.data.formats.record_table import JsonLinesTable

        return JsonLinesTable(file)
    if ending in _NOT_TABLES and file.is_file():
        raise DataError(
            f"{file} is not read as a table; unpack it, or save it as .csv, .tsv, .csv.gz, .jsonl "
            "or .parquet"
        )
    return CsvTable(file, form.delimiter, form.encoding, form.header, form.columns)
