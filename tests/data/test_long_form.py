"""Tables with a line per image and class."""

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

LINES = """\
image,label,confidence
1,/m/cat,1
1,/m/dog,0
2,/m/dog,1
1,/m/cat,0
3,/m/cat,0
3,/m/ox,-1
"""


def read(tmp_path: Path, text: str, **form: Any) -> LabelTable:
    file = tmp_path / "table.csv"
    file.write_text(text, encoding="utf-8")
    columns = {"path_column": "image", "labels_column": "label", "value_column": "confidence"}
    return read_csv(file, ".", layout="long", **{**columns, **form})


def test_values_say_present_and_absent(tmp_path: Path) -> None:
    table = read(tmp_path, LINES)
    assert list(table.image_ids) == ["1", "2", "3"]
    assert table.class_names == ("/m/cat", "/m/dog", "/m/ox")
    assert table.targets(range(3)).tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0]]
    known = [[True, True, False], [False, True, False], [True, False, False]]
    assert table.known_mask(range(3)).tolist() == known
    assert table.notes == (
        "2 labels are present, 2 absent, 1 uncertain; 4 are not listed, taken as unknown",
        "1 label is listed more than once; 1 of them is contradicted: present goes before absent, "
        "absent before unknown",
    )
    negative = read(tmp_path, LINES, unlisted="negative")
    assert negative.known_mask(range(3)).tolist() == [[True] * 3, [True] * 3, [True, True, False]]
    policies = {"/m/ox": {"uncertain": "positive"}}
    assert read(tmp_path, LINES, policies=policies).targets([2]).tolist() == [[0, 0, 1]]
    with pytest.raises(ConfigError, match=r"policies: '/m/oxx' is not a class; .*'/m/ox'"):
        read(tmp_path, LINES, policies={"/m/oxx": {"uncertain": "positive"}})


def test_without_values_what_is_listed_is_present(tmp_path: Path) -> None:
    text = "image,label\na.jpg,cat\nb.jpg,\na.jpg, dog \na.jpg,cat\n"
    table = read(tmp_path, text, value_column=None)
    assert list(table.paths) == ["a.jpg", "b.jpg"]
    assert table.targets([0, 1]).tolist() == [[1, 1], [0, 0]] and table.known is None
    unknown = read(tmp_path, text, value_column=None, unlisted="unknown")
    assert unknown.known_mask([0, 1]).tolist() == [[True, True], [False, False]]


def test_confidences(tmp_path: Path) -> None:
    text = "image,label,confidence\na,cat,0.3\na,dog,0.7\nb,cat,1\n"
    with pytest.raises(DataError, match=r"line 2, column 'confidence': '0.3' .*threshold: 0.5"):
        read(tmp_path, text)
    table = read(tmp_path, text, threshold=0.7)
    assert table.targets([0, 1]).tolist() == [[0, 1], [1, 0]] and table.soft is None
    soft = read(tmp_path, text, soft=True)
    assert soft.targets([0, 1]).tolist() == [[0, 1], [1, 0]]
    assert np.allclose(soft.soft_targets([0, 1]), [[0.3, 0.7], [1, 0]])


def test_names_that_mean_none(tmp_path: Path) -> None:
    text = "image,label,confidence\na,none of them,1\nb,cat,1\nc,none of them,0\nd,dog,1\n"
    table = read(tmp_path, text, negatives=["none of them"])
    assert table.class_names == ("cat", "dog")
    known = [[True, True], [True, False], [False, False], [False, True]]
    assert table.known_mask(range(4)).tolist() == known


def test_readable_names(tmp_path: Path) -> None:
    (tmp_path / "names.csv").write_text('/m/ox,"Ox, big"\n/m/cat,Cat\n/m/dog,Ox\n/m/x,Cat\n')
    table = read(tmp_path, LINES, class_labels=str(tmp_path / "names.csv"))
    assert table.class_names == ("Cat (/m/cat)", "Ox", "Ox, big")
    assert table.targets(range(3)).tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0]]
    (tmp_path / "names.csv").write_text("LabelName,DisplayName\n/m/ox,Ox\n")
    table = read(tmp_path, LINES, class_labels=str(tmp_path / "names.csv"))
    assert table.class_names == ("/m/cat", "/m/dog", "Ox")
    assert "2 classes have no name in class_labels: '/m/cat', '/m/dog'" in table.notes
    (tmp_path / "names.csv").write_text("/m/ox,Ox\n/m/ox,Cow\n")
    with pytest.raises(DataError, match=r"line 2: '/m/ox' has two names, 'Ox' and 'Cow'"):
        read(tmp_path, LINES, class_labels=str(tmp_path / "names.csv"))
    (tmp_path / "names.csv").write_text("/m/ox,Ox,1\n")
    with pytest.raises(DataError, match="has 3 columns; a table of class names has two"):
        read(tmp_path, LINES, class_labels=str(tmp_path / "names.csv"))


def test_class_names_choose(tmp_path: Path) -> None:
    table = read(tmp_path, LINES, class_names=["/m/ox", "/m/cat", "/m/bee"])
    assert table.targets(range(3)).tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 0]]
    assert "1 class is not in class_names and left out: '/m/dog'" in table.notes[-1]
    with pytest.raises(DataError, match=r"none of the 1 class names is in its column 'label'"):
        read(tmp_path, LINES, class_names=["bee"])


def test_ids_groups_and_paths_are_those_of_the_first_line(tmp_path: Path) -> None:
    text = "id,file,image,label\n7,x.jpg,p1,cat\n8,y.jpg,p2,dog\n7,x.jpg,p1,dog\n"
    form = {"path_column": "file", "id_column": "id", "group": "image", "value_column": None}
    table = read(tmp_path, text, **form)
    assert list(table.image_ids) == ["7", "8"] and list(table.paths) == ["x.jpg", "y.jpg"]
    assert table.groups is not None and list(table.groups) == ["p1", "p2"]


@pytest.mark.parametrize(
    ("row", "form", "message"),
    [
        ("1,z.jpg,p1,cat", {}, "'file', 'x.jpg' and 'z.jpg', in lines 2, 4"),
        ("1,z.jpg,p1,cat", {"group": {"pattern": "([a-z])"}}, "'file', 'x.jpg' and 'z.jpg'"),
        ("1,x.jpg,p2,cat", {}, None),
        ("1,x.jpg,p2,cat", {"group": "image"}, "'image', 'p1' and 'p2', in lines 2, 4"),
        ("1,x.jpg,p2,cat", {"group": {"column": "image", "pattern": "[a-z]"}}, None),
    ],
)
def test_lines_of_an_image_differ_in_labels_alone(
    tmp_path: Path, row: str, form: dict[str, Any], message: str | None
) -> None:
    text = f"id,file,image,label\n1,x.jpg,p1,ox\n3,y.jpg,p1,ox\n{row}\n"
    form = {"path_column": "file", "id_column": "id", "value_column": None, **form}
    if message is None:
        assert len(read(tmp_path, text, **form)) == 2
    else:
        with pytest.raises(DataError, match=f"the image '1' has two values in column {message}"):
            read(tmp_path, text, **form)


@settings(deadline=None)
@given(st.data())
def test_round_trip(tmp_path_factory: Any, data: Any) -> None:
    file = tmp_path_factory.mktemp("long") / "table.csv"
    n, c = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 4))
    values = data.draw(
        st.lists(
            st.lists(st.sampled_from(["", "0", "1", "0.25", "-1"]), min_size=c, max_size=c),
            min_size=n,
            max_size=n,
        )
    )
    lines = [(i, k, v) for i, row in enumerate(values) for k, v in enumerate(row) if v]
    lines = data.draw(st.permutations(lines))
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "labels", "value"])
        writer.writerows([i, "", 1] for i in range(n))
        writer.writerows([i, f"class{k}", v] for i, k, v in lines)
    names = [f"class{k}" for k in range(c)]
    table = (
        read_csv(file, ".", layout="long", value_column="value", soft=True, class_names=names)
        if lines
        else None
    )
    if table is None:
        return
    truth = np.array([[float(v or 0) for v in row] for row in values])
    assert np.array_equal(table.soft_targets(range(n)), np.maximum(truth, 0))
    assert np.array_equal(table.targets(range(n)), truth >= 0.5)
    known = [[v not in ("", "-1") for v in row] for row in values]
    assert table.known_mask(range(n)).tolist() == known
