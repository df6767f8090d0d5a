"""Counts of boxes, and what losses make of them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
import torch
from pycocotools.coco import COCO

from mlt.class_counts import ClassCounts
from mlt.detection import class_counts_from_coco, class_counts_from_dataset
from mlt.errors import ConfigError, DataError, MissingFileError
from mlt.losses import ClassBalancedFocalLoss, SeesawLoss, build_loss, create_loss
from mlt.losses.settings import Composition


def coco(*boxes: dict, ids: tuple[int, ...] = (1, 3), **image: float) -> dict:
    return {
        "images": [{"id": 1, "file_name": "a.jpg", **image}],
        "categories": [{"id": i, "name": f"class {i}"} for i in ids],
        "annotations": [{"image_id": 1, "bbox": [0, 0, 5, 5], **box} for box in boxes],
    }


def test_boxes_are_counted_not_images() -> None:
    counts = class_counts_from_coco(coco(*[{"category_id": 3}] * 4, {"category_id": 1}))
    assert list(counts) == [0, 1, 0, 4]
    assert counts.is_class.tolist() == [False, True, False, True]
    assert counts.total == 5


@pytest.mark.parametrize(
    ("box", "counts"),
    [
        ({"iscrowd": 1}, False),
        ({"iscrowd": 0}, True),
        ({"bbox": [1, 1, 0, 5]}, False),  # no width
        ({"bbox": [1, 1, 5, 0]}, False),  # no height
        ({"bbox": [1, 1, 0.5, 0.5]}, True),  # thin, but torchvision trains on it
        ({"bbox": [-5, 0, 5, 5]}, False),  # left of the image
        ({"bbox": [20, 0, 5, 5]}, False),  # right of the image
        ({"bbox": [8, 8, 50, 50]}, True),  # partly inside
        ({"bbox": []}, False),
    ],
)
def test_boxes_without_area_and_crowds_are_left_out(box: dict, counts: bool) -> None:
    source = coco({"category_id": 1}, {"category_id": 3, **box}, width=20, height=10)
    assert class_counts_from_coco(source)[3] == counts


def test_a_file_a_dictionary_and_a_loaded_coco_give_the_same(shared: Path) -> None:
    path = shared / "data/coco-mini/annotations/instances_train2017.json"
    content = json.loads(path.read_text())
    expected = Counter(
        a["category_id"]
        for a in content["annotations"]
        if not a.get("iscrowd") and min(a["bbox"][2:]) > 0
    )
    for source in (path, str(path), content, COCO(str(path))):
        counts = class_counts_from_coco(source, num_classes=91)
        assert {i: n for i, n in enumerate(counts) if n} == dict(expected)
    assert counts.is_class.sum() == len(content["categories"])


def test_wrong_coco_sources_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError):
        class_counts_from_coco(tmp_path / "absent.json")
    with pytest.raises(ConfigError, match="3 columns has 0 to 2"):
        class_counts_from_coco(coco({"category_id": 3}), num_classes=3)
    with pytest.raises(ConfigError, match="category id 1000000000, and a head would have a column"):
        class_counts_from_coco(coco({"category_id": 10**9}, ids=(1, 10**9)))
    with pytest.raises(DataError, match="unknown category 7"):
        class_counts_from_coco(coco({"category_id": 7}))
    with pytest.raises(DataError, match="has no boxes"):
        class_counts_from_coco(coco({"category_id": 3, "iscrowd": 1}))


def test_a_data_set_gives_its_labels() -> None:
    image = torch.zeros(3, 4, 4)
    items = [
        (image, {"boxes": torch.zeros(3, 4), "labels": torch.tensor([1, 3, 3])}),
        (image, {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}),
        (image, {}),
    ]
    counts = class_counts_from_dataset(items, num_classes=5)
    assert list(counts) == [0, 1, 0, 2, 0]
    # Labels without a box may be no classes: 0 is the background, an id may be unused.
    assert counts.is_class.tolist() == [False, True, False, True, False]
    named = class_counts_from_dataset(items, num_classes=5, labels=range(1, 5))
    assert named.is_class.tolist() == [False, True, True, True, True]
    with pytest.raises(ConfigError, match="Column 3 is not a class but has 2 boxes"):
        class_counts_from_dataset(items, num_classes=5, labels=[1, 2])
    assert list(class_counts_from_dataset([t for _, t in items], num_classes=5)) == list(counts)


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ([({}, {"labels": [5]})], "labels from 5 to 5"),
        ([({}, {"labels": [-1]})], "labels from -1"),
        ([({}, {"labels": [0.5]})], "integers"),
        ([({}, 3)], "expected"),
        ([({}, {"classes": [1]})], "No item has a box"),
    ],
)
def test_wrong_data_sets_are_refused(items: list, said: str) -> None:
    with pytest.raises(DataError, match=said):
        class_counts_from_dataset(items, num_classes=5)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("cb_focal", {"beta": 0.99}),
        ("cb_bce", {"beta": 0.99, "scheme": "instance"}),
        ("inverse", {}),
        ("db_focal", {}),
        ("logit_adjusted", {}),
        ("ldam", {}),
    ],
)
@pytest.mark.filterwarnings("error")
def test_columns_without_a_class_change_nothing_for_the_others(name: str, options: dict) -> None:
    real = [40, 7, 3]
    counts = ClassCounts.at_columns(real, columns=[1, 2, 4], num_columns=6)
    wide = create_loss(name, counts, num_images=50, reduction="none", **options)
    narrow = create_loss(name, real, num_images=50, reduction="none", **options)
    logits = torch.randn(5, 6, generator=torch.Generator().manual_seed(0))
    targets = torch.zeros(5, 6)
    targets[[0, 1, 2], [1, 2, 4]] = 1
    expected = narrow(logits[:, [1, 2, 4]], targets[:, [1, 2, 4]])
    torch.testing.assert_close(wide(logits, targets)[:, [1, 2, 4]], expected)


def test_a_column_without_a_class_weighs_like_the_median_class() -> None:
    loss = create_loss(
        "cb_bce", ClassCounts.at_columns([40, 7, 3], [1, 2, 3], 4), beta=0.9, scheme="column"
    )
    weight = loss.weighting.weight
    assert weight[0] == weight[2]
    assert float(weight[1:].mean()) == pytest.approx(1)


def test_a_loss_remembers_what_was_counted() -> None:
    boxes = ClassCounts.from_counts([4, 2], unit="boxes")
    assert create_loss("cb_bce", boxes, beta=0.9).class_counts.unit == "boxes"
    assert ClassBalancedFocalLoss(boxes, beta=0.9).class_counts.unit == "boxes"
    assert create_loss("cb_bce", [4, 2], beta=0.9).class_counts.unit is None
    assert SeesawLoss(2).class_counts is None
    part = Composition.model_validate({"weighting": {"name": "inverse"}})
    stats = ClassCounts.from_counts([4, 2], num_images=9, unit="images")
    assert build_loss(part, stats).class_counts.unit == "images"
    assert create_loss("inverse", stats).class_counts.unit == "images"
    with pytest.raises(ConfigError, match="leave it out"):
        create_loss("inverse", stats, num_images=10)


def test_the_warning_of_missing_classes_says_what_was_counted() -> None:
    with pytest.warns(UserWarning, match=r"training image for 0: .* ClassCounts\.at_columns"):
        create_loss("cb_bce", [0, 4, 2], beta=0.9)
    with pytest.warns(UserWarning, match=r"training box for 0: .* number of boxes\.$"):
        create_loss("cb_bce", ClassCounts.from_counts([0, 4, 2], unit="boxes"), beta=0.9)
    with pytest.warns(UserWarning, match=r"training image for 'cat': .* number of images\.$"):
        create_loss("cb_bce", [0, 4, 2], beta=0.9, class_names=["cat", "dog", "emu"])


@pytest.mark.parametrize("wrong", [{"cat": 3}, "focal", 3, [[1], [2, 3]]])
def test_counts_that_are_no_list_of_numbers(wrong: object) -> None:
    with pytest.raises(ConfigError, match="must be a list of one number per class"):
        create_loss("cb_bce", wrong, beta=0.9)
