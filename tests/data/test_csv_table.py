"""Files as columns of text: encodings, compression, delimiters, headers, JSON lines, Parquet."""

from __future__ import annotations

import gzip
import json
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from mlt.data import read_csv
from mlt.data.formats import csv_table, record_table
from mlt.data.formats.csv_table import CsvTable
from mlt.data.formats.quoting import find_quoting
from mlt.data.formats.record_table import JsonTable
from mlt.errors import ConfigError, DataError, MissingFileError

TEXT = "path,labels\na.jpg,hélice|perro\nb.jpg,perro\n"
_CELLS = ["", "a", "cat|dog", '"cat"', '"a,b"', '"say ""a"""', '"two\nlines"', '""', 'a"b', '"a"b']


@settings(max_examples=300, deadline=None)
@given(
    st.text('ab|,;\n\r é1"', max_size=40)
    | st.lists(st.tuples(st.sampled_from(_CELLS), st.sampled_from(_CELLS)), max_size=6).map(
        lambda rows: "".join(f"{x},{y}\n" for x, y in rows)
    ),
    st.sampled_from([",", ";"]),
)
def test_arrow_reads_what_python_reads(text: str, delimiter: str) -> None:
    """The fast way and the strict way give the same columns, or the same message."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "table.csv")
        file.write_text(f"x{delimiter}y\n{text}", encoding="utf-8", newline="")
        answers = []
        for find_quoting in (csv_table.find_quoting, lambda *_: "mixed"):
            with mock.patch.object(csv_table, "find_quoting", find_quoting):
                try:
                    columns = CsvTable(file, delimiter).columns(["y", "x", "y"])
                    answers.append([column.to_pylist() for column in columns])
                except DataError as error:
                    answers.append(str(error))
    assert answers[0] == answers[1]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([*_CELLS, ",", "\n", '"']), max_size=12).map("".join), st.data())
def test_quotation_marks_are_found_in_blocks_of_any_size(text: str, data: st.DataObject) -> None:
    whole = text.encode()
    at = data.draw(st.integers(0, len(whole)))
    blocks = [part for part in (whole[:at], whole[at:]) if part]
    found = find_quoting(blocks, ",")
    assert found == find_quoting([whole], ",") == find_quoting([bytes([b]) for b in whole], ",")
    assert (found == "none") == ('"' not in text)


def test_a_long_cell_is_read_where_its_marks_fit(tmp_path: Path) -> None:
    """Masks written as text, of which a cell is longer than Python's reader takes."""
    file = tmp_path / "table.csv"
    file.write_text(f'path,mask,cat\n"a, b.jpg","{"0" * 140_000}",1\n')
    table = read_csv(file, ".", labels_column=None, class_names=["cat"])
    assert table.image_ids.tolist() == ["a, b.jpg"] and table.labels.nnz == 1
    file.write_text('path,labels\na.jpg,"' + "b.jpg,cat\n" * 15_000 + '"\n')
    with pytest.raises(DataError, match=r"a cell has more than .* is a quote opened in line 2"):
        read_csv(file, ".")


_TEXTS = st.none() | st.sampled_from(["", "cat", "['cat']", "2020-01-01", "é", '{"a": 1}'])
_VALUES = _TEXTS | st.lists(_TEXTS, max_size=3) | st.sampled_from([1, 2.5, True, {"a": "cat"}])


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries({"x": _TEXTS}, optional={"y": _TEXTS, "z": st.lists(_TEXTS)})
        | st.fixed_dictionaries({"x": _VALUES}, optional={"y": _VALUES}),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from(["\n", "\r\n", "\n \n", " "]),
    st.sampled_from(["", "\n", "{", "\ufeff"]),
)
def test_arrow_reads_the_records_that_msgspec_reads(
    records: list[Any], between: str, end: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "table.jsonl")
        file.write_text(between.join(map(json.dumps, records)) + end, newline="")
        answers = []
        for arrow_lines in (record_table._arrow_lines, lambda _: None):
            with mock.patch.object(record_table, "_arrow_lines", arrow_lines):
                try:
                    table = JsonTable(file)
                    columns = table.columns(table.header)
                    answers.append((table.header, columns, table.notes))
                except DataError as error:
                    answers.append(str(error))
    assert answers[0] == answers[1]


@pytest.mark.parametrize("text", ['{"x": "a"} {"x": "b"}\n', '{"x": "a",\n"y": "b"}\n'])
def test_a_line_holds_one_object(tmp_path: Path, text: str) -> None:
    """Arrow would take both."""
    file = tmp_path / "table.jsonl"
    file.write_text(text)
    with pytest.raises(DataError, match="line 1 is not a JSON object"):
        JsonTable(file)


@pytest.mark.parametrize("quotes", [True, False])
@pytest.mark.parametrize(
    ("written", "named"),
    [
        ("utf-8", None),
        ("utf-8-sig", None),
        ("utf-16", None),
        ("utf-32", None),
        ("latin-1", "latin-1"),
        ("cp1252", "cp1252"),
        ("mac-roman", "mac-roman"),
        ("utf-16-le", "utf-16-le"),
    ],
)
@pytest.mark.parametrize("ending", ["csv", "csv.gz"])
def test_encodings(
    tmp_path: Path, written: str, named: str | None, ending: str, quotes: bool
) -> None:
    file = tmp_path / f"table.{ending}"
    data = (TEXT.replace("b.jpg", '"b.jpg"') if quotes else TEXT).encode(written)
    file.write_bytes(gzip.compress(data) if ending == "csv.gz" else data)
    table = read_csv(file, ".", encoding=named)
    assert table.class_names == ("hélice", "perro")
    assert table.targets([0, 1]).tolist() == [[1, 1], [0, 1]]


def test_another_encoding_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_bytes(b"path,labels\nb.jpg,perro\n" + "a.jpg,hélice\n".encode("latin-1"))
    message = r"table\.csv, line 3 is not UTF-8; as cp1252 it would be 'a.jpg,hélice'.* encoding: "
    with pytest.raises(DataError, match=message):
        read_csv(file, ".")
    file.write_bytes("path,käse\na,1\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"line 1 is not UTF-8"):
        read_csv(file, ".", labels_column=None)
    file.write_bytes(b"path,labels\nb.jpg,\x81\n")
    with pytest.raises(DataError, match=r"table\.csv is not cp1252"):
        read_csv(file, ".", encoding="cp1252")
    with pytest.raises(ConfigError, match="no encoding 'utf-9'"):
        read_csv(file, ".", encoding="utf-9")


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    file = tmp_path / "table.csv.gz"
    file.write_bytes(gzip.compress(TEXT.encode() * 50)[:-20])
    with pytest.raises(DataError, match=r"table\.csv\.gz cannot be unpacked"):
        read_csv(file, ".")
    file.write_bytes(TEXT.encode())
    with pytest.raises(DataError, match=r"table\.csv\.gz cannot be unpacked"):
        read_csv(file, ".")
    file = tmp_path / "table.csv.zip"
    file.touch()
    with pytest.raises(DataError, match=r"not read as a table, .*; unpack it"):
        read_csv(file, ".")


@pytest.mark.parametrize(
    ("name", "delimiter"),
    [("t.csv", ","), ("t.csv", ";"), ("t.csv", "\t"), ("t.tsv", "\t"), ("t.tsv", ","), ("t", ",")],
)
@pytest.mark.parametrize("mark", ["", '"'])
def test_delimiters_are_found(tmp_path: Path, name: str, delimiter: str, mark: str) -> None:
    file = tmp_path / name
    rows = (("path", "labels"), ("a.jpg", "cat|dog"))
    lines = (delimiter.join(f"{mark}{cell}{mark}" for cell in row) for row in rows)
    file.write_text("\n".join(lines))
    assert read_csv(file, ".").class_names == ("cat", "dog")


def test_tables_without_a_header(tmp_path: Path) -> None:
    file = tmp_path / "train.txt"
    file.write_text("001.jpg 0 1\n002.jpg  1 0 \n003.jpg 1 1\n")
    form: dict[str, Any] = {"labels_column": None, "columns": ["path", "cat", "dog"]}
    table = read_csv(file, ".", **form)
    assert table.class_names == ("cat", "dog")
    assert table.targets(range(3)).tolist() == [[0, 1], [1, 0], [1, 1]]
    numbered = read_csv(file, ".", labels_column=None, header=False, path_column="1")
    assert numbered.class_names == ("2", "3") and numbered.labels.nnz == 4
    # With spaces, the last column has the rest of the line.
    listed = read_csv(file, ".", columns=["path", "labels"], separator=" ")
    assert listed.targets(range(3)).tolist() == [[1, 1], [1, 1], [0, 1]]
    with pytest.raises(DataError, match="line 1: 3 columns, but there should be 4"):
        read_csv(file, ".", labels_column=None, columns=["path", "cat", "dog", "ox"])
    file = tmp_path / "train.csv"
    file.write_text("001.jpg,0,1\n")
    with pytest.raises(DataError, match=r"has 3 columns, .* but 2 names are given"):
        read_csv(file, ".", columns=["path", "labels"])
    file.write_text("001.jpg,cat\n002.jpg,dog\n")
    message = r"no column 'path'.*no header\? .* columns: \[path, class1\], or set header: false"
    with pytest.raises(DataError, match=message):
        read_csv(file, ".")
    assert read_csv(file, ".", columns=["path", "labels"]).class_names == ("cat", "dog")
    file.write_text("001.jpg,cat\n002.jpg,dog,cat\n")
    listed = read_csv(file, ".", columns=["path", "labels"])
    assert listed.targets([0, 1]).tolist() == [[1, 0], [1, 1]]
    assert listed.notes == ("lines of train.csv end in up to 2 class names",)
    with pytest.raises(DataError, match="line 2: 3 columns, but there should be 2"):
        read_csv(file, ".", columns=["labels", "path"])


def test_header_cells_are_trimmed(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text("path, labels\na.jpg, cat | dog \n")
    assert read_csv(file, ".").class_names == ("cat", "dog")


def test_json_lines(tmp_path: Path) -> None:
    file = tmp_path / "table.jsonl"
    rows: list[dict[str, Any]] = [
        {"path": "a.jpg", "labels": ["cat", "dog"], "n": 1},
        {"path": "2017-01-01", "labels": []},
        {"path": "c.jpg", "labels": None},
        {"path": "d.jpg", "labels": "dog", "extra": {"of": "nothing"}},
    ]
    file.write_text("\n\n".join(map(json.dumps, rows)))
    table = read_csv(file, ".")
    assert list(table.paths) == ["a.jpg", "2017-01-01", "c.jpg", "d.jpg"]
    assert table.targets(range(4)).tolist() == [[1, 1], [0, 0], [0, 0], [0, 1]]
    packed = tmp_path / "table.jsonl.gz"
    packed.write_bytes(gzip.compress(file.read_bytes()))
    assert read_csv(packed, ".").digest() == table.digest()
    packed.write_bytes(gzip.compress(file.read_bytes())[:-9])
    with pytest.raises(DataError, match=r"table\.jsonl\.gz cannot be unpacked"):
        read_csv(packed, ".")
    file.write_text('{"path": "a", "cat": true, "dog": 0.0}\n{"path": "b", "cat": false}\n')
    assert read_csv(file, ".", labels_column=None).targets([0, 1]).tolist() == [[1, 0], [0, 0]]
    file.write_text('{"path": "a", "labels": "cat"}\n{"path": "b", "labels": {"cat": 2}}\n')
    with pytest.raises(DataError, match=r"table\.jsonl, line 2: 'labels' holds an object"):
        read_csv(file, ".")
    file.write_text('{"path": "a", "labels": "cat"}\n\n{"path": "b"\n')
    with pytest.raises(DataError, match=r"table\.jsonl, line 3 is not a JSON object"):
        read_csv(file, ".")
    file.write_text('{"path": "a", "labels": "cat"}\n{"path": "a", "labels": "dog"}\n')
    with pytest.raises(DataError, match=r"'a' in .*line 1; .*line 2"):
        read_csv(file, ".")


def test_parquet(tmp_path: Path) -> None:
    file = tmp_path / "table.parquet"
    columns = {
        "path": ["a.jpg", "b.jpg", "c.jpg"],
        "labels": [["cat", "dog"], None, [" dog", "dog", None]],
        "cat": [True, None, False],
        "dog": [1.0, float("nan"), 0.0],
        "place": [{"x": 1}] * 3,
    }
    parquet.write_table(pa.table(columns), file)
    assert read_csv(file, ".").targets(range(3)).tolist() == [[1, 1], [0, 0], [0, 1]]
    form: dict[str, Any] = {"labels_column": None, "class_names": ["cat", "dog"]}
    table = read_csv(file, ".", blank="unknown", **form)
    assert table.targets(range(3)).tolist() == [[1, 1], [0, 0], [0, 0]]
    assert table.known_mask(range(3)).tolist() == [[True, True], [False, False], [True, True]]
    for cell, kind in (
        ([{"n": "cat"}], r"list<.*n: string>>, .*name what is within, as in 'labels\.n'"),
        ([["cat"]], "list<.*list<"),
        ({"n": b"\xff"}, "struct<"),
        (b"\xff", "binary"),
    ):
        parquet.write_table(pa.table({"path": ["a"], "labels": [cell]}), tmp_path / "z.parquet")
        with pytest.raises(DataError, match=f"the column 'labels' holds {kind}"):
            read_csv(tmp_path / "z.parquet", ".")
    with pytest.raises(DataError, match=r"column 'place' holds struct<x: int64>"):
        read_csv(file, ".", labels_column="place")
    with pytest.raises(DataError, match=r"column 'labels' holds lists; .* labels_column: labels"):
        read_csv(file, ".", labels_column=None, class_names=["labels"])
    for form in ({"path_column": "labels"}, {"layout": "long"}, {"group": "labels"}):
        with pytest.raises(DataError, match=r"column 'labels' holds lists"):
            read_csv(file, ".", **{"labels_column": "labels", **form})
    file.write_text("path,labels")
    with pytest.raises(DataError, match="is not a Parquet file"):
        read_csv(file, ".")
    with pytest.raises(MissingFileError, match="no Parquet file"):
        read_csv(tmp_path / "absent.parquet", ".")


def test_several_tables_as_one(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("path,labels\na.jpg,cat\nb.jpg,dog\n")
    (tmp_path / "b.tsv").write_text("labels\tpath\nox|cat\tc.jpg\n")
    files = [tmp_path / "a.csv", tmp_path / "b.tsv"]
    table = read_csv(files, ".")
    assert list(table.paths) == ["a.jpg", "b.jpg", "c.jpg"]
    assert table.targets(range(3)).tolist() == [[1, 0, 0], [0, 1, 0], [1, 0, 1]]
    (tmp_path / "b.tsv").write_text("labels\tpath\nox|cat\ta.jpg\n")
    with pytest.raises(DataError, match=r"'a.jpg' in .*a\.csv, line 2; .*b\.tsv, line 2"):
        read_csv(files, ".")
    (tmp_path / "b.tsv").write_text("tags\tpath\nox|cat\ta.jpg\n")
    with pytest.raises(DataError, match=r"b\.tsv has no column 'labels'"):
        read_csv(files, ".")
