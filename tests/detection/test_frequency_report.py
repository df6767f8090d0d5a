"""AP by frequency: an example worked by hand, through pycocotools and through lvis."""

from __future__ import annotations

import contextlib
import io
import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mlt.class_groups import GroupLimits
from mlt.detection import ap_by_frequency, frequency_table
from mlt.errors import ConfigError, DataError

# Category: its letter, training images, and what happens in the test set below.
#   1  f, 101  one box, found exactly                                    AP 1
#   3  c, 100  two boxes, one found with IoU 0.82: 7 of 10 thresholds,
#              precision 1 up to recall 0.5, which is 51 of 101 points   AP 0.7 x 51 / 101
#   7  r,  10  one box, found exactly, after a false one                 AP 0.5
#   8  r,   1  no box                                                    AP undefined
COUNTS = {1: 101, 3: 100, 7: 10, 8: 1}
LETTERS = {1: "f", 3: "c", 7: "r", 8: "r"}
COMMON = 0.7 * 51 / 101


def ground_truth() -> dict[str, Any]:
    boxes = [(1, 1, [0, 0, 50, 50]), (1, 3, [60, 0, 100, 10]), (2, 3, [0, 0, 30, 30])]
    boxes.append((2, 7, [40, 40, 40, 40]))
    return {
        "info": {},
        "images": [
            {
                "id": i,
                "width": 200,
                "height": 200,
                "neg_category_ids": [7],
                "not_exhaustive_category_ids": [],
            }
            for i in (1, 2)
        ],
        "categories": [
            {"id": c, "name": str(c), "frequency": LETTERS[c], "instance_count": 2 * COUNTS[c]}
            for c in COUNTS
        ],
        "annotations": [
            {
                "id": place + 1,
                "image_id": image,
                "category_id": category,
                "bbox": box,
                "area": box[2] * box[3],
                "iscrowd": 0,
            }
            for place, (image, category, box) in enumerate(boxes)
        ],
    }


DETECTIONS = [
    {"image_id": 1, "category_id": 1, "bbox": [0, 0, 50, 50], "score": 0.9},
    {"image_id": 1, "category_id": 3, "bbox": [60, 0, 82, 10], "score": 0.9},
    {"image_id": 1, "category_id": 7, "bbox": [0, 0, 20, 20], "score": 0.8},
    {"image_id": 2, "category_id": 7, "bbox": [40, 40, 40, 40], "score": 0.7},
]


@pytest.fixture
def coco_evaluation() -> Any:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = ground_truth()
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(DETECTIONS), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


@pytest.fixture
def lvis_evaluation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    pytest.importorskip("lvis")
    monkeypatch.setattr(np, "float", float, raising=False)  # lvis 0.5.3 is older than NumPy 1.24
    from lvis import LVIS, LVISEval, LVISResults

    path = tmp_path / "lvis.json"
    path.write_text(json.dumps(ground_truth()))
    truth = LVIS(str(path))
    evaluation = LVISEval(truth, LVISResults(truth, DETECTIONS), "bbox")
    evaluation.run()
    return evaluation


@pytest.mark.parametrize("toolkit", ["coco", "lvis"])
@pytest.mark.parametrize("source", ["letters", "counts"])
def test_worked_example(toolkit: str, source: str, request: pytest.FixtureRequest) -> None:
    evaluation = request.getfixturevalue(f"{toolkit}_evaluation")
    report = ap_by_frequency(evaluation, None if source == "letters" else COUNTS)
    assert [g.name for g in report.groups] == ["all", "frequent", "common", "rare"]
    expected = {"frequent": 1.0, "common": COMMON, "rare": 0.5, "all": (1 + COMMON + 0.5) / 3}
    for name, ap in expected.items():
        assert report[name].ap == pytest.approx(ap, abs=1e-9)
    assert report["common"].ap50 == pytest.approx(51 / 101)
    assert [g.num_classes for g in report.groups] == [3, 1, 1, 1]
    assert [g.num_undefined for g in report.groups] == [1, 0, 0, 1]
    assert math.isnan(report.class_ap[8]) and report.class_ap[7] == pytest.approx(0.5)


def test_agrees_with_pycocotools(coco_evaluation: Any) -> None:
    report = ap_by_frequency(coco_evaluation, COUNTS)
    assert report["all"].ap == pytest.approx(coco_evaluation.stats[0])
    assert report["all"].ap50 == pytest.approx(coco_evaluation.stats[1])


def test_agrees_with_lvis(lvis_evaluation: Any) -> None:
    report = ap_by_frequency(lvis_evaluation)
    for name, key in (("all", "AP"), ("rare", "APr"), ("common", "APc"), ("frequent", "APf")):
        assert report[name].ap == pytest.approx(lvis_evaluation.results[key])


def test_head_medium_tail(coco_evaluation: Any) -> None:
    report = ap_by_frequency(coco_evaluation, COUNTS, GroupLimits(head=100, tail=20))
    assert [g.name for g in report.groups] == ["all", "head", "medium", "tail"]
    assert report["head"].ap == pytest.approx((1 + COMMON) / 2)
    assert report["medium"].num_classes == 0 and math.isnan(report["medium"].ap)
    assert report["tail"].ap == pytest.approx(0.5)
    with pytest.raises(KeyError, match="head, medium, tail"):
        report["rare"]


def test_counts_from_training_annotations(coco_evaluation: Any, tmp_path: Path) -> None:
    """Images, not boxes, are counted: 10 boxes of category 1 on one image are one."""
    training = {
        "images": [{"id": i} for i in range(12)],
        "categories": [{"id": c} for c in COUNTS],
        "annotations": [{"image_id": 0, "category_id": 1} for _ in range(200)]
        + [{"image_id": i, "category_id": 3} for i in range(12)]
        + [{"image_id": 1, "category_id": 7, "iscrowd": 1}],
    }
    path = tmp_path / "train.json"
    path.write_text(json.dumps(training))
    loaded = SimpleNamespace(dataset=training)  # as COCO and LVIS have it
    for source in (training, path, loaded):
        report = ap_by_frequency(coco_evaluation, source)
        assert report["frequent"].num_classes == 0
        assert report["common"].ap == pytest.approx(COMMON)
        assert report["rare"].ap == pytest.approx(0.75)


def test_table(coco_evaluation: Any) -> None:
    report = ap_by_frequency(coco_evaluation, COUNTS)
    lines = str(report).splitlines()
    assert lines[2].split() == ["frequent", "more", "than", "100", "1", "100.00", "100.00"]
    assert lines[3].split() == ["common", "11", "to", "100", "1", f"{100 * COMMON:.2f}", "50.50"]
    assert lines[-1] == "left out: 1 without a box in the test set"
    both = frequency_table({"before": report, "after": report})
    assert "before AP" in both and "after AP50" in both
    wide = frequency_table({"retinanet with its own loss": report, "b": report}).splitlines()
    assert "classes  retinanet with its own loss AP  " in wide[0]
    assert len({len(line) for line in wide[:5]}) == 1
    other = ap_by_frequency(coco_evaluation, COUNTS, GroupLimits())
    with pytest.raises(ConfigError, match="same classes"):
        frequency_table({"before": report, "after": other})
    with pytest.raises(ConfigError, match="same classes"):
        frequency_table({})


def test_refusals(coco_evaluation: Any) -> None:
    with pytest.raises(DataError, match="does not list 1 of the evaluated categories"):
        ap_by_frequency(coco_evaluation, {1: 5, 3: 5, 7: 5})
    with pytest.raises(DataError, match="as `training`"):
        ap_by_frequency(coco_evaluation, limits=GroupLimits())
    with pytest.raises(ConfigError, match="accumulate"):
        ap_by_frequency(SimpleNamespace(eval={}))
    with pytest.raises(ConfigError, match="training images by category id, not list"):
        ap_by_frequency(coco_evaluation, [5, 5, 5, 5])
    for category in coco_evaluation.cocoGt.dataset["categories"]:
        del category["frequency"]
    with pytest.raises(DataError, match="as `training`"):
        ap_by_frequency(coco_evaluation)


def test_an_evaluation_of_another_kind_is_refused(coco_evaluation: Any) -> None:
    coco_evaluation.params.useCats = 0
    with pytest.raises(ConfigError, match="useCats = 1"):
        ap_by_frequency(coco_evaluation, COUNTS)
    coco_evaluation.params.useCats = 1
    coco_evaluation.params.iouThrs = np.array([0.75])
    with pytest.raises(ConfigError, match=r"the IoU thresholds \[0\.75\]"):
        ap_by_frequency(coco_evaluation, COUNTS)
