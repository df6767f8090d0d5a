"""Cells of class columns: words, values, votes, counts, and policies per class."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlt.data import LabelTable, read_csv
from mlt.errors import ConfigError, DataError


def read(tmp_path: Path, cells: list[str], **form: Any) -> LabelTable:
    """A table of one class with these cells."""
    file = tmp_path / "table.csv"
    file.write_text("path,cat\n" + "".join(f"{n},{cell}\n" for n, cell in enumerate(cells)))
    return read_csv(file, ".", labels_column=None, **form)


def test_words(tmp_path: Path) -> None:
    yes, no = ["True", "yes", "Y", "t", "TRUE", "1.0"], ["False", "no", "N", "f", "0"]
    table = read(tmp_path, yes + no)
    assert table.targets(range(11)).ravel().tolist() == [1] * 6 + [0] * 5


@pytest.mark.parametrize("cell", ["nan", "NaN", "None", "null", "NA", "N/A", "<NA>", " "])
def test_words_for_nothing(tmp_path: Path, cell: str) -> None:
    table = read(tmp_path, [cell, "1"], blank="unknown")
    assert table.known_mask([0, 1]).tolist() == [[False], [True]]


def test_soft_values(tmp_path: Path) -> None:
    cells = ["0.25", "0.5", "0", "1", "-1", ""]
    with pytest.raises(DataError, match=r"line 2.*'0.25' is not a label.* soft: true.*threshold"):
        read(tmp_path, cells)
    table = read(tmp_path, cells, soft=True)
    assert table.soft_targets(range(6)).ravel().tolist() == [0.25, 0.5, 0, 1, 0, 0]
    assert table.targets(range(6)).ravel().tolist() == [0, 1, 0, 1, 0, 0]
    assert table.known_mask(range(6)).ravel().tolist() == [True] * 4 + [False, True]
    assert "2 cells are between 0 and 1: soft targets" in table.notes[-1]
    # A value that is uncertain and positive by policy is a whole target.
    assert read(tmp_path, cells, soft=True, uncertain="positive").soft_targets([4])[0] == 1
    cut = read(tmp_path, cells, threshold=0.3)
    assert cut.soft is None and cut.targets(range(6)).ravel().tolist() == [0, 1, 0, 1, 0, 0]
    for wrong in ("1.5", "-0.5", "inf"):
        with pytest.raises(DataError, match=f"'{wrong}' is not a label"):
            read(tmp_path, [wrong], soft=True)
    with pytest.raises(ConfigError, match="with threshold, values become labels"):
        read(tmp_path, cells, soft=True, threshold=0.5)


def test_votes_and_counts(tmp_path: Path) -> None:
    cells = ["0", "1", "2", "3", ""]
    with pytest.raises(DataError, match=r"line 4.*'2' is not a label.*counts: positive.*votes: N"):
        read(tmp_path, cells)
    table = read(tmp_path, cells, votes=3)
    assert np.allclose(table.soft_targets(range(5)).ravel(), [0, 1 / 3, 2 / 3, 1, 0])
    assert table.targets(range(5)).ravel().tolist() == [0, 0, 1, 1, 0]
    counted = read(tmp_path, cells, counts="positive")
    assert counted.soft is None
    assert counted.targets(range(5)).ravel().tolist() == [0, 1, 1, 1, 0]
    majority = read(tmp_path, cells, votes=3, threshold=0.5)
    assert majority.soft is None and majority.labels.nnz == 2
    with pytest.raises(DataError, match=r"'3' is not a label; expected a number of votes, 0 to 2"):
        read(tmp_path, cells, votes=2)
    with pytest.raises(DataError, match=r"'1\.5' is not a label"):
        read(tmp_path, ["1.5"], counts="positive")


def test_policies(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text("path,Edema,Atelectasis,Mass\na,-1,-1,-1\nb,,,\n")
    policies = {"Edema": {"uncertain": "positive"}, "Mass": {"blank": "unknown"}}
    form: dict[str, Any] = {"labels_column": None, "uncertain": "negative", "policies": policies}
    table = read_csv(file, ".", **form)
    assert table.targets([0, 1]).tolist() == [[1, 0, 0], [0, 0, 0]]
    assert table.known_mask([0, 1]).tolist() == [[True] * 3, [True, True, False]]
    assert table.notes == (
        "Edema: 1 cell is uncertain (-1), taken as positive",
        "other classes: 2 cells are uncertain (-1), taken as negative",
        "Mass: 1 cell is blank, taken as unknown",
        "other classes: 2 cells are blank, taken as negative",
    )
    with pytest.raises(ConfigError, match=r"policies: 'Atelektasis' is not a class; did you mean "):
        read_csv(file, ".", labels_column=None, policies={"Atelektasis": {"blank": "unknown"}})
    form["policies"] = {"Edemma": {"uncertain": "positive"}}
    with pytest.raises(ConfigError, match=r"mean 'Edema'\? \(classes: 'Edema', 'Mass'\)"):
        read_csv(file, ".", class_names=["Edema", "Mass"], **form)
    with pytest.raises(ConfigError, match="policies: 'path' is not a class"):
        read_csv(file, ".", labels_column=None, policies={"path": {"blank": "unknown"}})
    with pytest.raises(ConfigError, match="policies are for a column per class"):
        read_csv(file, ".", policies=policies)


def test_policies_for_every_class_leave_none_to_what_is_not_theirs(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text("path,Edema,Mass,Nodule\na,-1,-1,-1\nb,0,-1,1\n")
    policies = {name: {"uncertain": "positive"} for name in ("Edema", "Mass", "Nodule")}
    form: dict[str, Any] = {"labels_column": None, "policies": policies}
    # A policy for a column that class_names leaves out does no harm.
    table = read_csv(file, ".", class_names=["Edema", "Mass"], **form)
    assert table.notes == (
        "Edema: 1 cell is uncertain (-1), taken as positive",
        "Mass: 2 cells are uncertain (-1), taken as positive",
    )


SPELLINGS = {
    1.0: ["1", "1.0", "True", "yes", "t"],
    0.0: ["0", "0.0", "false", "NO", "f"],
    0.25: ["0.25", "2.5e-1", " .25"],
    -1.0: ["-1", "-1.0"],
    None: ["", "nan", "NULL"],
}


@settings(deadline=None)
@given(st.data())
def test_round_trip(tmp_path_factory: Any, data: Any) -> None:
    """Whatever the spelling of a matrix, its soft targets, labels and mask come back."""
    file = tmp_path_factory.mktemp("cells") / "table.csv"
    c = data.draw(st.integers(1, 4))
    row = st.lists(st.sampled_from(list(SPELLINGS)), min_size=c, max_size=c)
    values = data.draw(st.lists(row, min_size=1, max_size=6))
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", *(f"class{k}" for k in range(c))])
        for n, cells in enumerate(values):
            writer.writerow([n, *(data.draw(st.sampled_from(SPELLINGS[v])) for v in cells)])
    table = read_csv(file, ".", labels_column=None, soft=True, blank="unknown")
    rows = range(len(values))
    truth = np.array([[max(v or 0, 0) for v in cells] for cells in values], np.float32)
    assert np.array_equal(table.soft_targets(rows), truth)
    assert np.array_equal(table.targets(rows), truth >= 0.5)
    known = [[v is not None and v >= 0 for v in cells] for cells in values]
    assert table.known_mask(rows).tolist() == known
