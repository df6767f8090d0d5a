"""COCO's evaluation in one call, with the AP of rare, common and frequent classes."""

from __future__ import annotations

import contextlib
import io
import math
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

from mlt.class_groups import GroupLimits
from mlt.data.formats.coco_records import (
    CocoAnnotations,
    CocoRecords,
    read_coco_records,
    unpacked_json,
)
from mlt.detection.coco_results import CocoResults, read_results
from mlt.detection.frequency_report import (
    LVIS_LIMITS,
    FrequencyReport,
    ap_by_frequency,
    overall_report,
)
from mlt.errors import ConfigError, DataError

__all__ = ["CocoEvaluation", "evaluate_coco"]

IoUType = Literal["bbox", "segm"]


@dataclass(frozen=True)
class CocoEvaluation:
    """COCO's average precision, in [0, 1]; NaN where there is nothing to find. ``print`` it.

    Attributes:
        iou_type: `bbox` or `segm`.
        ap: Mean over classes and IoU thresholds 0.50 to 0.95.
        ap50: At IoU 0.50.
        ap75: At IoU 0.75.
        ap_small: Of objects of less than 32 x 32 pixels.
        ap_medium: Of objects between.
        ap_large: Of objects of more than 96 x 96 pixels.
        by_frequency: All classes, then frequent, common and rare ones (or head, medium and tail) if
            it is known how frequent they are.
        class_names: By category id.
    """

    iou_type: IoUType
    ap: float
    ap50: float
    ap75: float
    ap_small: float
    ap_medium: float
    ap_large: float
    by_frequency: FrequencyReport
    class_names: dict[int, str]

    @property
    def undefined(self) -> tuple[str, ...]:
        """Names of the classes without an object in the test set; they are in no mean."""
        class_ap = self.by_frequency.class_ap
        return tuple(name for key, name in self.class_names.items() if math.isnan(class_ap[key]))

    def __str__(self) -> str:
        columns = ("AP", "AP50", "AP75", "small", "medium", "large")
        values = (self.ap, self.ap50, self.ap75, self.ap_small, self.ap_medium, self.ap_large)
        lines = [
            "".join(f"{column:>8}" for column in ("", *columns)),
            f"{self.iou_type:8}" + "".join(f"{_percent(value):>8}" for value in values),
            "",
            str(self.by_frequency),
        ]
        if self.undefined:
            lines[-1] += f": {_shortened(self.undefined)}"
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """What JSON can hold of it, with the AP of each class; what is undefined is None.

        Example:
            >>> truth = {"images": [{"id": 1}], "categories": [{"id": 7, "name": "cat"}],
            ...          "annotations": []}
            >>> evaluate_coco(truth, []).to_json()["classes"]
            [{'id': 7, 'name': 'cat', 'ap': None}]
        """
        means = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")
        groups = [asdict(group) for group in self.by_frequency.groups]
        return {
            "iou_type": self.iou_type,
            **{key: _or_none(getattr(self, key)) for key in means},
            "groups": [{**g, "ap": _or_none(g["ap"]), "ap50": _or_none(g["ap50"])} for g in groups],
            "classes": [
                {"id": key, "name": name, "ap": _or_none(self.by_frequency.class_ap[key])}
                for key, name in self.class_names.items()
            ],
        }


def evaluate_coco(
    annotations: CocoAnnotations,
    results: CocoResults,
    *,
    iou_type: IoUType = "bbox",
    training: CocoAnnotations | Mapping[int, int] | None = None,
    limits: GroupLimits = LVIS_LIMITS,
) -> CocoEvaluation:
    """Run ``pycocotools`` on detections and report AP, also of rare and frequent classes.

    The rules are COCO's: the best 100 detections per image count, and crowd regions are neither
    found nor missed. What is given is not changed.

    Args:
        annotations: The test set: a COCO file, its parsed content or the loaded object.
        results: Detections of it: a results file, its list, what ``COCO.loadRes`` returned, or
            predictions of torchvision's detectors by image id, whose labels are category ids.
        iou_type: `bbox` or `segm`.
        training: Where frequencies come from: the training annotations, whose images are counted,
            or training images by category id. Without them only LVIS's own letters say it.
        limits: Where the groups begin, in training images. LVIS's by default, named frequent,
            common and rare; with others the groups are head, medium and tail.

    Returns:
        A frozen value; ``print`` it.

    Raises:
        MissingFileError: If a file does not exist.
        ConfigError: If an argument has no such form.
        DataError: If a file is not COCO, or detections and test set do not belong together.

    Warns:
        UserWarning: If the annotations are LVIS's, which need LVIS's evaluation; or if detections
            are left out since the annotations do not list their category.

    Example:
        >>> truth = {
        ...     "images": [{"id": 1}], "categories": [{"id": 3, "name": "cat"}],
        ...     "annotations": [{"image_id": 1, "category_id": 3, "bbox": [0, 0, 50, 50]}],
        ... }
        >>> found = {"image_id": 1, "category_id": 3, "bbox": [0, 0, 50, 40], "score": 0.9}
        >>> result = evaluate_coco(truth, [found], training={3: 12})
        >>> round(result.ap, 2), round(result.ap50, 2), result.by_frequency["common"].num_classes
        (0.7, 1.0, 1)
    """
    if iou_type not in get_args(IoUType):
        raise ConfigError(f"iou_type must be bbox or segm, not {iou_type!r}.")
    records = read_coco_records(annotations)
    letters = [category.frequency for category in records.categories]
    if any(letters):
        warnings.warn(
            f"{records.source} looks like LVIS, where only some classes were checked on an image. "
            "COCO's evaluation takes every other detection for a false one; use lvis.LVISEval and "
            "mlt.detection.ap_by_frequency.",
            stacklevel=2,
        )
    truth = _truth(records, iou_type, annotations)
    image_ids = [image.id for image in records.images]
    found = read_results(results, iou_type, image_ids, records.category_ids())
    evaluation = _evaluate({**truth, "annotations": found}, truth, iou_type)
    if training is None and not all(letters) and limits == LVIS_LIMITS:
        report = overall_report(evaluation)
    else:
        report = ap_by_frequency(evaluation, training, limits)
    ap, ap50, ap75, small, medium, large = (
        float(value) if value >= 0 else math.nan for value in evaluation.stats[:6]
    )
    names = {c.id: str(c.id) if c.name is None else c.name for c in records.categories}
    names = dict(sorted(names.items()))
    return CocoEvaluation(iou_type, ap, ap50, ap75, small, medium, large, report, names)


def _truth(records: CocoRecords, iou_type: IoUType, annotations: Any) -> dict[str, Any]:
    """Return the test set with all fields that ``COCOeval`` looks at.

    Ids of annotations are counted anew: it takes a match with annotation 0 for none.
    """
    if not records.categories:
        raise DataError(f"{records.source} has no categories, so there is nothing to evaluate.")
    images, categories = {i.id for i in records.images}, set(records.category_ids())
    objects: list[dict[str, Any]] = []
    for place, given in enumerate(records.annotations):
        if given.image_id not in images or given.category_id not in categories:
            raise DataError(
                f"{records.source}: annotation {place} has the image {given.image_id} and the "
                f"category {given.category_id}, not both of which are listed."
            )
        objects.append(
            {
                "id": place + 1,
                "image_id": given.image_id,
                "category_id": given.category_id,
                "iscrowd": int(given.iscrowd or 0),
                "area": given.area,
            }
        )
    truth = {
        "images": [{"id": i.id, "width": i.width, "height": i.height} for i in records.images],
        "categories": [{"id": c.id, "frequency": c.frequency} for c in records.categories],
        "annotations": objects,
    }
    if iou_type == "segm":
        _add_masks(truth, annotations, records.source)
    else:
        _add_boxes(objects, records)
    return truth


def _add_boxes(objects: list[dict[str, Any]], records: CocoRecords) -> None:
    for place, (each, given) in enumerate(zip(objects, records.annotations)):
        if given.bbox is None or len(given.bbox) != 4:
            raise DataError(f"{records.source}: annotation {place} has no bbox of four numbers.")
        each["bbox"] = list(given.bbox)
        if each["area"] is None:
            each["area"] = given.bbox[2] * given.bbox[3]


def _add_masks(truth: dict[str, Any], annotations: Any, source: str) -> None:
    from pycocotools import mask

    if isinstance(annotations, (str, Path)):
        content = msgspec.json.decode(unpacked_json(Path(annotations)))
    else:
        content = getattr(annotations, "dataset", annotations)
    for place, (each, given) in enumerate(zip(truth["annotations"], content["annotations"])):
        if not given.get("segmentation"):
            raise DataError(f"{source}: annotation {place} has no segmentation.")
        each["segmentation"] = given["segmentation"]
    coco = _coco(truth)
    for each in truth["annotations"]:
        if each["area"] is None:
            each["area"] = float(mask.area(coco.annToRLE(each)))


def _evaluate(found: dict[str, Any], truth: dict[str, Any], iou_type: IoUType) -> Any:
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(_coco(truth), _coco(found), iou_type)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def _coco(content: dict[str, Any]) -> Any:
    from pycocotools.coco import COCO

    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = content
        coco.createIndex()
    return coco


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.2f}"


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value


def _shortened(names: tuple[str, ...], shown: int = 10) -> str:
    rest = f", and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + rest
