"""read_csv: both layouts, what blank and -1 mean, and files that are wrong in one way."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlt.data import LabelTable, read_csv
from mlt.errors import ConfigError, DataError, MissingFileError


def write(tmp_path: Path, text: str, encoding: str = "utf-8") -> Path:
    file = tmp_path / "labels.csv"
    file.write_bytes(text.encode(encoding))
    return file


def read_columns(file: Path, root: Any = ".", **options: Any) -> LabelTable:
    """read_csv in the layout of one column per class."""
    return read_csv(file, root, **{"labels_column": None, **options})


COLUMNS = "path,cat,dog,cow\na.jpg,1,0,\nb.jpg,-1,1,0\n"


@pytest.mark.parametrize(
    ("blank", "uncertain", "labels", "known"),
    [
        ("negative", "negative", [[1, 0, 0], [0, 1, 0]], None),
        ("negative", "positive", [[1, 0, 0], [1, 1, 0]], None),
        ("positive", "negative", [[1, 0, 1], [0, 1, 0]], None),
        ("unknown", "negative", [[1, 0, 0], [0, 1, 0]], [[1, 1, 0], [1, 1, 1]]),
        ("negative", "unknown", [[1, 0, 0], [0, 1, 0]], [[1, 1, 1], [0, 1, 1]]),
        ("unknown", "unknown", [[1, 0, 0], [0, 1, 0]], [[1, 1, 0], [0, 1, 1]]),
        ("positive", "unknown", [[1, 0, 1], [0, 1, 0]], [[1, 1, 1], [0, 1, 1]]),
    ],
)
def test_blank_and_uncertain(
    tmp_path: Path, blank: Any, uncertain: Any, labels: list[Any], known: list[Any] | None
) -> None:
    table = read_columns(write(tmp_path, COLUMNS), tmp_path, blank=blank, uncertain=uncertain)
    assert table.class_names == ("cat", "dog", "cow")
    assert list(table.image_ids) == list(table.paths) == ["a.jpg", "b.jpg"]
    assert table.targets([0, 1]).tolist() == labels
    assert (table.known is None) == (known is None)
    assert known is None or table.known_mask([0, 1]).astype(int).tolist() == known


def test_the_number_of_cells_that_were_taken_for_something_is_noted(tmp_path: Path) -> None:
    assert read_columns(write(tmp_path, COLUMNS), tmp_path).notes == (
        "1 cell is uncertain (-1), taken as unknown",
        "1 cell is blank, taken as negative",
    )
    text = "path,labels\na.jpg,cat|dog\nb.jpg,\n"
    read = read_csv(write(tmp_path, text), tmp_path, blank="unknown")
    assert read.notes == ("1 image has no class name, so nothing is known about them",)
    assert read_csv(write(tmp_path, text), tmp_path).notes == ()


@pytest.mark.parametrize("other", ["cat", " CAT", "c_at"])
def test_classes_that_are_nearly_the_same_are_noted(tmp_path: Path, other: str) -> None:
    file = write(tmp_path, f"path,labels\na.jpg,Cat|dog\nb.jpg,{other}\n")
    table = read_csv(file, tmp_path)
    assert table.class_names == tuple(sorted(("Cat", "dog", other.strip())))
    one, two = sorted(("Cat", other.strip()))
    assert table.notes == (f"are the classes {one!r} and {two!r} one class?",)


def test_one_name_in_two_forms_of_unicode_is_noted(tmp_path: Path) -> None:
    table = read_csv(write(tmp_path, "path,labels\na.jpg,caf\u00e9\nb.jpg,cafe\u0301\n"), tmp_path)
    assert table.notes == ("are the classes 'cafe\u0301' and 'caf\u00e9' one class?",)


@pytest.mark.parametrize("spelling", ["1", "1.0", " 1", "+1", "1e0", "1.00"])
def test_spellings_of_one(tmp_path: Path, spelling: str) -> None:
    table = read_columns(write(tmp_path, f"path,x\na,{spelling}\nb,-0.0\nc, \n"), ".")
    assert table.targets([0, 1, 2]).tolist() == [[1], [0], [0]]


def test_names_in_one_column(tmp_path: Path) -> None:
    text = 'id,file,tags,split\n07,"a, b.jpg",dog; cat ;dog,train\n8,c.jpg,,test\n'
    file = write(tmp_path, text)
    options: dict[str, Any] = {"path_column": "file", "labels_column": "tags", "separator": ";"}
    table = read_csv(file, "root", id_column="id", **options)
    assert list(table.image_ids) == ["07", "8"] and list(table.paths) == ["a, b.jpg", "c.jpg"]
    assert table.class_names == ("cat", "dog") and table.known is None
    assert table.targets([0, 1]).tolist() == [[1, 1], [0, 0]]
    assert table.image_path(1) == Path("root/c.jpg")

    named = read_csv(file, ".", class_names=["dog", "cow", "cat"], **options)
    assert named.targets([0]).tolist() == [[1, 0, 1]]
    unknown = read_csv(file, ".", blank="unknown", **options)
    assert unknown.known_mask([0, 1]).tolist() == [[True, True], [False, False]]


def test_class_names_choose_columns_and_order(tmp_path: Path) -> None:
    file = write(tmp_path, "study,path,cat,dog,view\n1,a,1,0,PA\n2,b,0,1,AP\n")
    table = read_columns(file, ".", class_names=["dog", "cat"])
    assert table.class_names == ("dog", "cat")
    assert table.targets([0, 1]).tolist() == [[0, 1], [1, 0]]
    assert read_columns(file, ".", class_names=("cat",)).targets([0, 1]).tolist() == [[1], [0]]


@pytest.mark.parametrize(
    "text", ["\ufeffpath\tcat\na\t1\n", "path\tcat\r\na\t1\r\n", "\npath\tcat\n\n\na\t1"]
)
def test_marks_line_ends_delimiters_and_empty_lines(tmp_path: Path, text: str) -> None:
    table = read_columns(write(tmp_path, text), ".", delimiter="\t")
    assert (table.paths[0], table.class_names, table.labels.nnz) == ("a", ("cat",), 1)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", {}, "is empty; expected a header"),
        ("file,cat\na,1\n", {}, "has no column 'path'; its columns, .*, are 'file', 'cat'"),
        ("path;cat\na;1\n", {"delimiter": ","}, "taken apart at ',', are 'path;cat'"),
        ("path,path\na,b\n", {}, "has 2 columns 'path'"),
        ("path\na\n", {}, "no column that could be a class"),
        ("path,cat,cat\na,1,1\n", {}, "has 2 columns 'cat'"),
        ("path,cat\na,1\n", {"class_names": ["cow"]}, "has no column 'cow'"),
        ("path,cat\na,1\n", {"id_column": "id"}, "has no column 'id'"),
        ("path,cat\na,1\nb\n", {}, "line 3: 1 columns, but the header has 2"),
        ("path,cat\na,1,0\n", {}, "line 2: 3 columns"),
        ("path,cat\na,1\n,1\n", {}, "line 3: the path is empty"),
        (
            "path,cat\na,1\nb,0\na,0\na,1\n",
            {},
            "1 path occurs .* differ in labels, group or part, 'a' in lines 2, 4; keep one",
        ),
        ("id,path,cat\n1,a,1\n1,b,1\n", {"id_column": "id"}, "1 image id occurs .* lines 2, 3"),
        ("path,cat,dog\na,1,0\nb,0,2\n", {}, "line 3, column 'dog': '2' is not a label"),
        ("path,cat\na,ja\n", {}, "line 2, column 'cat': 'ja'"),
        ("path,cat\na,inf\n", {}, "line 2, column 'cat': 'inf'"),
        ("path,labels\na,cat|dog\n", {}, "set labels_column: labels"),
        (
            'path,cat\na,1\n"b,1\n',
            {},
            "line 3: unexpected end of data; is a quote opened in line 3 and",
        ),
        (
            'path,cat\na,"1\nb,1\nc,1\n',
            {},
            "line 4: unexpected end of data; is a quote opened in line 2 and never closed",
        ),
        (
            'path,cat\na,"1\nb,"1"\n',
            {},
            "line 3: .* expected after .*; the row begins in line 2; is a quote opened in line 2",
        ),
        (
            'path,cat\na,"1\n' + "b,1\n" * 40_000,
            {},
            "a cell has more than 131,072 characters, from line 2 on; is a quote opened in line 2",
        ),
        (
            f'path,cat,mask\na "b" c,1,"{"0" * 140_000}"\n',
            {"class_names": ["cat"]},
            "line 2: a cell has more than 131,072 characters; write the table without this column",
        ),
        ("path,labels\na,\n", {"labels_column": "labels"}, "no class name in its column"),
        ("path,cat\na,1\n", {"labels_column": "labels"}, "set labels_column to null"),
        (
            "path,labels\na,cat;dog\n",
            {"labels_column": "labels", "class_names": ["cat", "dog"]},
            r"line 2: 'cat;dog' is not among the 2 class names, .*: cat, dog; is '\|' the sep",
        ),
        (
            "path,labels\na,crss\n",
            {"labels_column": "labels", "class_names": ["cross", "star"]},
            r"'crss' is not among .*: cross, star; did you mean 'cross'\? Or is '\|' the",
        ),
    ],
)
def test_what_is_wrong_is_said(
    tmp_path: Path, text: str, options: dict[str, Any], message: str
) -> None:
    file = write(tmp_path, text)
    with pytest.raises(DataError, match=message) as caught:
        read_columns(file, tmp_path, **options)
    assert str(file) in str(caught.value)


def test_words_for_nothing_are_no_group(tmp_path: Path) -> None:
    file = write(
        tmp_path, "path,labels,patient\n1,cat,NA\n2,cat,p\n3,cat, nan \n4,cat,\n5,cat,NA\n"
    )
    table = read_csv(file, ".", group="patient")
    assert table.groups is not None and table.groups.tolist() == ["", "p", "", "", ""]
    assert table.notes[-1].startswith(
        "4 of 5 images have no group in column 'patient' (' nan ', 'NA'): each"
    )


def test_other_errors(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"no CSV file .*absent\.csv"):
        read_columns(tmp_path / "absent.csv", ".")
    file = write(tmp_path, COLUMNS)
    with pytest.raises(ConfigError, match=r"blank: 'ignore' is not allowed.* positive"):
        read_columns(file, ".", blank="ignore")
    with pytest.raises(ConfigError, match="uncertain: '0' is not allowed"):
        read_columns(file, ".", uncertain="0")
    with pytest.raises(ConfigError, match="negative or unknown"):
        read_columns(file, ".", labels_column="cat", blank="positive")
    for wrong in ([1, 2], ["", "cat"], [], "cat"):
        with pytest.raises(ConfigError, match="class_names must be a list of names, got"):
            read_columns(file, ".", class_names=wrong)
    with pytest.raises(ConfigError, match="unknown key; did you mean 'separator'"):
        read_columns(file, ".", seperator=";")


names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
headers = names.map(str.strip).filter(lambda name: name and name != "path")


@settings(deadline=None)
@given(
    st.lists(headers, min_size=1, max_size=4, unique=True),
    st.lists(names, max_size=5, unique=True),
    st.randoms(),
)
def test_round_trip(tmp_path_factory: Any, classes: list[str], paths: list[str], rng: Any) -> None:
    file = tmp_path_factory.mktemp("csv") / "labels.csv"
    labels = np.array([[rng.random() < 0.5 for _ in classes] for _ in paths], np.float32)
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", *classes])
        for path, row in zip(paths, labels):
            writer.writerow([path, *row])
    table = read_columns(file, ".")
    assert list(table.paths) == paths and list(table.class_names) == classes
    assert np.array_equal(table.targets(range(len(paths))), labels.reshape(-1, len(classes)))


def test_a_table_with_quotation_marks(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text('path,labels\n"a, b.jpg","cat|\ndog"\nc.jpg,\n', encoding="utf-8")
    table = read_csv(file, tmp_path)
    assert list(table.paths) == ["a, b.jpg", "c.jpg"]
    assert table.targets([0, 1]).tolist() == [[1, 1], [0, 0]]
    file.write_text('path,labels\n"a\n.jpg",cat\nc.jpg,cow\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"table\.csv, line 3: 'cat' is not among the 1 class"):
        read_csv(file, tmp_path, class_names=["ox"])


def test_names_that_are_not_classes_are_left_out_and_counted(tmp_path: Path) -> None:
    file = write(tmp_path, "path,labels\na,star|crss\nb,cross\nc,sun\nd,sun|moon\n")
    table = read_csv(file, ".", class_names=["star", "cross", "comet"])
    assert table.class_names == ("star", "cross", "comet")
    assert table.targets(range(4)).tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0]]
    assert table.known is None
    assert table.notes == (
        f"{file}, line 2: 'crss' is not a class; did you mean 'cross'?",
        "3 classes are not in class_names and left out: 'crss', 'moon', 'sun' (4 labels; 2 images "
        "have no label left)",
    )


def test_names_that_mean_none(tmp_path: Path) -> None:
    file = write(tmp_path, "path,labels\na,No Finding\nb,Mass\nc,\nd,Mass|normal\n")
    form: dict[str, Any] = {"negatives": ["No Finding", "normal"], "blank": "unknown"}
    table = read_csv(file, ".", **form)
    assert table.class_names == ("Mass",)
    assert table.targets(range(4)).tolist() == [[0], [1], [0], [1]]
    assert table.known_mask(range(4)).tolist() == [[True], [True], [False], [True]]
    assert table.notes[:2] == (
        "2 images have none of the classes by 'No Finding', 'normal'",
        "1 of them has a class too, which counts",
    )
    close = read_csv(file, ".", negatives=["No finding"])
    assert "negatives: 'No finding' does not occur; did you mean 'No Finding'?" in close.notes


def test_columns_that_mean_none(tmp_path: Path) -> None:
    file = write(tmp_path, "path,No Finding,Mass,Edema\na,1,,\nb,0,1,\nc,,,\nd,1,1,-1\n")
    table = read_columns(file, ".", negatives=["No Finding"], blank="unknown")
    assert table.class_names == ("Mass", "Edema")
    assert table.targets(range(4)).tolist() == [[0, 0], [1, 0], [0, 0], [1, 0]]
    known = [[True, True], [True, False], [False, False], [True, False]]
    assert table.known_mask(range(4)).tolist() == known
    assert table.notes[-2:] == (
        "2 images have none of the classes by 'No Finding': blank cells there are negative",
        "1 of them has a class too, which counts",
    )
    with pytest.raises(DataError, match=r"no column 'No finding'.*did you mean 'No Finding'"):
        read_columns(file, ".", negatives=["No finding"])


def test_columns_without_a_name_are_no_classes(tmp_path: Path) -> None:
    table = read_columns(write(tmp_path, ",path,cat,\n0,a,1,\n1,b,0,\n"), ".")
    assert table.class_names == ("cat",)
    assert table.notes == (
        "column 1 has no name and is not read",
        "column 4 has no name and is not read",
    )
    table = read_columns(write(tmp_path, "Unnamed: 0,path, cat \n0,a,1\n1,b,0\n"), ".")
    assert table.class_names == ("cat",)


def test_words_for_nothing_are_blank_unless_they_are_classes(tmp_path: Path) -> None:
    file = write(tmp_path, "path,labels\na,cat\nb,none\nc,nan\nd,None\n")
    table = read_csv(file, ".")
    assert table.class_names == ("cat",) and table.labels.nnz == 1
    assert table.notes == (
        "3 names 'None', 'nan', 'none' taken for blank; if it is a class, list it in class_names",
    )
    assert read_csv(file, ".", class_names=["cat", "none"]).labels.nnz == 2


@pytest.mark.parametrize(
    ("cells", "separator"),
    [
        (["road water", "road", "clear road", "clear water", "clear"], " "),
        (["cat, dog", "dog"], ","),
        (["cat;dog", "dog;ox", "ox;cat", "ox"], ";"),
    ],
)
def test_another_separator_is_suspected(tmp_path: Path, cells: list[str], separator: str) -> None:
    lines = "\n".join(f"{n}.jpg\t{cell}" for n, cell in enumerate(cells))
    file = write(tmp_path, f"path\tlabels\n{lines}\n")
    with pytest.raises(DataError, match=f'line 2.* set separator: "{separator}".*set separator'):
        read_csv(file, ".")
    # The user's word counts, either way.
    assert read_csv(file, ".", separator="|").class_names == tuple(sorted(cells))
    assert read_csv(file, ".", separator=separator).num_classes < len(cells) or len(cells) == 2


def test_names_of_several_words_are_not_suspected(tmp_path: Path) -> None:
    file = write(tmp_path, "path,labels\na,pleural effusion\nb,nodule\nc,cardiac effusion\n")
    assert read_csv(file, ".").num_classes == 3
