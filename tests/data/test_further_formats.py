"""Exports of annotation tools and cloud services, read or refused with what to do.

The rows are made up. Their layout is that of each tool's documentation where that could be read,
and else as it is known from use; docs/other_formats.md says what to do with each.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet
from pydantic import TypeAdapter
from scipy.io import savemat

from mlt.data import read_coco, read_csv, read_voc
from mlt.data.formats.image_folder import read_image_folder
from mlt.data.labels import LabelTable
from mlt.data.run_data import load_data
from mlt.data.settings import DataConfig
from mlt.errors import DataError, MissingFileError

IMAGES = {"a.jpg": ["cat", "dog"], "b.jpg": ["dog"], "c.jpg": [], "d.jpg": ["cow"]}
IDS = {"cat": "0", "dog": "1", "cow": "2"}


def of_table(table: LabelTable) -> dict[str, list[str]]:
    """The names of each image, by the last part of its path."""
    assert table.paths is not None
    return {
        path.rsplit("/", 1)[-1]: [table.class_names[c] for c in table.labels[[row]].indices]
        for row, path in enumerate(table.paths)
    }


def write(file: Path, content: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content if isinstance(content, str) else json.dumps(content, indent=1))
    return file


def lines(records: list[Mapping[str, Any]]) -> str:
    return "".join(f"{json.dumps(record)}\n" for record in records)


def quoted(value: Any) -> str:
    """A cell of CSV that holds JSON."""
    return '"' + json.dumps(value, separators=(",", ":")).replace('"', '""') + '"'


def choice(names: list[str]) -> Any:
    """Label Studio writes one choice as text, several as an object."""
    return {"choices": names} if len(names) > 1 else names[0] if names else None


LABEL_STUDIO_CSV = "image,id,choice,annotator\n" + "".join(
    f"/data/upload/1/{image},{n},{quoted(c) if isinstance(c, dict) else c or ''},1\n"
    for n, (image, c) in enumerate((i, choice(names)) for i, names in IMAGES.items())
)
LABEL_STUDIO_JSON_MIN = [
    {"image": f"/data/upload/1/{image}", "id": n, "choice": choice(names), "annotator": 1}
    for n, (image, names) in enumerate(IMAGES.items())
]
LABEL_STUDIO_JSON = [
    {
        "id": 1,
        "data": {"image": f"/data/upload/1/{image}"},
        "annotations": [
            {"result": [{"type": "choices", "value": {"choices": names}}] if names else []}
        ],
    }
    for image, names in IMAGES.items()
]
SAGEMAKER = lines(
    [
        {
            "source-ref": f"s3://bucket/{image}",
            "animals": [int(IDS[name]) for name in names],
            "animals-metadata": {
                "class-map": {IDS[name]: name for name in names},
                "confidence-map": {IDS[name]: 0.49 for name in names},
                "type": "groundtruth/image-classification-multilabel",
            },
        }
        for image, names in IMAGES.items()
    ]
)
REKOGNITION = lines(
    [
        {"source-ref": f"s3://bucket/{image}"}
        | dict.fromkeys(names, 1)
        | {f"{name}-metadata": {"class-name": name, "confidence": 1} for name in names}
        for image, names in IMAGES.items()
    ]
)
VERTEX = lines(
    [
        {
            "imageGcsUri": f"gs://bucket/{image}",
            "classificationAnnotations": [{"displayName": name} for name in names],
            "dataItemResourceLabels": {"aiplatform.googleapis.com/ml_use": "training"},
        }
        for image, names in IMAGES.items()
    ]
)
VERTEX_CSV = "".join(
    ",".join(["training", f"gs://bucket/{image}", *names]) + "\n" for image, names in IMAGES.items()
)
AZURE = lines(
    [
        {"image_url": f"azureml://datastores/w/paths/{image}", "label": names}
        for image, names in IMAGES.items()
    ]
)
CREATE_ML = [
    {"image": image, "annotations": [{"label": n, "coordinates": {"x": 5}} for n in names]}
    for image, names in IMAGES.items()
]
LABELBOX = lines(
    [
        {
            "data_row": {"id": f"x{image}", "external_id": image},
            "projects": {
                f"project{n % 2}": {
                    "labels": [
                        {
                            "annotations": {
                                "classifications": [
                                    {"name": "kind", "checklist_answers": [{"name": name}]}
                                    for name in names
                                ]
                            }
                        }
                    ]
                }
            },
        }
        for n, (image, names) in enumerate(IMAGES.items())
    ]
)
VIA_JSON = {
    f"{image}1200": {
        "filename": image,
        "regions": [{"region_attributes": {"class": name}} for name in names],
    }
    for image, names in IMAGES.items()
}
VIA_HEADER = "filename,file_size,file_attributes,region_count,region_id,region_attributes\n"
VIA_REGIONS = VIA_HEADER + "".join(
    f"{image},1200,{quoted({})},{len(names)},{n},{quoted({'class': name} if name else {})}\n"
    for image, names in IMAGES.items()
    for n, name in enumerate(names or [""])
)
VIA_1_JSON = {
    f"{image}1200": {
        "filename": image,
        "regions": {str(n): {"region_attributes": {"class": x}} for n, x in enumerate(names)},
    }
    for image, names in IMAGES.items()
}
VIA_IMAGES = VIA_HEADER + "".join(
    f"{image},1200,{quoted({'animals': dict.fromkeys(names, True)})},0,0,{quoted({})}\n"
    for image, names in IMAGES.items()
)
DICTS = "path,labels\n" + "".join(
    f'{image},"{ {name: int(name in names) for name in IDS} }"\n' for image, names in IMAGES.items()
)
TABBED = "".join("\t".join([f"http://x/{i}", *names]) + "\n" for i, names in IMAGES.items())
ROBOFLOW = "filename, cat, cow, dog\n" + "".join(
    f"{image}, " + ", ".join(str(int(c in names)) for c in ("cat", "cow", "dog")) + "\n"
    for image, names in IMAGES.items()
)
COLUMNS = {"labels_column": None}


def form(path_column: str, labels_column: str, **others: Any) -> dict[str, Any]:
    return {"path_column": path_column, "labels_column": labels_column, **others}


CHECKLISTS = "projects.*.labels.annotations.classifications.checklist_answers.name"
FORMATS = {
    "Label Studio, CSV": ("e.csv", LABEL_STUDIO_CSV, form("image", "choice.choices")),
    "Label Studio, JSON-MIN": ("e.json", LABEL_STUDIO_JSON_MIN, form("image", "choice.choices")),
    "Label Studio, JSON": (
        "e.json",
        LABEL_STUDIO_JSON,
        form("data.image", "annotations.result.value.choices"),
    ),
    "SageMaker Ground Truth": (
        "output.manifest",
        SAGEMAKER,
        form("source-ref", "animals-metadata.class-map.*"),
    ),
    "Rekognition Custom Labels": ("e.manifest", REKOGNITION, form("source-ref", "*.class-name")),
    "Vertex AI, JSON lines": (
        "e.jsonl",
        VERTEX,
        form("imageGcsUri", "classificationAnnotations.displayName"),
    ),
    "Vertex AI, CSV": ("e.csv", VERTEX_CSV, {"columns": ["use", "path", "labels"]}),
    "Azure Machine Learning": ("e.jsonl", AZURE, form("image_url", "label")),
    "CreateML": ("_annotations.createml.json", CREATE_ML, form("image", "annotations.label")),
    "Labelbox": ("e.ndjson", LABELBOX, form("data_row.external_id", CHECKLISTS)),
    "VGG Image Annotator, JSON": (
        "via.json",
        VIA_JSON,
        form("filename", "regions.region_attributes.class"),
    ),
    "VGG Image Annotator, regions": (
        "via.csv",
        VIA_REGIONS,
        form("filename", "region_attributes.class", layout="long"),
    ),
    "VGG Image Annotator 1, JSON": (
        "via.json",
        VIA_1_JSON,
        form("filename", "regions.*.region_attributes.class"),
    ),
    "VGG Image Annotator 1, regions": (
        "via.csv",
        f"#{VIA_REGIONS}",
        form("#filename", "region_attributes.class", layout="long"),
    ),
    "VGG Image Annotator, images": (
        "via.csv",
        VIA_IMAGES,
        form("filename", "file_attributes.animals"),
    ),
    "dicts that pandas wrote": ("e.csv", DICTS, {}),
    "lists at the end of lines": ("e.txt", TABBED, {"columns": ["path", "labels"]}),
    "Roboflow, multi-class": ("_classes.csv", ROBOFLOW, {"path_column": "filename", **COLUMNS}),
    "JSON lines called .json": ("e.json", AZURE, form("image_url", "label")),
}


@pytest.mark.parametrize(("name", "content", "how"), FORMATS.values(), ids=FORMATS)
def test_exports_that_are_read(tmp_path: Path, name: str, content: Any, how: dict) -> None:
    table = read_csv(write(tmp_path / name, content), ".", **how)
    assert sorted(table.class_names) == ["cat", "cow", "dog"]
    assert {image: sorted(names) for image, names in of_table(table).items()} == IMAGES


@pytest.mark.parametrize(
    ("name", "how", "message"),
    [
        ("Label Studio, CSV", form("image", "choice"), "line 2: .* as in 'choice.choices'"),
        ("Label Studio, JSON-MIN", form("image", "choice"), "object 1: .* as in 'choice.choices'"),
        ("Label Studio, JSON", form("image", "choice"), "no column 'image'.* is it 'data.image'"),
        (
            "SageMaker Ground Truth",
            form("source-ref", "animals-metadata.class-map"),
            r"line 1: .* '0', '1'; .* 'animals-metadata.class-map\.\*' for all of its values",
        ),
        ("Rekognition Custom Labels", form("source-ref", "class-name"), r"is it '\*.class-name'"),
        (
            "Vertex AI, JSON lines",
            form("imageGcsUri", "classificationAnnotations"),
            "as in 'classificationAnnotations.displayName'",
        ),
        ("Vertex AI, CSV", {"header": False}, "no column 'path'"),
        (
            "Vertex AI, CSV",
            {"header": False, **form("2", "3")},
            "line 2: .* lines end in a list, name the columns",
        ),
        ("CreateML", form("image", "annotations"), "as in 'annotations.label'"),
        ("CreateML", form("image", "annotations.name"), "nothing is at .* have 'label', 'coord"),
        ("CreateML", form("image", "annotations.coordinates.x.y"), "leads to 5, not to an object"),
        (
            "Labelbox",
            form("data_row.external_id", "checklist_answers"),
            r"is it 'projects\.\*\.labels\.annotations\.classifications\.checklist_answers'",
        ),
        (
            "VGG Image Annotator, JSON",
            form("filename", "class"),
            "'regions.region_attributes.class",
        ),
        (
            "VGG Image Annotator 1, JSON",
            form("filename", "regions.region_attributes.class"),
            r"the objects on the way have '0', '1' \(\* stands for any",
        ),
        (
            "VGG Image Annotator 1, regions",
            form("filename", "region_attributes.class", layout="long"),
            "did you mean '#filename'",
        ),
        (
            "VGG Image Annotator, regions",
            form("filename", "region_attributes", layout="long"),
            "as in 'region_attributes.class'",
        ),
        ("lists at the end of lines", form("1", "2", header=False), "name the columns: columns:"),
    ],
)
def test_the_first_try_is_told_the_next(tmp_path: Path, name: str, how: dict, message: str) -> None:
    file, content, _ = FORMATS[name]
    with pytest.raises(DataError, match=message):
        read_csv(write(tmp_path / file, content), ".", **how)


def test_text_among_objects_is_counted(tmp_path: Path) -> None:
    file = write(tmp_path / "e.csv", LABEL_STUDIO_CSV)
    notes = read_csv(file, ".", **form("image", "choice.choices")).notes
    assert notes == ("2 cells have text where 'choice.choices' expects an object; taken as it is",)


def test_objects_in_parquet(tmp_path: Path) -> None:
    objects = [{"category": names} for names in IMAGES.values()]
    file = tmp_path / "e.parquet"
    parquet.write_table(pa.table({"path": list(IMAGES), "objects": objects}), file)
    assert of_table(read_csv(file, ".", labels_column="objects.category")) == IMAGES
    with pytest.raises(DataError, match=r"as in 'objects\.category'"):
        read_csv(file, ".", labels_column="objects")


def test_a_key_with_dots_goes_before_keys_within(tmp_path: Path) -> None:
    records = [{"path": "a", "x": {"y": "cat"}, "x.y": "dog"}]
    file = write(tmp_path / "e.json", records)
    assert of_table(read_csv(file, ".", labels_column="x.y")) == {"a": ["dog"]}


SPACED = "5_o_Clock_Shadow Bald \n000001.jpg -1  1\n000002.jpg  1 -1\n"
PLAIN = {"path": {"0": "a"}, "labels": {"0": "cat"}}
COCO = {"images": [], "annotations": [], "categories": []}
REFUSED = {
    "CelebA": ("a.txt", f"2\n{SPACED}", COLUMNS, "first line a title or a count"),
    "CelebA without its count": ("a.txt", SPACED, COLUMNS, 'spaces .* set delimiter: " "'),
    "CelebA with a delimiter": (
        "a.txt",
        SPACED,
        {**COLUMNS, "delimiter": " "},
        "a column more: write path before its first name",
    ),
    "YOLO, labels": ("a.txt", "0 0.5 0.5 0.1 0.1\n", {}, "numbers alone.* docs/other_formats"),
    "YOLO, data.yaml": ("data.yaml", "names: [cat]\n", {}, "export the data as COCO, or"),
    "NUS-WIDE, labels": ("Labels_animal_Train.txt", "0\n1\n", COLUMNS, "numbers alone"),
    "NUS-WIDE, images": ("TrainImagelist.txt", "actor\\1.jpg\n", {}, "list of images"),
    "Excel": ("data.xlsx", "PK", {}, r"read_excel\('data.xlsx'\).to_csv\('data.csv'"),
    "MATLAB": ("annotation.mat", "MATLAB", {}, "table of it in Python: docs/other_formats"),
    "ARFF": ("set.arff", "@relation x\n", {}, "delete the lines up to @data"),
    "CVAT": ("annotations.xml", "<annotations/>", {}, "name: voc; CVAT exports that and COCO"),
    "archives": ("table.tar.gz", "x", {}, "unpack it"),
    "COCO as a table": ("instances.json", COCO, {}, "COCO's format: data: {name: coco"),
    "FiftyOne": ("labels.json", {"classes": [], "labels": {}}, {}, "docs/other_formats"),
    "a list of lists": ("a.json", [["a.jpg", "cat"]], {}, "expected a list of objects"),
    "columns of pandas": ("a.json", PLAIN, {}, "written by column: .* orient='records'"),
    "half of a file": ("a.json", '[{"path": "a.jpg"', {}, "is the download complete"),
    "a list as the path": ("a.json", [{"path": ["a"], "labels": "b"}], {}, "'path' holds lists"),
    "lists in lists": ("a.json", [{"path": "a", "labels": [["b"]]}], {}, "a list within a list"),
    "what is like JSON": (
        "a.csv",
        'path,labels\na,"{""x"": "\n',
        form("path", "labels.x"),
        "line 2: 'labels.x' holds .* neither JSON nor Python",
    ),
}


@pytest.mark.parametrize(("name", "content", "how", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_says_what_to_do(
    tmp_path: Path, name: str, content: Any, how: dict, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read_csv(write(tmp_path / name, content), ".", **how)


def test_celeba_once_it_was_told_what_to_do(tmp_path: Path) -> None:
    file = write(tmp_path / "a.txt", f"path {SPACED}")
    table = read_csv(file, ".", **COLUMNS, delimiter=" ", uncertain="negative")
    assert of_table(table) == {"000001.jpg": ["Bald"], "000002.jpg": ["5_o_Clock_Shadow"]}


def test_weights_in_names_are_suspected(tmp_path: Path) -> None:
    file = write(tmp_path / "a.txt", "http://x/a.jpg\t2:0.9\t1:0.6\nhttp://x/b.jpg\t2:1.0\n")
    notes = read_csv(file, ".", columns=["path", "labels"]).notes
    assert any("end in a weight, which is not read? '1:0.6'" in note for note in notes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(CREATE_ML, "it is a table: name: csv", id="CreateML"),
        pytest.param(
            {
                "images": [{"id": 1, "file_name": "a.jpg"}],
                "annotations": [{"image_id": 1, "segments_info": [{"category_id": 1}]}],
                "categories": [{"id": 1, "name": "cat"}],
            },
            "panoptic.* docs/other_formats",
            id="panoptic",
        ),
        pytest.param({"categories": {"label": {}}, "items": []}, "Other JSON", id="Datumaro"),
        pytest.param({"shapes": [], "imagePath": "a.jpg"}, "docs/other_formats", id="LabelMe"),
        pytest.param("<?xml version='1.0'?><annotations/>", "XML, not JSON; .* CVAT", id="CVAT"),
    ],
)
def test_what_coco_is_not(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_coco(write(tmp_path / "a.json", content), ".")


YOLO = {f"labels/train/{i[0]}.txt": names for i, names in IMAGES.items()}
SNIPPETS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "YOLO": (
        {
            **{
                file: "".join(f"{IDS[n]} 0.5 0.5 0.1 0.1\n" for n in n_)
                for file, n_ in YOLO.items()
            },
            **{f"images/train/{image}": "" for image in IMAGES},
        },
        {},
    ),
    "NUS-WIDE": (
        {
            "ImageList/TrainImagelist.txt": "".join(f"actor\\{image}\n" for image in IMAGES),
            **{
                f"Groundtruth/TrainTestLabels/Labels_{name}_Train.txt": "".join(
                    f"{int(name in names)}\n" for names in IMAGES.values()
                )
                for name in IDS
            },
        },
        {},
    ),
    "Datumaro": (
        {
            "annotations/default.json": {
                "categories": {"label": {"labels": [{"name": name} for name in IDS]}},
                "items": [
                    {
                        "id": image[0],
                        "annotations": [{"type": "label", "label_id": int(IDS[n])} for n in names],
                        "image": {"path": image},
                    }
                    for image, names in IMAGES.items()
                ],
            }
        },
        {},
    ),
    "FiftyOne": (
        {
            "labels.json": {
                "classes": list(IDS),
                "labels": {i: [int(IDS[name]) for name in names] for i, names in IMAGES.items()},
            }
        },
        {},
    ),
    "iMaterialist": (
        {
            "train.json": {
                "images": [],
                "annotations": [{"imageId": i, "labelId": names} for i, names in IMAGES.items()],
            }
        },
        {},
    ),
    "Tencent": (
        {
            "train_urls.txt": "".join(
                "\t".join([image, *(f"{name}:0.9" for name in names)]) + "\n"
                for image, names in IMAGES.items()
            )
        },
        {"layout": "long", "value_column": "weight", "threshold": 0.5},
    ),
}


def run_snippet(begin: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Run the first Python block after some words of the page on other formats."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "other_formats.md").read_text()
    _, after = page.split("## Formats that need a few lines of Python")[1].split(begin, 1)
    monkeypatch.chdir(folder)
    exec(after.split("```python\n", 1)[1].split("```", 1)[0], {})


@pytest.mark.parametrize(("name", "files", "how"), [(n, *v) for n, v in SNIPPETS.items()])
def test_the_page_shows_how_to_write_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, files: dict, how: dict
) -> None:
    for file, content in files.items():
        write(tmp_path / file, content)
    run_snippet(name, monkeypatch, tmp_path)
    file = tmp_path / ("train.csv" if how else "train.jsonl")
    table = read_csv(file, ".", **how)
    read = {i.rsplit("\\")[-1]: sorted(names) for i, names in of_table(table).items()}
    assert read == IMAGES


def test_the_page_shows_what_to_do_with_panoptic_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = list(enumerate(IMAGES.items()))
    content = {
        "images": [{"id": n, "file_name": image} for n, (image, _) in numbers],
        "categories": [{"id": int(key), "name": name} for name, key in IDS.items()],
        "annotations": [
            {"image_id": n, "segments_info": [{"category_id": int(IDS[x])} for x in names]}
            for n, (_, names) in numbers
        ],
    }
    write(tmp_path / "panoptic.json", content)
    run_snippet("panoptic", monkeypatch, tmp_path)
    assert of_table(read_coco(tmp_path / "instances.json", ".")) == IMAGES


def test_the_page_shows_what_to_do_with_matlab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = {
        "train_images_name": np.array([[image] for image in IMAGES], object),
        "attributes": np.array([[name] for name in IDS], object),
        "train_label": np.array([[n in names for n in IDS] for names in IMAGES.values()], np.uint8),
    }
    savemat(tmp_path / "annotation.mat", content)
    run_snippet("MATLAB", monkeypatch, tmp_path)
    assert of_table(read_csv(tmp_path / "train.jsonl", ".")) == IMAGES


def test_the_page_shows_what_to_do_with_the_parts_of_celeba(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "list_eval_partition.txt", "1.jpg 0\n2.jpg 2\n3.jpg 0\n4.jpg 1\n")
    run_snippet("CelebA", monkeypatch, tmp_path)
    parts = {
        part: (tmp_path / f"{part}.txt").read_text() for part in ("train", "validation", "test")
    }
    assert parts == {"train": "1.jpg\n3.jpg", "validation": "4.jpg", "test": "2.jpg"}


def load(root: Path, **values: Any) -> Any:
    section = {"name": "csv", "root": str(root), **values}
    return load_data(TypeAdapter(DataConfig).validate_json(json.dumps(section), strict=True))


def test_a_file_per_image_and_a_table_per_folder(tmp_path: Path) -> None:
    for n, (image, names) in enumerate(IMAGES.items()):
        (tmp_path / "photos").mkdir(exist_ok=True)
        Image.new("RGB", (8, 8), (40 * n, 0, 0)).save(tmp_path / "photos" / image)
        record = {"imagePath": image, "imageData": None, "shapes": [{"label": x} for x in names]}
        write(tmp_path / "photos" / f"{image[0]}.json", record)  # LabelMe
    how = {"path_column": "imagePath", "labels_column": "shapes.label", "images": "photos"}
    data = load(tmp_path, train="photos/*.json", test={"fraction": 0.5}, **how)
    assert of_table(data.train) | of_table(data.test) == IMAGES
    with pytest.raises(MissingFileError, match=r"it is a folder: photos/\*\.json names all"):
        load(tmp_path, train="photos", test={"fraction": 0.5}, **how)
    with pytest.raises(MissingFileError, match=r"no table /absent/a\.csv \(data\.root"):
        load(tmp_path, train="/absent/a.csv", test={"fraction": 0.5}, **how)
    with pytest.raises(MissingFileError, match=r"there is no table .*labels/\*\.csv"):
        load(tmp_path, train="labels/*.csv", test={"fraction": 0.5}, **how)


def test_tags_of_cvat_in_voc_are_lists_beside_empty_annotations(tmp_path: Path) -> None:
    lists = tmp_path / "ImageSets" / "Main"
    for image in IMAGES:
        write(tmp_path / "Annotations" / f"{image[0]}.xml", "<annotation></annotation>")
        (tmp_path / "JPEGImages").mkdir(exist_ok=True)
        (tmp_path / "JPEGImages" / image).touch()
    write(lists / "default.txt", "a\nb\nc\nd\n")
    for name in IDS:
        marks = (f"{i[0]}  {1 if name in names else -1}\n" for i, names in IMAGES.items())
        write(lists / f"{name}_default.txt", "".join(marks))
    table = read_voc(tmp_path, image_set="default", class_names=None)
    assert of_table(table) == IMAGES
    assert "no annotation has an object: labels are of the lists *_default.txt" in table.notes


def test_a_folder_of_parts_is_not_a_class(tmp_path: Path) -> None:
    (tmp_path / "images" / "train").mkdir(parents=True)
    (tmp_path / "images" / "train" / "a.jpg").write_bytes(b"a")
    [note] = read_image_folder(tmp_path / "images").notes
    assert note == ("there is one class, 'train'; are the folders of classes in images/train?")
