"""Cells that are lists as Python, JSON, NumPy and Postgres write them."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlt.data import read_csv
from mlt.data.formats.list_cells import are_list_literals, parse_list
from mlt.errors import DataError


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("[]", []),
        ("{}", []),
        (" [ ] ", []),
        ("['cat']", ["cat"]),
        ("['cat', 'dog']", ["cat", "dog"]),
        ('["cat","dog"]', ["cat", "dog"]),
        ("[cat, dog ]", ["cat", "dog"]),
        ("{cat,dog}", ["cat", "dog"]),  # Postgres
        ("{'cat', 'dog'}", ["cat", "dog"]),  # a Python set
        ("('cat', 'dog',)", ["cat", "dog"]),
        ("['cat' 'dog'\\n 'ox']".replace("\\n", "\n"), ["cat", "dog", "ox"]),  # NumPy
        ("['it\\'s', \"the dog's\"]", ["it's", "the dog's"]),
        ("['a, b', 'c']", ["a, b", "c"]),
        ('["\\u00e9", "\\ud83d\\ude00"]', ["é", "😀"]),
        ("['nodule ', nan, None]", ["nodule"]),
        ("[u'cat']", ["cat"]),
        ("[3, 17]", ["3", "17"]),
        ("['a\\\\b']", ["a\\b"]),
        ("['', 'cat']", ["cat"]),
    ],
)
def test_lists(text: str, names: list[str]) -> None:
    assert are_list_literals([text, ""])
    assert parse_list(text) == names


@pytest.mark.parametrize(
    "text", ["['cat'", "cat", "['cat'] and", "(benign)", "mass (benign)", "[", "", "nan"]
)
def test_not_lists(text: str) -> None:
    assert not are_list_literals([text])


@pytest.mark.parametrize("text", ["['cat', 'dog]", "[['cat'], ['dog']]", "[" * 5000 + "]" * 5000])
def test_lists_that_cannot_be_read_are_refused_with_their_line(tmp_path: Path, text: str) -> None:
    file = tmp_path / "table.csv"
    file.write_text(f"path\tlabels\na\t['cat']\nb\t{text}\n")
    with pytest.raises(DataError, match=r"table\.csv, line 3: .* list"):
        read_csv(file, ".")


def test_nothing_is_evaluated(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    file = tmp_path / "table.csv"
    file.write_text(f"path\tlabels\na\t[open('{canary}', 'w')]\n")
    with pytest.raises(DataError, match="list"):
        read_csv(file, ".")
    assert not canary.exists()


def test_a_table_of_lists(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text(
        "path,labels\na,\"['nodule', 'normal', 'nodule']\"\nb,\nc,['nodule ']\nd,[]\ne,nan\n"
    )
    table = read_csv(file, ".", negatives=["normal"])
    assert table.class_names == ("nodule",)
    assert table.targets(range(5)).tolist() == [[1], [0], [1], [0], [0]]
    assert table.notes[0] == (
        "column 'labels' holds lists, such as \"['nodule', 'normal', 'nodule']\""
    )


def test_names_with_loose_brackets_are_suspected(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text("path\tlabels\na\t['cat', 'dog']\nb\tcat\nc\tcat (black)\n")
    table = read_csv(file, ".", separator=",")
    assert table.notes == (
        "do these class names belong to lists that were taken apart wrongly? "
        "\"'dog']\", \"['cat'\"",
    )


names = (
    st.text(
        st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\0"),
        min_size=1,
        max_size=5,
    )
    .map(str.strip)
    .filter(lambda name: name.casefold() not in ("", "nan", "none", "null", "na"))
)


@settings(deadline=None)
@given(
    st.lists(st.lists(names, max_size=4), min_size=1, max_size=6).filter(any),
    st.sampled_from([repr, json.dumps, lambda row: json.dumps(row, ensure_ascii=False)]),
)
def test_round_trip(tmp_path_factory: Any, rows: list[list[str]], write: Any) -> None:
    file = tmp_path_factory.mktemp("lists") / "table.csv"
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "labels"])
        writer.writerows([f"{n}.jpg", write(row)] for n, row in enumerate(rows))
    table = read_csv(file, ".")
    classes = sorted({name for row in rows for name in row if name != "n/a" and name != "<na>"})
    truth = np.array([[name in row for name in classes] for row in rows], np.float32)
    assert list(table.class_names) == classes
    assert np.array_equal(table.targets(range(len(rows))), truth)
