"""Files like COCO's as other data sets and tools write them: LVIS, Roboflow, pandas, and more."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from mlt.data import LabelTable, read_coco
from mlt.detection import class_counts_from_coco
from mlt.errors import DataError


def content(
    categories: list[dict[str, Any]],
    labels: list[tuple[Any, Any]],
    images: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Parsed content with an annotation for each (image, category), and images 1 and 2."""
    annotations = [
        {"image_id": image, "category_id": category, "bbox": [1, 1, 5, 5], "area": 25}
        for image, category in labels
    ]
    images = images or [{"id": i, "file_name": f"{i}.jpg"} for i in (1, 2)]
    return {"images": images, "annotations": annotations, "categories": categories}


def names(**ids: Any) -> list[dict[str, Any]]:
    return [{"id": i, "name": name} for name, i in ids.items()]


def targets(table: LabelTable) -> list[list[int]]:
    return table.targets(range(len(table))).astype(int).tolist()


URL = "http://images.cocodataset.org/train2017/000000000001.jpg"


def test_lvis_knows_what_was_checked() -> None:
    images: list[dict[str, Any]] = [
        {"id": 1, "coco_url": URL, "neg_category_ids": [7], "not_exhaustive_category_ids": [5]},
        {"id": 2, "coco_url": URL.replace("1.jpg", "2.jpg"), "neg_category_ids": []},
        {"id": 3, "file_name": "3.jpg", "neg_category_ids": [5, 6, 7]},
    ]
    lvis = content(names(a=5, b=6, c=7), [(1, 5), (1, 5), (2, 7)], images)
    table = read_coco(lvis, "photos")
    assert list(table.paths or ()) == [
        "train2017/000000000001.jpg",
        "train2017/000000000002.jpg",
        "3.jpg",
    ]
    assert targets(table) == [[1, 0, 0], [0, 0, 1], [0, 0, 0]]
    assert table.known_mask([0, 1, 2]).astype(int).tolist() == [[1, 0, 1], [0, 0, 1], [1, 1, 1]]
    images[0]["neg_category_ids"] = [8]
    with pytest.raises(DataError, match=r"the neg_category_ids of 1 of 4 .* its categories: 8"):
        read_coco(lvis, "photos")
    assert read_coco(content(names(a=5), []), "photos").known is None


def test_a_tiny_box_in_lvis_is_unknown_not_absent() -> None:
    lvis = content(names(a=5, b=6), [(1, 5), (1, 6)], [{"id": 1, "file_name": "1.jpg"}])
    lvis["images"][0]["neg_category_ids"] = []
    lvis["annotations"][1]["bbox"] = [0, 0, 0.5, 9]
    table = read_coco(lvis, "photos")
    assert targets(table) == [[1, 0]] and table.known_mask([0]).tolist() == [[True, False]]
    assert table.notes == ("1 of 2 annotations give no label: 1 with a box under a pixel",)


def test_the_first_category_of_roboflow_is_no_class() -> None:
    categories = [
        {"id": 0, "name": "sea", "supercategory": "none"},
        {"id": 1, "name": "ray", "supercategory": "sea"},
        {"id": 2, "name": "fish", "supercategory": "sea"},
    ]
    table = read_coco(content(categories, [(1, 2), (2, 1)]), "photos")
    assert table.class_names == ("ray", "fish") and targets(table) == [[0, 1], [1, 0]]
    assert table.notes == (
        "category 0 'sea' is left out: it is the supercategory of all others and has no annotation",
    )
    # It is a class where it has boxes, or is not above all others.
    assert read_coco(content(categories, [(1, 0)]), "photos").class_names[0] == "sea"
    categories[1]["supercategory"] = "animal"
    assert read_coco(content(categories, [(1, 2)]), "photos").class_names[0] == "sea"


def test_categories_of_the_same_name_are_one_class() -> None:
    table = read_coco(content(names(fish=0, ray=2) + names(fish=1), [(1, 1), (2, 0)]), "photos")
    assert table.class_names == ("fish", "ray") and targets(table) == [[1, 0], [1, 0]]
    assert table.notes == ("the categories 0, 1 are one class: they have the same name, 'fish'",)


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ([1.0, 2.0], [1, 2]),  # as pandas writes them
        (["1", "2"], ["1", "2"]),
        (["cb3f", 7], ["cb3f", "7"]),
        ([2**63, -5], [str(2**63), "-5"]),
        ([2**100, 2.0], [str(2**100), "2"]),
    ],
)
def test_ids_of_any_kind(tmp_path: Path, ids: list[Any], expected: list[Any]) -> None:
    images = [{"id": i, "file_name": f"{n}.jpg"} for n, i in enumerate(ids)]
    made = content(names(a=ids[1], b=ids[0]), [(ids[0], ids[1]), (ids[1], ids[0])], images)
    file = tmp_path / "made.json"
    file.write_text(json.dumps(made))
    for table in (read_coco(file, "photos"), read_coco(made, "photos")):
        assert table.image_ids.tolist() == expected
        rows = [
            [table.class_names[c] for c in row]
            for row in (table.labels[[i]].indices for i in (0, 1))
        ]
        assert rows == [["a"], ["b"]]


def test_ids_written_once_as_number_and_once_as_text() -> None:
    made = content(names(a="7", b="10", c=9), [("1", 7), (2, "9"), ("2", 10.0)])
    table = read_coco(made, "photos")
    assert table.class_names == ("a", "c", "b")  # by number
    assert targets(table) == [[1, 0, 0], [0, 1, 1]]


def test_ids_that_look_like_numbers() -> None:
    long = "9" * 5000
    table = read_coco(content(names(a="--5", b=long, c="7"), [(1, long)]), "photos")
    assert table.class_names == ("c", "a", "b") and targets(table)[0] == [0, 0, 1]


def test_ids_that_are_no_ids() -> None:
    with pytest.raises(DataError, match=r"category_id of 1 of 1 .* categories: 1\.5"):
        read_coco(content(names(a=1), [(1, 1.5)]), "photos")
    with pytest.raises(DataError, match="needs image_id and category_id"):
        read_coco(content(names(a=1), [(1, None)]), "photos")
    with pytest.raises(DataError, match="ids must be 64-bit"):  # results refer to them by number
        class_counts_from_coco(content(names(a="x"), [(1, "x")]))


def test_packed_files(tmp_path: Path) -> None:
    file = tmp_path / "instances.json.gz"
    text = b"\xef\xbb\xbf" + json.dumps(content(names(a=1), [(1, 1)])).encode()
    file.write_bytes(gzip.compress(text))
    assert targets(read_coco(file, "photos")) == [[1], [0]]
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"gz cannot be unpacked: .* is the download complete"):
        read_coco(file, "photos")


def test_labels_of_whole_images() -> None:
    made = content(names(a=1, b=2), [])
    made["annotations"] = [
        {"image_id": 1, "category_id": 2},
        {"image_id": 2, "category_id": 1, "bbox": [], "area": 0, "segmentation": []},
        {"image_id": 2, "category_id": 2, "bbox": None, "area": None},
        {"image_id": 1, "category_id": 1, "segmentation": [[1, 1, 5, 1, 5, 5]]},
    ]
    assert targets(read_coco(made, "photos")) == [[1, 1], [1, 1]]


def test_what_gives_no_label_is_counted() -> None:
    made = content(names(a=1), [(1, 1)] * 6)
    for row, change in enumerate(
        [{"area": 0}, {"area": -1}, {"bbox": [0, 0, 5, 0.2]}, {"ignore": 1}, {"bbox": [0.1] * 4}]
    ):
        made["annotations"][row] |= change
    assert read_coco(made, "photos").notes == (
        "5 of 6 annotations give no label: 1 marked ignore, 2 with an area of 0 or less, "
        "2 with a box under a pixel",
    )


def test_small_images_are_counted() -> None:
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 10 * i, "height": 99} for i in (1, 2, 3)]
    table = read_coco(content(names(a=1), [], images), "photos", min_image_size=25)
    assert table.notes == ("images left out for a side under 25 pixels: 2",)
