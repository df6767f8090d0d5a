"""The presets of well-known data sets, on made-up files of their exact formats."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import TypeAdapter

from mlt.config import dump_config, load_config, parse_config
from mlt.data import LabelTable
from mlt.data.run_data import Data, load_data
from mlt.data.settings import DataConfig
from mlt.data.sources.known import KnownDataSet
from mlt.errors import MissingFileError


def load(name: str, root: Path, **values: Any) -> Data:
    """The data of one line of YAML."""
    section = {"name": name, "root": str(root), **values}
    return load_data(TypeAdapter(DataConfig).validate_python(section))


def write(file: Path, lines: Sequence[str]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{line}\n" for line in lines))


def photographs(*files: Path) -> None:
    for number, file in enumerate(files):
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number % 256, number // 256, len(file.name))).save(file)


def labels(table: LabelTable) -> dict[str, list[str]]:
    """The names of the labels of each image, by the name of its file."""
    rows = table.targets(range(len(table))).astype(bool)
    return {
        table.image_path(i).name: [table.class_names[c] for c in np.flatnonzero(row)]
        for i, row in enumerate(rows)
    }


NIH_HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
)


@pytest.mark.parametrize("folder", ["images", "images_00{}/images"])
def test_nih14(tmp_path: Path, folder: str) -> None:
    findings = ["Cardiomegaly|Effusion", "No Finding", "Hernia", "Effusion", "No Finding", "Mass"]
    names = [f"0000000{n // 2}_00{n % 2}.png" for n in range(6)]
    rows = [
        f"{name},{listed},0,{n // 2},58,M,PA,2682,2749,0.143,0.143,"
        for n, (name, listed) in enumerate(zip(names, findings))
    ]
    write(tmp_path / "Data_Entry_2017.csv", [NIH_HEADER, *rows])
    write(tmp_path / "train_val_list.txt", names[:4])
    write(tmp_path / "test_list.txt", names[4:])
    photographs(*(tmp_path / folder.format(1 + n // 3) / name for n, name in enumerate(names)))
    data = load("nih14", tmp_path)
    assert labels(data.train) == {
        names[0]: ["Cardiomegaly", "Effusion"], names[1]: [], names[2]: ["Hernia"],
        names[3]: ["Effusion"],
    }  # fmt: skip
    assert labels(data.test) == {names[4]: [], names[5]: ["Mass"]}
    assert data.train.num_classes == 14
    assert data.train.groups is not None and data.train.groups[3] == "1"
    notes = "\n".join(data.notes)
    assert "4 images read, but the published data has 86,524" in notes
    assert "2 images read, but the published data has 25,596" in notes
    assert "14 classes, as published" in notes
    cut = load("nih14", tmp_path, validation={"fraction": 0.5})
    assert cut.validation is not None and cut.validation.groups is not None
    assert {*cut.train.groups}.isdisjoint(cut.validation.groups)  # type: ignore[arg-type, misc]


CHEXPERT = [
    *("No Finding", "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion"),
    *("Edema", "Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion"),
    *("Pleural Other", "Fracture", "Support Devices"),
]


@pytest.mark.parametrize("size", ["-small", ""])
def test_chexpert(tmp_path: Path, size: str) -> None:
    root = tmp_path / "renamed"
    header = ",".join(["Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *CHEXPERT])

    def row(part: str, patient: int, **values: str) -> str:
        path = f"{part}/patient{patient:05}/study1/view1_frontal.jpg"
        photographs(root / path)
        cells = [values.get(name.replace(" ", "_"), "") for name in CHEXPERT]
        return ",".join([f"CheXpert-v1.0{size}/{path}", "Female", "68", "Frontal", "AP", *cells])

    train = [
        row("train", 1, No_Finding="1.0", Edema="0.0"),
        row("train", 2, Edema="-1.0", Cardiomegaly="1.0"),
        row("train", 3, Consolidation="-1.0", Support_Devices="1.0"),
        row("train", 4, Edema="1.0"),
    ]
    write(root / "train.csv", [header, *train])
    write(root / "valid.csv", [header, row("valid", 64541, Edema="1.0")])
    data = load("chexpert", root)
    assert data.train.class_names == tuple(CHEXPERT[1:])
    edema, consolidation = (CHEXPERT[1:].index(name) for name in ("Edema", "Consolidation"))
    assert data.train.targets(range(4))[:, edema].tolist() == [0, 0, 0, 1]
    known = data.train.known_mask(range(4))
    assert known[:, edema].tolist() == [True, False, True, True]
    assert known[:, consolidation].tolist() == [True, True, False, True]
    assert data.train.targets([0]).sum() == 0
    assert list(data.train.groups or ()) == [f"patient{n:05}" for n in (1, 2, 3, 4)]
    earlier = load("chexpert", root, group=None)  # as configurations of earlier versions say
    assert list(earlier.train.groups or ()) == list(data.train.groups or ())
    assert not any("no group is set" in note for note in earlier.notes)
    assert data.test.image_path(0) == root / "valid/patient64541/study1/view1_frontal.jpg"
    assert any("13 classes, as published" in note for note in data.notes)
    policy = load("chexpert", root, policies={"Edema": {"uncertain": "positive"}})
    assert policy.train.targets(range(4))[:, edema].tolist() == [0, 1, 0, 1]


def test_padchest(tmp_path: Path) -> None:
    header = ",ImageID,ImageDir,StudyDate_DICOM,StudyID,PatientID,Labels,Localizations,Projection"
    cells = ["\"['normal']\"", "\"['nodule', 'scoliosis']\"", "\"['nodule']\"", ""]
    rows = [
        f"{n},{n}_x.png,{n % 3},20140915,{n},p{n // 2},{cells[n % 4]},['loc right'],PA"
        for n in range(20)
    ]
    write(tmp_path / "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv", [header, *rows])
    photographs(*(tmp_path / f"{n % 3}" / f"{n}_x.png" for n in range(20)))
    data = load("padchest", tmp_path)
    assert data.train.class_names == data.test.class_names == ("nodule", "scoliosis")
    both = labels(data.train) | labels(data.test)
    assert [both[f"{n}_x.png"] for n in range(3)] == [[], ["nodule", "scoliosis"], ["nodule"]]
    assert len(data.train) + len(data.test) == 20 and 2 <= len(data.test) <= 6
    assert {*data.train.groups}.isdisjoint(data.test.groups)  # type: ignore[arg-type, misc]


def test_mimic_cxr_lt(tmp_path: Path) -> None:
    config = TypeAdapter(DataConfig).validate_python({"name": "mimic_cxr_lt"})
    classes = config.class_names  # type: ignore[union-attr]
    assert classes is not None and len(classes) == 40
    header = ",".join(["dicom_id", "subject_id", "study_id", "fpath", *classes])
    parts = {
        "train_labeled": [(0, 5), (39,)], "development_labeled_task1": [(24,)],
        "test_labeled_task1": [(5,)],
    }  # fmt: skip
    for name, images in parts.items():
        rows = []
        for n, present in enumerate(images):
            path = f"files/p10/p1000000{n}/s5/{name}-{n}.jpg"
            photographs(tmp_path / path)
            cells = [str(float(c in present)) for c in range(40)]
            rows.append(",".join([f"{name}-{n}", f"1000000{n}", "5", path, *cells]))
        write(tmp_path / "cxr-lt-2024" / f"{name}.csv", [header, *rows])
    data = load("mimic_cxr_lt", tmp_path)
    assert list(labels(data.train).values()) == [[classes[0], classes[5]], ["Tuberculosis"]]
    assert data.validation is not None
    assert list(labels(data.validation).values()) == [["Normal"]]
    assert list(labels(data.test).values()) == [[classes[5]]]
    assert any("40 classes, as published" in note for note in data.notes)


def test_open_images(tmp_path: Path) -> None:
    write(tmp_path / "class-descriptions-boxable.csv", ["/m/011k07,Tortoise", "/m/012074,Magpie"])
    lines = [
        "ImageID,Source,LabelName,Confidence",
        "{}01,verification,/m/011k07,1",
        "{}01,verification,/m/012074,0",
        "{}02,crowdsource-verification,/m/012074,1",
    ]
    for part in ("train", "validation", "test"):
        file = tmp_path / f"{part}-annotations-human-imagelabels-boxable.csv"
        write(file, [line.format(part[:2]) for line in lines])
        photographs(*(tmp_path / part / f"{part[:2]}0{n}.jpg" for n in (1, 2)))
    data = load("open_images", tmp_path)
    assert data.train.class_names == ("Magpie", "Tortoise")
    for table, name in ((data.train, "tr"), (data.validation, "va"), (data.test, "te")):
        assert table is not None
        assert labels(table) == {f"{name}01.jpg": ["Tortoise"], f"{name}02.jpg": ["Magpie"]}
        assert table.known_mask([0, 1]).tolist() == [[True, True], [True, False]]
    assert any("but the published data has 1,743,042" in note for note in data.notes)


def test_planet(tmp_path: Path) -> None:
    tags = ["clear primary", "haze primary water", "cloudy"]
    rows = [f"train_{n},{tags[n % 3]}" for n in range(15)]
    write(tmp_path / "train_v2.csv", ["image_name,tags", *rows])
    photographs(*(tmp_path / f"train-jpg/train_{n}.jpg" for n in range(15)))
    data = load("planet", tmp_path)
    assert data.train.class_names == ("clear", "cloudy", "haze", "primary", "water")
    assert (labels(data.train) | labels(data.test))["train_1.jpg"] == ["haze", "primary", "water"]
    assert (len(data.train), len(data.test)) == (12, 3)
    assert any("15 images read, but the published data has 40,479" in n for n in data.notes)


def test_lvis(tmp_path: Path) -> None:
    names = ["aerosol_can", "zucchini"]
    categories = [{"id": n + 1, "name": name, "frequency": "r"} for n, name in enumerate(names)]
    for part, folder, first in (("train", "train2017", 1), ("val", "val2017", 5)):
        images = [
            {
                "id": n,
                "coco_url": f"http://images.cocodataset.org/{folder}/{n:012}.jpg",
                "height": 8,
                "width": 8,
                "neg_category_ids": [2] if n == first else [],
                "not_exhaustive_category_ids": [],
            }
            for n in (first, first + 1)
        ]
        boxes = [
            {"id": n, "image_id": n, "category_id": 1, "bbox": [0, 0, 4, 4], "area": 16.0}
            for n in (first, first + 1)
        ]
        content = {"images": images, "annotations": boxes, "categories": categories}
        (tmp_path / f"lvis_v1_{part}.json").write_text(json.dumps(content))
        photographs(*(tmp_path / folder / f"{n:012}.jpg" for n in (first, first + 1)))
    data = load("lvis", tmp_path)
    assert data.train.class_names == data.test.class_names == tuple(names)
    for table in (data.train, data.test):
        assert table.targets([0, 1]).tolist() == [[1, 0], [1, 0]]
        assert table.known_mask([0, 1]).tolist() == [[True, True], [True, False]]
    notes = "\n".join(data.notes)
    assert "2 images read, but the published data has 100,170" in notes
    assert "2 classes, but the published data has 1,203" in notes


NAMES = ["nih14", "chexpert", "padchest", "mimic_cxr_lt", "open_images", "planet", "lvis"]


@pytest.mark.parametrize("name", NAMES)
def test_what_to_download_is_said(name: str, tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"(?s)there is no .* in .*download.*http"):
        load(name, tmp_path)


def test_a_list_of_images_that_is_not_there(tmp_path: Path) -> None:
    """Of the data set, what to download is said; of a user's own, only that it is not there."""
    write(tmp_path / "Data_Entry_2017.csv", [NIH_HEADER, "1.png,Mass,0,1,58,M,PA,1,1,1,1,"])
    write(tmp_path / "train_val_list.txt", ["1.png"])
    with pytest.raises(MissingFileError, match=r"(?s)there is no test_list.txt in .*download"):
        load("nih14", tmp_path)
    write(tmp_path / "test_list.txt", ["1.png"])
    with pytest.raises(MissingFileError, match=r"there is no list of images .*mine\.txt$"):
        load("nih14", tmp_path, test_list="mine.txt")


@pytest.mark.parametrize("name", ["nih14", "chexpert", "lvis"])
def test_a_root_one_folder_above_the_data(name: str, tmp_path: Path) -> None:
    files = {"nih14": "Data_Entry_2017.csv", "chexpert": "train.csv", "lvis": "lvis_v1_train.json"}
    root = tmp_path / "unpacked"
    write(root / files[name], ["any"])
    with pytest.raises(MissingFileError) as caught:
        load(name, tmp_path)
    assert f"in {tmp_path}; it is in {root}: --set data.root={root}.\n" in str(caught.value)


def test_a_table_of_ones_own_one_folder_below(tmp_path: Path) -> None:
    write(tmp_path / "unpacked" / "labels.csv", ["path,labels", "a.jpg,cat"])
    with pytest.raises(
        MissingFileError, match=r"no table .*; it is in .*unpacked: --set data.root"
    ):
        load("csv", tmp_path, train="labels.csv", test="labels.csv")


def test_an_archive_of_nih14_that_is_not_unpacked(tmp_path: Path) -> None:
    names = [f"0000000{n}_000.png" for n in range(4)]
    rows = [f"{name},Mass,0,{n},58,M,PA,2682,2749,0.143,0.143," for n, name in enumerate(names)]
    write(tmp_path / "Data_Entry_2017.csv", [NIH_HEADER, *rows])
    write(tmp_path / "train_val_list.txt", names[:3])
    write(tmp_path / "test_list.txt", names[3:])
    photographs(*(tmp_path / "images_001" / "images" / name for name in names[1:]))
    with pytest.raises(MissingFileError) as caught:
        load("nih14", tmp_path)
    assert str(caught.value).endswith(
        f"absent from {tmp_path}, first {tmp_path / 'images_001/images' / names[0]}; looked for in "
        "images, images_*/images: is an archive not unpacked, or elsewhere?"
    )


def test_a_size_as_published_is_said() -> None:
    table = LabelTable.from_lists([1], ["a.jpg"], ["a"], [[0]])
    known = KnownDataSet((), "", images={"train": 1, "test": 1200}, classes=1)
    assert known.compared(table, "train").notes == (
        "1 images read, as published",
        "1 classes, as published",
    )
    assert known.compared(table, "test").notes == (
        "1 images read, but the published data has 1,200",
    )
    assert known.compared(table, "validation").notes == ()
    assert known.compared(table, "train", whole=False).notes == ("1 images read, as published",)


def test_the_shared_cases_in_one_line(shared: Path) -> None:
    cases = shared / "cases"
    if not cases.is_dir():
        pytest.skip(f"needs {cases}")
    nih = load("nih14", cases / "01-nih")
    assert (len(nih.train), len(nih.test)) == (20, 10)
    planet = load("planet", cases / "05-planet")
    assert len(planet.train) + len(planet.test) == 30
    test = "validation-annotations-human-imagelabels-boxable.csv"
    images = load("open_images", cases / "04-openimages", validation=None, test=test)
    assert (images.train.labels.nnz, images.test.labels.nnz) == (20, 12)
    lvis = load("lvis", cases / "09-lvis")
    assert (lvis.train.labels.nnz, lvis.test.labels.nnz) == (26, 16)


@pytest.mark.parametrize("name", NAMES)
def test_one_line_of_yaml_and_the_saved_configuration(
    name: str, tiny_values: dict[str, Any], tmp_path: Path
) -> None:
    tiny_values["data"] = {"name": name, "root": str(tmp_path)}
    config = parse_config(tiny_values)
    assert config.data.name == name
    (tmp_path / "config.yaml").write_text(dump_config(config))
    assert load_config(tmp_path / "config.yaml") == config
