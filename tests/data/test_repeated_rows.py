"""Rows that repeat an image of a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlt.data import read_csv
from mlt.errors import DataError


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("path,labels\na,cat\nb,dog\na,cat\na,cat\n", {}),
        ("path,cat,dog\na,1,0\nb,0,1\na,1,0\na,1.0,0\n", {"labels_column": None}),
        ("path,cat,dog\na,1,\nb,-1,1\na,1,\na,1,\n", {"labels_column": None}),
        ("id,path,labels\n1,a,cat\n2,b,dog\n1,a,cat\n1,a,cat\n", {"id_column": "id"}),
        ("path,labels,who\na,cat,x\nb,dog,y\na,cat,x\na,cat,x\n", {"group": "who"}),
    ],
)
def test_rows_that_say_the_same_count_once(tmp_path: Path, text: str, form: dict[str, Any]) -> None:
    (tmp_path / "table.csv").write_text(text)
    table = read_csv(tmp_path / "table.csv", ".", **form)
    assert table.paths is not None and table.paths.tolist() == ["a", "b"]
    assert table.targets([0])[0].tolist() == [1, 0] and table.targets([1])[0, 1] == 1
    assert table.groups is None or table.groups.tolist() == ["x", "y"]
    assert any(
        note.startswith("2 rows are left out, repeating an image with the same labels: ")
        for note in table.notes
    )


@pytest.mark.parametrize(
    ("text", "form", "hint"),
    [
        ("path,labels\na,cat\nb,dog\na,dog\n", {}, "set layout: long"),
        ("path,cat\na,1\nb,0\na,0\n", {"labels_column": None}, "keep one line of each image"),
        ("path,cat\na,0\nb,0\na,-1\n", {"labels_column": None}, "keep one line of each image"),
        ("path,labels,who\na,cat,x\nb,dog,y\na,cat,y\n", {"group": "who"}, "layout: long"),
        ("id,path,labels\n1,a,cat\n2,b,dog\n1,c,cat\n", {"id_column": "id"}, "layout: long"),
    ],
)
def test_rows_that_differ_are_refused(
    tmp_path: Path, text: str, form: dict[str, Any], hint: str
) -> None:
    (tmp_path / "table.csv").write_text(text)
    message = f"occurs more than once and differ in .*, .* in lines 2, 4; .*{hint}"
    with pytest.raises(DataError, match=message):
        read_csv(tmp_path / "table.csv", ".", **form)
