"""Classes that the configuration chooses: slips in their names, and what is said of the others."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pydantic import TypeAdapter

from mlt.data.class_alignment import near_names
from mlt.data.run_data import load_data
from mlt.data.settings import DataConfig
from mlt.errors import ConfigError

LISTS = {
    "train": "path,labels\na.jpg,Cardiomegaly|Mass\nb.jpg,Mass|Edema\n",
    "test": "path,labels\nc.jpg,Cardiomegaly|Hernia\nd.jpg,Mass|Edema\n",
}
LONG = {
    "train": "path,labels\na.jpg,Cardiomegaly\na.jpg,Mass\nb.jpg,Mass\nb.jpg,Edema\n",
    "test": "path,labels\nc.jpg,Cardiomegaly\nc.jpg,Hernia\nd.jpg,Mass\n",
}


def data_config(**values: Any) -> DataConfig:
    return TypeAdapter(DataConfig).validate_python(values)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in "abcd":
        Image.new("RGB", (8, 8)).save(tmp_path / f"{name}.jpg")
    return tmp_path


def tables(root: Path, texts: dict[str, str], **more: Any) -> DataConfig:
    for part, text in texts.items():
        (root / f"{part}.csv").write_text(text)
    return data_config(name="csv", root=str(root), train="train.csv", test="test.csv", **more)


def coco_file(names: list[str], labels: list[tuple[int, int]]) -> str:
    return json.dumps(
        {
            "images": [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}],
            "categories": [{"id": n, "name": name} for n, name in enumerate(names, 1)],
            "annotations": [
                {"id": n, "image_id": i, "category_id": c, "bbox": [0, 0, 4, 4]}
                for n, (i, c) in enumerate(labels)
            ],
        }
    )


@pytest.mark.parametrize(("texts", "layout"), [(LISTS, None), (LONG, "long")])
@pytest.mark.parametrize("written", ["Cardiomegly", "CARDIOMEGALY"])
def test_a_slip_in_class_names_is_refused(
    root: Path, texts: dict[str, str], layout: str | None, written: str
) -> None:
    config = tables(root, texts, layout=layout, class_names=[written, "Mass", "Hernia"])
    with pytest.raises(ConfigError) as caught:
        load_data(config)
    message = f"data.class_names: no image has {written!r} (did you mean 'Cardiomegaly'?)"
    assert str(caught.value) == message


def test_a_class_without_images_or_of_one_part_is_no_slip(root: Path) -> None:
    # Hernia has no near name; Masses is near to Mass, but the test images have it.
    texts = LISTS | {"test": "path,labels\nc.jpg,Masses\nd.jpg,Edema\n"}
    config = tables(root, texts, class_names=["Masses", "Hernia", "Edema"])
    data = load_data(config)
    assert data.train.class_names == ("Masses", "Hernia", "Edema")
    assert data.test.labels.nnz == 2


def test_a_slip_is_found_where_the_parts_are_cut_from_one_table(root: Path) -> None:
    rows = ["a.jpg,Cardiomegaly,train", "b.jpg,Mass,train", "c.jpg,Mass|Masses,test"]
    (root / "all.csv").write_text("\n".join(["path,labels,part", *rows, "d.jpg,Mass,test"]))
    values = {"name": "csv", "root": str(root), "train": "all.csv", "split_column": "part"}
    names = ["Cardiomegaly", "Masses"]
    assert load_data(data_config(**values, class_names=names)).test.labels.nnz == 1
    with pytest.raises(ConfigError, match=r"no image has 'Cardiomegalie' \(did you mean 'Card"):
        load_data(data_config(**values, class_names=["Cardiomegalie", "Masses"]))


def test_a_slip_among_the_categories_of_coco_is_refused(root: Path) -> None:
    names = ["left kidney", "right kidney", "liver"]
    (root / "coco.json").write_text(coco_file(names, [(1, 2), (2, 3)]))
    files = {"annotations": "coco.json", "images": "."}
    values = {"name": "coco", "root": str(root), "train": files, "test": files}
    # "left kidney" has no image, but the file declares it.
    chosen = load_data(data_config(**values, class_names=["left kidney", "liver"]))
    assert chosen.train.labels.nnz == 1
    with pytest.raises(ConfigError, match=r"no image has 'livver' \(did you mean 'liver'\?\)"):
        load_data(data_config(**values, class_names=["left kidney", "livver"]))


def test_what_class_names_leave_out_is_not_said_to_be_no_class_of_training(root: Path) -> None:
    data = load_data(tables(root, LISTS, class_names=["Cardiomegaly", "Mass"]))
    notes = [note for note in data.notes if "left out" in note]
    assert [note.split(" and left out")[0] for note in notes] == [
        "training: 1 class is not in class_names",
        "test: 2 classes are not in class_names",
    ]
    data = load_data(tables(root, LISTS))
    assert "test: 1 class is not in training and left out: 'Hernia'" in " ".join(data.notes)


def test_what_holds_for_a_table_of_several_parts_is_said_once(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (root / "all.csv").write_text(
        "path,cat,part\na.jpg,1,train\nb.jpg,0,train\nc.jpg,-1,test\nd.jpg,1,test\n"
    )
    values = {"name": "csv", "root": str(root), "train": "all.csv", "labels_column": None}
    with caplog.at_level(logging.INFO):
        data = load_data(data_config(**values, class_names=["cat"], split_column="part"))
    assert [note for note in data.notes if "uncertain" in note] == [
        "training: in all of all.csv, 1 cell is uncertain (-1), taken as unknown"
    ]
    assert "LabelTable(" not in caplog.text


def test_near_names() -> None:
    assert near_names(["MASS", "Hernia"], {"Mass", "Edema"}) == {"MASS": "Mass"}
