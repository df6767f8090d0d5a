"""read_coco against pycocotools, the published labels, and files that are wrong in one way."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mlt.data import LabelTable, read_coco
from mlt.errors import ConfigError, DataError, MissingFileError

# Two images, two categories (ids not in order), one annotation with all the fields labels need.
PLAIN: dict[str, Any] = {
    "info": {"year": 2017},
    "images": [
        {"id": 40, "file_name": "b.jpg", "width": 64, "height": 48, "license": 1},
        {"id": 7, "file_name": "sub/a.jpg", "width": 31, "height": 480},
    ],
    "categories": [
        {"id": 90, "name": "toothbrush", "supercategory": "indoor"},
        {"id": 13, "name": "stop sign"},
    ],
    "annotations": [
        {
            "id": 1,
            "image_id": 40,
            "category_id": 90,
            "area": 100.5,
            "bbox": [0, 0, 10.5, 10],
            "iscrowd": 0,
            "segmentation": [[0, 0, 10, 0, 10, 10]],
        }
    ],
}


def changed(**top: Any) -> dict[str, Any]:
    return {**copy.deepcopy(PLAIN), **top}


def with_annotation(**fields: Any) -> dict[str, Any]:
    """PLAIN with fields of its annotation replaced; None removes one."""
    content = changed()
    annotation = {**content["annotations"][0], **fields}
    content["annotations"] = [{k: v for k, v in annotation.items() if v is not None}]
    return content


def write(tmp_path: Path, content: Any) -> Path:
    file = tmp_path / "instances.json"
    text = content if isinstance(content, str) else json.dumps(content)
    file.write_text(text, encoding="utf-8")
    return file


def test_order_names_and_labels(tmp_path: Path) -> None:
    table = read_coco(write(tmp_path, PLAIN), "photos")
    assert table.image_ids.tolist() == [40, 7] and table.image_ids.dtype == np.int64
    assert list(table.paths) == ["b.jpg", "sub/a.jpg"]
    assert table.class_names == ("stop sign", "toothbrush")
    assert table.targets([0, 1]).tolist() == [[0, 1], [0, 0]]
    assert table.known is None and table.root == Path("photos")


@pytest.mark.parametrize(
    ("fields", "counts"),
    [
        ({}, True),
        ({"iscrowd": 1}, True),  # crowd regions count
        ({"ignore": 1}, False),
        ({"ignore": True}, False),
        ({"ignore": 0}, True),
        ({"ignore": False}, True),
        ({"ignore": 1, "iscrowd": 1}, False),  # in a file the mark is meant
        ({"area": 0}, False),
        ({"area": 0, "bbox": None}, True),  # a label of the whole image
        ({"area": 0, "bbox": []}, True),
        ({"area": -1.5}, False),
        ({"area": 0.01}, True),
        ({"bbox": [5, 5, 0.99, 10]}, False),
        ({"bbox": [5, 5, 10, 0.99]}, False),
        ({"bbox": [5, 5, 1, 1]}, True),
        ({"bbox": None}, True),  # what is absent never excludes
        ({"area": None}, True),
        ({"iscrowd": None, "area": None, "bbox": None, "id": None, "segmentation": None}, True),
        ({"bbox": []}, True),
        ({"segmentation": {"size": [4, 4], "counts": "abc"}}, True),
    ],
)
def test_which_annotations_count(tmp_path: Path, fields: dict[str, Any], counts: bool) -> None:
    content = with_annotation(**fields)
    content["annotations"].append({"image_id": 7, "category_id": 13})
    table = read_coco(write(tmp_path, content), tmp_path)
    assert table.targets([0, 1]).tolist() == [[0, counts], [1, 0]]
    assert bool(table.notes) is not counts


def test_repeated_annotations_are_one_label(tmp_path: Path) -> None:
    content = changed(annotations=PLAIN["annotations"] * 300)
    table = read_coco(write(tmp_path, content), tmp_path)
    assert table.labels.nnz == 1 and table.labels.has_canonical_format


@pytest.mark.parametrize(
    ("size", "ids"), [(0, [40, 7]), (31, [40, 7]), (32, [40]), (48, [40]), (49, [])]
)
def test_small_images_are_left_out(tmp_path: Path, size: int, ids: list[int]) -> None:
    table = read_coco(write(tmp_path, PLAIN), tmp_path, min_image_size=size)
    assert table.image_ids.tolist() == ids and table.num_classes == 2


def test_lenient_about_what_public_files_leave_out(tmp_path: Path) -> None:
    bare = {
        "images": [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b", "width": None}],
        "categories": [{"id": 0, "name": "x"}],
        "annotations": [],
    }
    table = read_coco(write(tmp_path, "\ufeff" + json.dumps(bare)), tmp_path, min_image_size=999)
    assert len(table) == 2 and table.labels.nnz == 0
    assert len(read_coco(write(tmp_path, {**bare, "images": []}), tmp_path)) == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty; is the download complete"),
        (" \n", "is empty"),
        (json.dumps(PLAIN)[:-30], r"cut off: its JSON has not ended after \d+ bytes"),
        ("<html>404</html>", r"is not JSON: .*\(byte 0\)"),
        (json.dumps(PLAIN) + "}", "is not JSON: .*trailing"),
        ([{"image_id": 1, "category_id": 1, "score": 0.5}], "holds a list, as files of detection"),
        ("7", "not a COCO or LVIS instances file: Expected `object`, got `int`"),
        ({"shapes": []}, "no images and no annotations and no categories; its keys are shapes"),
        ({}, "its keys are none"),
        (
            {"images": [], "annotations": None, "categories": []},
            r"instances file: annotations must be a list, not null\. Labels are in",
        ),
        (
            {"images": [], "annotations": []},
            r"has no categories; its keys are images, annotations\. Labels need a list categories",
        ),
        (
            {"info": {}, "images": [], "categories": []},
            r"no annotations; its keys are info, images, categories\. Labels are in instances_",
        ),
        (
            changed(annotations=[{"id": 1, "image_id": 40, "caption": "a cat"}]),
            "missing required field `category_id` .* needs image_id and category_id",
        ),
        (with_annotation(image_id=[40]), r"got `array` - at `\$\.annotations"),
        (with_annotation(image_id="41"), "among its images: 41"),
        (with_annotation(image_id=2**70), f"among its images: {2**70}"),
        (
            with_annotation(image_id=41),
            "image_id of 1 of 1 annotations is not among its im.*: 41",
        ),
        (with_annotation(image_id=6), "among its images: 6"),
        (with_annotation(category_id=1), "category_id of 1 of 1 .* among its categories: 1"),
        # A skipped annotation must point somewhere all the same.
        (with_annotation(category_id=1, ignore=1), "among its categories: 1"),
        (changed(images=PLAIN["images"] * 2), "2 image ids more than once, for example 7"),
        (
            changed(images=[{"id": 40, "file_name": "a"}, {"id": 7, "file_name": "a"}]),
            "1 file names more than once: 'a'",
        ),
        (changed(categories=PLAIN["categories"] * 2), "2 category ids more than once"),
        (changed(categories=[], annotations=[]), "has no categories.* export it with its classes"),
        (with_annotation(area=0), r"none of its 1 annotations gives a label \(1 with an area of 0"),
        (with_annotation(bbox=[0, 0, 0.5, 9]), "1 with a box under a pixel.* remove bbox and area"),
        (with_annotation(bbox=[0.5, 0, 0.5, 1]), "all boxes are within 0..1, as shares.* multiply"),
        (changed(images=[{"id": 40}]), "missing required field `file_name`"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, content: Any, message: str) -> None:
    file = write(tmp_path, content)
    with pytest.raises(DataError, match=message) as caught:
        read_coco(file, tmp_path)
    assert str(file) in str(caught.value)


def test_absent_file(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"no annotation file .*nowhere\.json"):
        read_coco(tmp_path / "nowhere.json", tmp_path)
    with pytest.raises(MissingFileError):
        read_coco(tmp_path, tmp_path)


def same(a: LabelTable, b: LabelTable) -> bool:
    return a.digest() == b.digest()


def test_takes_a_loaded_coco(tmp_path: Path) -> None:
    content = changed(annotations=[{**PLAIN["annotations"][0], "iscrowd": 1}])
    loaded = COCO(str(write(tmp_path, content)))
    table = read_coco(tmp_path / "instances.json", tmp_path)
    assert same(read_coco(loaded, tmp_path), table) and table.labels.nnz == 1

    # COCOeval marks the crowd regions of the object it evaluates as ignored. They still count.
    box = {"image_id": 40, "category_id": 90, "bbox": [0, 0, 10, 10], "score": 0.5}
    COCOeval(loaded, loaded.loadRes([box]), "bbox").evaluate()
    assert loaded.dataset["annotations"][0]["ignore"]
    assert same(read_coco(loaded, tmp_path), table)

    marked = changed(annotations=[{**PLAIN["annotations"][0], "ignore": 1}])
    loaded.dataset = marked
    assert read_coco(loaded, tmp_path).labels.nnz == 0


def test_a_wrong_object_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a loaded COCO or LVIS object, got int"):
        read_coco(7, tmp_path)  # type: ignore[arg-type]

    class Loaded:
        dataset = with_annotation(image_id=[])

    with pytest.raises(DataError, match="the loaded Loaded object is not like"):
        read_coco(Loaded(), tmp_path)


@pytest.mark.parametrize("part", ["train", "val"])
def test_equals_pycocotools_on_real_photographs(shared: Path, part: str) -> None:
    folder = shared / "data" / "coco-mini"
    file = folder / "annotations" / f"instances_{part}2017.json"
    table = read_coco(file, folder / f"{part}2017")
    oracle = COCO(str(file))
    category_ids = oracle.getCatIds()
    assert table.class_names == tuple(c["name"] for c in oracle.loadCats(category_ids))
    assert table.image_ids.tolist() == oracle.getImgIds()
    expected = np.zeros((len(table), len(category_ids)), np.float32)
    for row, image_id in enumerate(oracle.getImgIds()):
        for a in oracle.loadAnns(oracle.getAnnIds(imgIds=image_id)):
            narrow = a["bbox"][2] < 1 or a["bbox"][3] < 1
            if not a.get("ignore", False) and a["area"] > 0 and not narrow:
                expected[row, category_ids.index(a["category_id"])] = 1
    assert np.array_equal(table.targets(range(len(table))), expected)
    assert all(table.image_path(i).is_file() for i in range(len(table)))
    assert same(read_coco(oracle, folder / f"{part}2017"), table)


def test_equals_the_published_labels_of_val2017(
    shared: Path, published_labels: Callable[[str], dict[str, list[int]]]
) -> None:
    published = published_labels("coco_val2017_labels")
    folder = shared / "data" / "coco-mini"
    table = read_coco(folder / "annotations" / "instances_val2017.json", folder / "val2017")
    assert len(table) == 210
    for row, image_id in enumerate(table.image_ids.tolist()):
        assert np.flatnonzero(table.targets([row])[0]).tolist() == published[str(image_id)]
