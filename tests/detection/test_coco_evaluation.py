"""COCO's evaluation in one call: worked by hand, and against pycocotools as people call it."""

from __future__ import annotations

import contextlib
import copy
import gzip
import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pycocotools import mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mlt.class_groups import GroupLimits
from mlt.detection import CocoEvaluation, class_counts_from_coco, evaluate_coco
from mlt.errors import ConfigError, DataError, MissingFileError

# Boxes of 50 x 50 pixels are medium, of 10 x 10 small. Category, training images, what happens:
#   1  cat    150  one box, found exactly                                AP 1
#   3  dog     40  two boxes, one found with IoU 0.82: 7 of 10 thresholds,
#                  precision 1 up to recall 0.5, 51 of 101 points        AP 0.7 x 51 / 101
#   7  gnu      4  one small box, found exactly, after a false one       AP 0.5
#   9  yeti     2  no box                                                AP undefined
TRAINING = {1: 150, 3: 40, 7: 4, 9: 2}
DOG = 0.7 * 51 / 101


def truth(*more: dict[str, Any]) -> dict[str, Any]:
    boxes = [(1, 1, [0, 0, 50, 50]), (1, 3, [60, 0, 100, 10]), (2, 3, [0, 60, 30, 30])]
    boxes.append((2, 7, [40, 40, 10, 10]))
    annotations = [
        {"id": n, "image_id": i, "category_id": c, "bbox": b, "area": b[2] * b[3], "iscrowd": 0}
        for n, (i, c, b) in enumerate(boxes, start=1)
    ]
    names = {1: "cat", 3: "dog", 7: "gnu", 9: "yeti"}
    return {
        "images": [{"id": i, "width": 200, "height": 200} for i in (1, 2)],
        "categories": [{"id": c, "name": name} for c, name in names.items()],
        "annotations": [*annotations, *more],
    }


FOUND = [
    {"image_id": 1, "category_id": 1, "bbox": [0, 0, 50, 50], "score": 0.9},
    {"image_id": 1, "category_id": 3, "bbox": [60, 0, 82, 10], "score": 0.9},
    {"image_id": 1, "category_id": 7, "bbox": [0, 0, 10, 10], "score": 0.8},
    {"image_id": 2, "category_id": 7, "bbox": [40, 40, 10, 10], "score": 0.7},
]


def quietly(function: Callable[..., Any], *arguments: Any) -> Any:
    with contextlib.redirect_stdout(io.StringIO()):
        return function(*arguments)


def loaded(content: dict[str, Any]) -> COCO:
    coco = COCO()
    coco.dataset = copy.deepcopy(content)
    quietly(coco.createIndex)
    return coco


def by_pycocotools(content: dict[str, Any], found: list[Any], iou_type: str = "bbox") -> COCOeval:
    def run() -> COCOeval:
        coco = loaded(content)
        evaluation = COCOeval(coco, coco.loadRes(copy.deepcopy(found)), iou_type)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        return evaluation

    return quietly(run)


def means(result: CocoEvaluation) -> list[float]:
    small, medium, large = result.ap_small, result.ap_medium, result.ap_large
    return [result.ap, result.ap50, result.ap75, small, medium, large]


def assert_agrees(result: CocoEvaluation, evaluation: COCOeval) -> None:
    stats = np.where(evaluation.stats[:6] < 0, np.nan, evaluation.stats[:6])
    np.testing.assert_allclose(means(result), stats, rtol=1e-12)


def test_worked_example() -> None:
    result = evaluate_coco(truth(), FOUND, training=TRAINING)
    assert result.ap == pytest.approx((1 + DOG + 0.5) / 3)
    assert result.ap50 == pytest.approx((1 + 51 / 101 + 0.5) / 3)
    # The dog's boxes have 1,000 and 900 pixels, the gnu's 100: all below 32 x 32 = 1,024.
    assert result.ap_small == pytest.approx((0.5 + DOG) / 2)
    assert math.isnan(result.ap_large)
    groups = {g.name: g.ap for g in result.by_frequency.groups}
    expected = {"all": result.ap, "frequent": 1.0, "common": DOG, "rare": 0.5}
    assert groups == pytest.approx(expected)
    assert result.undefined == ("yeti",)
    assert_agrees(result, by_pycocotools(truth(), FOUND))


def test_table_and_json() -> None:
    result = evaluate_coco(truth(), FOUND, training=TRAINING)
    lines = str(result).splitlines()
    assert lines[0].split() == ["AP", "AP50", "AP75", "small", "medium", "large"]
    assert lines[1].split()[0] == "bbox" and lines[1].split()[-1] == "-"
    assert lines[1].split()[1] == f"{100 * result.ap:.2f}"
    assert [line.split()[0] for line in lines[4:8]] == ["all", "frequent", "common", "rare"]
    assert lines[-1] == "left out: 1 without a box in the test set: yeti"
    content = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert content["ap_large"] is None and content["ap"] == result.ap
    assert content["classes"][-1] == {"id": 9, "name": "yeti", "ap": None}
    assert content["groups"][1]["name"] == "frequent" and content["groups"][1]["num_classes"] == 1


def test_every_form_of_the_arguments_and_none_is_changed(tmp_path: Path) -> None:
    results, annotations = tmp_path / "results.json", tmp_path / "truth.json"
    results.write_text(json.dumps(FOUND))
    annotations.write_text(json.dumps(truth()), encoding="utf-8-sig")
    coco = loaded(truth())
    tensors = {
        image: {
            "boxes": torch.tensor(
                [[x, y, x + w, y + h] for x, y, w, h in (f["bbox"] for f in rows)],
                dtype=torch.bfloat16,  # these numbers are exact in it
            ),
            "scores": torch.tensor([f["score"] for f in rows]).requires_grad_(),
            "labels": torch.tensor([f["category_id"] for f in rows]),
        }
        for image in (1, 2)
        for rows in [[f for f in FOUND if f["image_id"] == image]]
    }
    expected = means(evaluate_coco(truth(), FOUND))
    content, found = truth(), copy.deepcopy(FOUND)
    forms = (found, results, str(results), quietly(coco.loadRes, copy.deepcopy(FOUND)), tensors)
    for form in forms:
        assert means(evaluate_coco(coco, form)) == pytest.approx(expected, nan_ok=True)
    for source in (annotations, str(annotations), content):
        assert means(evaluate_coco(source, found)) == pytest.approx(expected, nan_ok=True)
    assert content == truth() and found == FOUND
    assert coco.dataset == truth()


def test_crowds_are_neither_found_nor_missed() -> None:
    crowd = {"id": 5, "image_id": 1, "category_id": 1, "bbox": [80, 80, 60, 60], "area": 3600}
    content = truth({**crowd, "iscrowd": 1})
    inside = [{"image_id": 1, "category_id": 1, "bbox": [90, 90, 20, 20], "score": 0.95}]
    result = evaluate_coco(content, FOUND + inside)
    assert result.by_frequency.class_ap[1] == pytest.approx(1.0)  # else 0.5, after a false one
    assert_agrees(result, by_pycocotools(content, FOUND + inside))


def test_annotation_zero_can_be_found() -> None:
    """Pycocotools takes a match with annotation 0 for none."""
    content = truth()
    for place, annotation in enumerate(content["annotations"]):
        annotation["id"] = place
    assert by_pycocotools(content, FOUND).stats[0] < 0.4
    assert means(evaluate_coco(content, FOUND)) == means(evaluate_coco(truth(), FOUND))


def test_fields_that_a_file_need_not_have() -> None:
    content = truth()
    for annotation in content["annotations"]:
        del annotation["area"], annotation["iscrowd"], annotation["id"]
    for category in content["categories"]:
        del category["name"]
    result = evaluate_coco(content, FOUND)
    assert means(result) == pytest.approx(means(evaluate_coco(truth(), FOUND)), nan_ok=True)
    assert result.undefined == ("9",)


@pytest.mark.parametrize("nothing", [[], {}, {1: {"boxes": [], "scores": [], "labels": []}}])
def test_nothing_found(nothing: Any) -> None:
    result = evaluate_coco(truth(), nothing, training=TRAINING)
    assert result.ap == 0 and result.by_frequency["rare"].ap == 0
    assert result.undefined == ("yeti",)


def test_nothing_to_find() -> None:
    content = {**truth(), "annotations": []}
    result = evaluate_coco(content, FOUND)
    assert all(math.isnan(value) for value in means(result))
    assert result.undefined == ("cat", "dog", "gnu", "yeti")
    assert "left out: 4 without a box in the test set: cat, dog" in str(result)


def test_without_frequencies_there_is_one_group() -> None:
    result = evaluate_coco(truth(), FOUND)
    assert [group.name for group in result.by_frequency.groups] == ["all"]
    assert result.by_frequency["all"].ap == pytest.approx(result.ap)
    with pytest.raises(DataError, match="as `training`"):
        evaluate_coco(truth(), FOUND, limits=GroupLimits(100, 20))


def test_head_medium_and_tail_of_training_annotations(tmp_path: Path) -> None:
    training = {
        "images": [{"id": i} for i in range(30)],
        "categories": truth()["categories"],
        "annotations": [
            {"image_id": i, "category_id": c}
            for c, n in {1: 30, 3: 10, 7: 2}.items()
            for i in range(n)
        ],
    }
    path = tmp_path / "train.json"
    path.write_text(json.dumps(training))
    result = evaluate_coco(truth(), FOUND, training=path, limits=GroupLimits(head=20, tail=5))
    groups = {g.name: (g.num_classes, g.num_undefined) for g in result.by_frequency.groups}
    assert groups == {"all": (3, 1), "head": (1, 0), "medium": (1, 0), "tail": (1, 1)}


def test_masks(tmp_path: Path) -> None:
    def rectangle(x: int, y: int, w: int, h: int) -> list[list[int]]:
        return [[x, y, x + w, y, x + w, y + h, x, y + h]]

    content = truth()
    for annotation in content["annotations"]:
        annotation["segmentation"] = rectangle(*annotation["bbox"])
    found = []
    for detection in FOUND:
        pixels = np.zeros((200, 200), np.uint8, order="F")
        x, y, w, h = detection["bbox"]
        pixels[y : y + h, x : x + w] = 1
        # A box that is too large must not decide whether a mask counts as small.
        found.append({**detection, "bbox": [0, 0, 190, 190], "segmentation": mask.encode(pixels)})
    result = evaluate_coco(content, found, iou_type="segm")
    without_boxes = [{k: v for k, v in f.items() if k != "bbox"} for f in found]
    assert_agrees(result, by_pycocotools(content, without_boxes, "segm"))
    assert result.ap == pytest.approx((1 + DOG + 0.5) / 3)
    packed = tmp_path / "truth.json.gz"
    packed.write_bytes(gzip.compress(json.dumps(content).encode()))
    assert evaluate_coco(packed, found, iou_type="segm").ap == result.ap
    with pytest.raises(DataError, match="Detection 0 must have a run-length encoded segmentation"):
        evaluate_coco(content, FOUND, iou_type="segm")
    with pytest.raises(ConfigError, match="Predictions by image id are boxes"):
        evaluate_coco(content, {}, iou_type="segm")
    with pytest.raises(DataError, match="annotation 0 has no segmentation"):
        evaluate_coco(truth(), found, iou_type="segm")


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_pycocotools_on_random_boxes(seed: int) -> None:
    draw = np.random.default_rng(seed)
    content: dict[str, Any] = {
        "images": [{"id": i, "width": 400, "height": 400} for i in range(20)],
        "categories": [{"id": c, "name": f"class {c}"} for c in (2, 3, 5, 11, 90)],
        "annotations": [],
    }
    found = []
    for n in range(1, 121):
        box = [*draw.integers(0, 250, 2).tolist(), *draw.integers(4, 150, 2).tolist()]
        where = {"image_id": int(draw.integers(20)), "category_id": int(draw.choice([2, 3, 5, 11]))}
        crowd = int(draw.random() < 0.1)
        area = 0.7 * box[2] * box[3]  # of a mask
        content["annotations"].append(
            {"id": n, **where, "bbox": box, "area": area, "iscrowd": crowd}
        )
        for _ in range(draw.integers(3)):
            moved = [float(v) for v in np.array(box) + draw.normal(0, 6, 4)]
            moved[2:] = [max(v, 1.0) for v in moved[2:]]
            found.append({**where, "bbox": moved, "score": float(draw.random())})
    result = evaluate_coco(content, found)
    assert 0.05 < result.ap < 0.95
    assert_agrees(result, by_pycocotools(content, found))
    assert result.undefined == ("class 90",)


def test_lvis_is_warned_about() -> None:
    content = truth()
    for category, letter in zip(content["categories"], "fcrr"):
        category["frequency"] = letter
    with pytest.warns(UserWarning, match="LVISEval"):
        result = evaluate_coco(content, FOUND)
    assert result.by_frequency["rare"].ap == pytest.approx(0.5)


def test_detections_of_unlisted_categories_are_left_out_and_warned_about() -> None:
    """A head may have a column for an id that no category has; or labels may not be ids at all."""
    more = [{**FOUND[0], "category_id": 0, "score": 0.99}]
    with pytest.warns(UserWarning, match="1 of 5 detections are left out.* for example 0"):
        result = evaluate_coco(truth(), more + FOUND)
    assert_agrees(result, by_pycocotools(truth(), more + FOUND))


def of_one(**fields: Any) -> dict[int, dict[str, Any]]:
    return {1: {"boxes": [[0, 0, 1, 1]], "scores": [0.5], "labels": [1], **fields}}


def changed(place: int, **fields: Any) -> list[dict[str, Any]]:
    found = copy.deepcopy(FOUND)
    found[place] |= fields
    return found


@pytest.mark.parametrize(
    ("found", "error", "said"),
    [
        (changed(1, image_id=77), DataError, "Detection 1 is of image 77"),
        (changed(0, score=math.nan), DataError, "Detection 0 has the score nan"),
        (changed(0, bbox=[1, 2, 3]), DataError, "bbox of x, y, width and height"),
        (changed(0, bbox=[1, 2, 3, math.inf]), DataError, "bbox of x, y, width and height"),
        ([{"bbox": [0, 0, 1, 1]}], DataError, "no image_id and no category_id and no score"),
        ([{"boxes": [], "scores": []}], DataError, "detectors go by image id: {image_id: model"),
        ([1, 2], ConfigError, "a list of dictionaries"),
        ({1: {"boxes": []}}, ConfigError, "must have boxes, scores and labels"),
        ({1: {"boxes": [[0, 0, 1, 1]], "scores": [], "labels": []}}, DataError, "1 boxes, 0 sco"),
        (of_one(labels=[math.nan]), DataError, "Image 1: labels must be category ids, not nan"),
        (of_one(labels=[1.5]), DataError, "labels must be category ids, not 1.5"),
        (of_one(labels=["cat"]), ConfigError, "must have boxes, scores and labels"),
        (of_one(labels=[[1]]), DataError, r"must be \(n,\), not \(1,\) and \(1, 1\)"),
        (of_one(boxes=[[0, 0, 1]]), DataError, r"boxes must be \(n, 4\).* not \(1, 3\)"),
        (of_one(boxes=np.zeros((4, 2))), DataError, r"boxes must be \(n, 4\).* not \(4, 2\)"),
        ("absent.json", MissingFileError, "no results file"),
    ],
)
def test_wrong_results_are_refused(found: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        evaluate_coco(truth(), found)


def test_counts_of_boxes_are_no_frequencies() -> None:
    counts: Any = class_counts_from_coco(truth())
    with pytest.raises(ConfigError, match="training images by category id, not ClassCounts"):
        evaluate_coco(truth(), FOUND, training=counts)


def test_wrong_annotations_are_refused(tmp_path: Path) -> None:
    wrong: Any = "keypoints"
    with pytest.raises(ConfigError, match="bbox or segm, not 'keypoints'"):
        evaluate_coco(truth(), FOUND, iou_type=wrong)
    content = truth({"id": 9, "image_id": 5, "category_id": 1, "bbox": [0, 0, 1, 1]})
    with pytest.raises(DataError, match="annotation 4 has the image 5"):
        evaluate_coco(content, FOUND)
    content = truth({"id": 9, "image_id": 1, "category_id": 1})
    with pytest.raises(DataError, match="annotation 4 has no bbox"):
        evaluate_coco(content, FOUND)
    with pytest.raises(DataError, match="no categories"):
        evaluate_coco({"images": [], "annotations": [], "categories": []}, [])
    (tmp_path / "results.json").write_text("{}")
    with pytest.raises(DataError, match="a list of detections"):
        evaluate_coco(truth(), tmp_path / "results.json")
