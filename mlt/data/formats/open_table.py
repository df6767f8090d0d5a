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

_ARCHIVE = "unpack it"
_SHEET = (
    'save the sheet as CSV UTF-8 there, or: python -c "import pandas; '
    "pandas.read_excel('{name}').to_csv('{stem}.csv', index=False)\""
)
_IN_PYTHON = "write a table of it in Python: docs/your_own_data.md, 'Other formats', shows how"
_REMEDIES = {
    **dict.fromkeys((".zip", ".tar", ".tgz", ".7z", ".rar"), _ARCHIVE),
    **dict.fromkeys((".xls", ".xlsx", ".xlsm", ".ods"), _SHEET),
    **dict.fromkeys((".mat", ".npz", ".npy", ".pkl", ".h5", ".hdf5", ".tfrecord"), _IN_PYTHON),
    ".xml": "Pascal VOC is read by name: voc; CVAT exports that and COCO, too",
    **dict.fromkeys((".yaml", ".yml"), f"export the data as COCO, or {_IN_PYTHON}"),
    ".arff": "delete the lines up to @data, save it as .csv, and name the columns as its "
    "@attribute lines do: columns: [path, cat, dog]",
}


def open_tables(files: Sequence[Path], form: TableFormat) -> Table:
    """Open one table, or several as one.

    Args:
        files: ``.csv``, ``.tsv``, ``.txt``, ``.json``, ``.jsonl``, each also as ``.gz``;
            ``.parquet``. Other endings are taken for CSV.
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
    if ending in (".json", ".jsonl", ".ndjson", ".manifest"):
        from mlt.data.formats.record_table import JsonTable

        return JsonTable(file)
    if ending in _REMEDIES and file.is_file():
        remedy = _REMEDIES[ending].replace("{name}", file.name).replace("{stem}", file.stem)
        raise DataError(
            f"{file} is not read as a table, as .csv, .tsv, .csv.gz, .json, .jsonl and .parquet "
            f"are; {remedy}"
        )
    ends_in_list = form.columns is not None and form.labels_column == form.columns[-1]
    return CsvTable(
        file,
        form.delimiter,
        form.encoding,
        form.header,
        form.columns,
        list_separator=(form.separator or "|") if ends_in_list and not form.layout else None,
    )
