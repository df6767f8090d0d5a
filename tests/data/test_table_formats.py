"""Tables in the form of public data sets and exports, read or refused with what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlt.data import read_csv
from mlt.errors import DataError

COLUMNS = {"labels_column": None}

CHEXPERT = """\
Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Cardiomegaly,Edema
train/patient1/study1/view1_frontal.jpg,Female,68,Frontal,AP,1.0,,
train/patient2/study2/view1_frontal.jpg,Male,87,Frontal,AP,,0.0,-1.0
"""
CELEBA = """\
image_id,5_o_Clock_Shadow,Bald
000001.jpg,-1,1
000002.jpg,1,-1
"""
HUMAN_PROTEIN_ATLAS = """\
Id,Target
00070df0-bbc3,16 0
000a6c98-bb9b,7 1 2 0
000a9596-bbc4,5
"""
FSD50K = """\
fname,labels,mids,split
64760,"Guitar,Music","/m/02sgy,/m/0342h",train
16399,Guitar,/m/02sgy,val
"""
MOVIE_GENRES = """\
Id,Genre,N/A,Action
tt0086425,"['Comedy', 'Drama']",0,0
tt0085549,['Drama'],0,0
"""
CXR_LT = """\
dicom_id,subject_id,path,Atelectasis,Support Devices
abc,10,files/p10/a.jpg,0,1
def,11,files/p10/b.jpg,1,0
"""
VINBIGDATA = """\
image_id,class_name,class_id,rad_id,x_min
50a4,No finding,14,R11,
21a1,Cardiomegaly,3,R9,691
21a1,Cardiomegaly,3,R8,690
9a5,Nodule/Mass,8,R10,1
"""
VOTT = """\
"image","xmin","ymin","label"
"a.jpg",1,2,"cat"
"a.jpg",1,2,"dog"
"b.jpg",1,2,"dog"
"""
COCO_MLT = "9 44 0\n25 22 58\n30 5\n"
PANDAS_TWICE = "Unnamed: 0.1,Unnamed: 0,path,cat\n0,0,a,1\n1,1,b,0\n"
RFMID = "ID,Disease_Risk,DR,ARMD\n1,1,1,0\n2,1,1,1\n3,0,0,0\n"


@pytest.mark.parametrize(
    ("text", "form", "classes", "labels"),
    [
        pytest.param(
            CHEXPERT,
            {
                **COLUMNS,
                "path_column": "Path",
                "negatives": ["No Finding"],
                "class_names": ["Edema", "Cardiomegaly"],
                "uncertain": "positive",
            },
            ("Edema", "Cardiomegaly"),
            [[0, 0], [1, 0]],
            id="CheXpert",
        ),
        pytest.param(
            CELEBA,
            {**COLUMNS, "path_column": "image_id", "uncertain": "negative"},
            ("5_o_Clock_Shadow", "Bald"),
            [[0, 1], [1, 0]],
            id="CelebA as CSV",
        ),
        pytest.param(
            HUMAN_PROTEIN_ATLAS,
            {"path_column": "Id", "labels_column": "Target", "separator": " "},
            ("0", "1", "16", "2", "5", "7"),
            [[1, 0, 1, 0, 0, 0], [1, 1, 0, 1, 0, 1], [0, 0, 0, 0, 1, 0]],
            id="Human Protein Atlas",
        ),
        pytest.param(
            FSD50K,
            {"path_column": "fname", "separator": ","},
            ("Guitar", "Music"),
            [[1, 1], [1, 0]],
            id="FSD50K",
        ),
        pytest.param(
            MOVIE_GENRES,
            {"path_column": "Id", "labels_column": "Genre"},
            ("Comedy", "Drama"),
            [[1, 1], [0, 1]],
            id="movie posters",
        ),
        pytest.param(
            CXR_LT,
            {**COLUMNS, "id_column": "dicom_id", "group": "subject_id"},
            ("Atelectasis", "Support Devices"),
            [[0, 1], [1, 0]],
            id="CXR-LT",
        ),
        pytest.param(
            VINBIGDATA,
            {
                "layout": "long",
                "path_column": "image_id",
                "labels_column": "class_name",
                "negatives": ["No finding"],
            },
            ("Cardiomegaly", "Nodule/Mass"),
            [[0, 0], [1, 0], [0, 1]],
            id="VinBigData",
        ),
        pytest.param(
            VOTT,
            {"layout": "long", "path_column": "image", "labels_column": "label"},
            ("cat", "dog"),
            [[1, 1], [0, 1]],
            id="VoTT",
        ),
        pytest.param(
            COCO_MLT,
            {"columns": ["path", "labels"], "separator": " "},
            ("0", "22", "44", "5", "58"),
            [[1, 0, 1, 0, 0], [0, 1, 0, 0, 1], [0, 0, 0, 1, 0]],
            id="an image and its classes per line",
        ),
        pytest.param(PANDAS_TWICE, COLUMNS, ("cat",), [[1], [0]], id="an index written twice"),
        pytest.param(
            RFMID,
            {**COLUMNS, "path_column": "ID", "class_names": ["DR", "ARMD"]},
            ("DR", "ARMD"),
            [[1, 0], [1, 1], [0, 0]],
            id="RFMiD",
        ),
    ],
)
def test_formats_that_are_read(
    tmp_path: Path, text: str, form: dict[str, Any], classes: tuple[str, ...], labels: list[Any]
) -> None:
    file = tmp_path / "table.csv"
    file.write_text(text)
    table = read_csv(file, ".", **form)
    assert table.class_names == classes
    assert table.targets(range(len(table))).tolist() == labels


@pytest.mark.parametrize(
    ("text", "form", "message"),
    [
        pytest.param(
            "2\n5_o_Clock_Shadow Bald\n000001.jpg -1  1\n",
            COLUMNS,
            "no column 'path'.* is its first line a title or a count",
            id="CelebA's own text",
        ),
        pytest.param(
            "# made by a tool\npath,labels\na,cat\n",
            {},
            "is its first line a title or a count",
            id="a comment",
        ),
        pytest.param(
            HUMAN_PROTEIN_ATLAS,
            {"path_column": "Id", "labels_column": "Target"},
            r"line 2: '16 0' looks like a list with spaces.* set separator: \" \"",
            id="Human Protein Atlas without a separator",
        ),
        pytest.param(
            FSD50K,
            {"path_column": "fname"},
            r"line 2: 'Guitar,Music' looks like a list with commas.* set separator: \",\"",
            id="FSD50K without a separator",
        ),
        pytest.param(
            CHEXPERT,
            {**COLUMNS, "path_column": "Path"},
            "column 'Sex': 'Female' is not a label; .* name the classes with class_names",
            id="CheXpert without classes",
        ),
        pytest.param(
            VINBIGDATA.replace("Cardiomegaly", "Aortic enlargement", 1),
            {"path_column": "image_id", "labels_column": "class_name"},
            "'21a1' in lines 3, 4; for a line per image and class, set layout: long",
            id="VinBigData without a layout",
        ),
        pytest.param(
            "image/1.jpg 3 17\nimage/2.jpg 4\n",
            {"header": False, "path_column": "1", "labels_column": "2"},
            r"line 2: 2 columns.* if lines end in a list, .* columns: \[path, labels\]",
            id="lists of different lengths",
        ),
        pytest.param(
            'path,labels\na.jpg,"{""cat"":""1""}"\n',
            {},
            "line 2: 'labels' holds an object with 'cat'; name what is meant",
            id="VGG Image Annotator",
        ),
    ],
)
def test_formats_that_are_refused(
    tmp_path: Path, text: str, form: dict[str, Any], message: str
) -> None:
    file = tmp_path / "table.csv"
    file.write_text(text)
    with pytest.raises(DataError, match=message):
        read_csv(file, ".", **form)


def test_what_is_read_but_suspected(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text("path,labels\na,clear primary\nb,haze primary water\nc,Normal\n")
    assert read_csv(file, ".").notes == (
        "names of several words, such as 'clear primary', are taken for one class each; if they "
        'list several, set separator: " "',
        "does 'Normal' mean that there is none of the classes? Then set negatives: [Normal]",
    )
    assert len(read_csv(file, ".", separator="|", negatives=["Normal"]).notes) == 1
    file.write_text("path,labels\na,['cat\nb,cat\n")
    assert "do these class names belong to lists" in read_csv(file, ".").notes[0]
