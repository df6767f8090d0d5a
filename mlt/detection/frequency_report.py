"""Average precision of rare, common and frequent classes, from a COCO or LVIS evaluation.

The mean over all classes hides what a long-tailed method changes. This takes what `pycocotools` or
`lvis` has accumulated and averages it over the classes with similarly many training images.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlt.class_groups import GroupLimits
from mlt.data.formats.coco_records import CocoAnnotations, read_coco_records
from mlt.detection.image_categories import category_images
from mlt.errors import ConfigError, DataError

__all__ = [
    "LVIS_LIMITS",
    "FrequencyGroup",
    "FrequencyReport",
    "GroupLimits",
    "ap_by_frequency",
    "frequency_table",
    "overall_report",
]

LVIS_LIMITS = GroupLimits(head=101, tail=11)
"""Rare: 1 to 10 training images; common: 11 to 100; frequent: more (Gupta et al., CVPR 2019).

The comments in LVIS's own toolkit say "fewer than 10" and "fewer than 100"; what it evaluates by is
the letter that each category has in the annotations, and so does this package where it is there.
"""

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
LVIS_GROUPS = {"f": "frequent", "c": "common", "r": "rare"}


@dataclass(frozen=True)
class FrequencyGroup:
    """Classes of one frequency.

    Attributes:
        name: `all`, or the group's name.
        images: What the group is, in training images; empty for all.
        num_classes: Classes that are evaluated: with a box in the test set.
        num_undefined: Classes without one, which are in no mean.
        ap: Mean over classes and IoU thresholds (0.5 to 0.95), in [0, 1]; NaN without a class.
        ap50: The same at IoU 0.5.
    """

    name: str
    images: str
    num_classes: int
    num_undefined: int
    ap: float
    ap50: float


@dataclass(frozen=True)
class FrequencyReport:
    """The result: all classes, and each group from frequent to rare.

    Attributes:
        groups: The first is all classes.
        class_ap: AP of each category id; NaN where the test set has no box of it.
    """

    groups: tuple[FrequencyGroup, ...]
    class_ap: dict[int, float]

    def __getitem__(self, name: str) -> FrequencyGroup:
        """Return a group by its name."""
        for group in self.groups:
            if group.name == name:
                return group
        raise KeyError(f"{name!r} is not one of {', '.join(group.name for group in self.groups)}")

    def __str__(self) -> str:
        return frequency_table({"": self})


def ap_by_frequency(
    evaluation: Any,
    training: CocoAnnotations | Mapping[int, int] | None = None,
    limits: GroupLimits = LVIS_LIMITS,
) -> FrequencyReport:
    """Average the AP of an evaluation over its frequent, common and rare classes.

    Args:
        evaluation: A ``pycocotools`` `COCOeval` or ``lvis`` `LVISEval`, after `accumulate`.
        training: Where the frequencies come from: the training annotations (a COCO or LVIS file,
            its parsed content or the loaded object), whose images are counted, or training images
            by category id. If not given, the letters r, c and f that LVIS's categories have, in its
            test files too.
        limits: Where the groups begin. LVIS's by default, named frequent, common and rare; with
            others, such as ``GroupLimits(100, 20)``, the groups are head, medium and tail.

    Returns:
        A report; ``print`` it.

    Raises:
        ConfigError: If the evaluation was not accumulated, or not by class (``useCats``) at COCO's
            IoU thresholds.
        DataError: If a category's frequency is not known.
    """
    category_ids = _accumulated(evaluation)[1]
    return _report(evaluation, *_groups(evaluation, category_ids, training, limits))


def overall_report(evaluation: Any) -> FrequencyReport:
    """The same where nothing is known about frequencies: a report whose only group is all classes.

    Args:
        evaluation: See :func:`ap_by_frequency`.
    """
    category_ids = _accumulated(evaluation)[1]
    return _report(evaluation, np.full(len(category_ids), ""), {})


def _report(evaluation: Any, names: np.ndarray, described: dict[str, str]) -> FrequencyReport:
    """Means over the classes of each group; ``names`` says which group each class is in."""
    precision, category_ids, thresholds = _accumulated(evaluation)
    of_class = _class_means(precision)
    at_half = _class_means(precision[np.isclose(thresholds, 0.5)])

    def group(name: str, images: str, chosen: np.ndarray) -> FrequencyGroup:
        defined = chosen & ~np.isnan(of_class)
        return FrequencyGroup(
            name,
            images,
            int(defined.sum()),
            int(chosen.sum() - defined.sum()),
            _mean(of_class[defined]),
            _mean(at_half[defined]),
        )

    groups = [group("all", "", np.ones(len(names), bool))]
    groups += [group(name, images, names == name) for name, images in described.items()]
    return FrequencyReport(tuple(groups), dict(zip(category_ids, of_class.tolist())))


def frequency_table(reports: Mapping[str, FrequencyReport]) -> str:
    """Write reports on the same classes side by side, such as before and after.

    Args:
        reports: By a short name.

    Returns:
        A table of AP and AP50 in percent.

    Raises:
        ConfigError: If there is no report, or their groups differ.
    """
    shapes = {tuple((g.name, g.num_classes) for g in r.groups) for r in reports.values()}
    if len(shapes) != 1:
        raise ConfigError("Give one or more reports on the same classes and groups.")
    first = next(iter(reports.values()))
    heads = [f"{name} {column}".strip() for name in reports for column in ("AP", "AP50")]
    widths = [max(14, 2 + len(head)) for head in heads]
    heading = "".join(f"{head:>{width}}" for head, width in zip(heads, widths))
    lines = [f"{'':10}{'training images':20}{'classes':>7}{heading}"]
    for place, group in enumerate(first.groups):
        values = [v for r in reports.values() for v in (r.groups[place].ap, r.groups[place].ap50)]
        lines.append(
            f"{group.name:10}{group.images:20}{group.num_classes:7}"
            + "".join(f"{_percent(value):>{width}}" for value, width in zip(values, widths))
        )
    lines.append("in percent; AP is the mean over IoU 0.50 to 0.95")
    if undefined := first.groups[0].num_undefined:
        lines.append(f"left out: {undefined} without a box in the test set")
    return "\n".join(lines)


def _accumulated(evaluation: Any) -> tuple[np.ndarray, list[int], np.ndarray]:
    """Return precision (IoU thresholds, recalls, classes) of all areas, ids and thresholds."""
    results = getattr(evaluation, "eval", None)
    if not isinstance(results, Mapping) or "precision" not in results:
        raise ConfigError(
            "The evaluation has no results; call evaluate() and accumulate() of COCOeval, or run() "
            "of LVISEval, before."
        )
    precision, params = np.asarray(results["precision"]), evaluation.params
    if hasattr(params, "catIds"):  # pycocotools
        use_cats, thresholds = params.useCats, np.array(params.iouThrs)
        precision = precision[:, :, :, params.areaRngLbl.index("all"), -1]
        category_ids = [int(c) for c in params.catIds]
    else:
        use_cats, thresholds = params.use_cats, np.array(params.iou_thrs)
        precision = precision[:, :, :, params.area_rng_lbl.index("all")]
        category_ids = [int(c) for c in params.cat_ids]
    if not use_cats:
        raise ConfigError("The evaluation took all classes for one; set params.useCats = 1.")
    if thresholds.shape != IOU_THRESHOLDS.shape or not np.allclose(thresholds, IOU_THRESHOLDS):
        raise ConfigError(
            f"The evaluation has the IoU thresholds {thresholds.tolist()}, but AP is the mean over "
            "0.50 to 0.95 in steps of 0.05; leave params.iouThrs as they are."
        )
    return precision, category_ids, thresholds


def _class_means(precision: np.ndarray) -> np.ndarray:
    """Mean over thresholds and recalls; NaN for a class without a box, which has -1 everywhere."""
    undefined = (precision < 0).all(axis=(0, 1))
    return np.where(undefined, np.nan, precision.mean(axis=(0, 1)))


def _groups(
    evaluation: Any, category_ids: list[int], training: Any, limits: GroupLimits
) -> tuple[np.ndarray, dict[str, str]]:
    """Return the group of each class, and what each group means, from frequent to rare."""
    words = limits.describe()
    if limits == LVIS_LIMITS:
        titles = {"head": "frequent", "medium": "common", "tail": "rare"}
        words = {"head": "more than 100", "medium": "11 to 100", "tail": "at most 10"}
    else:
        titles = {name: name for name in words}
    described = {titles[name]: words[name] for name in words}
    if training is None:
        return _letters(evaluation, category_ids, limits), described
    counts = _image_counts(training)
    if absent := [c for c in category_ids if c not in counts]:
        raise DataError(
            f"The training set does not list {len(absent)} of the evaluated categories, for "
            f"example {absent[0]}; are the category ids the same?"
        )
    groups = [
        titles[
            "head" if counts[c] >= limits.head else "tail" if counts[c] < limits.tail else "medium"
        ]
        for c in category_ids
    ]
    return np.array(groups), described


def _letters(evaluation: Any, category_ids: list[int], limits: GroupLimits) -> np.ndarray:
    truth: Any = getattr(evaluation, "lvis_gt", None) or evaluation.cocoGt
    categories = {c["id"]: c for c in truth.dataset["categories"]}
    letters = [categories[c].get("frequency") for c in category_ids]
    if limits != LVIS_LIMITS or not set(letters) <= set(LVIS_GROUPS):
        raise DataError(
            "How frequent the classes are in training is not known: give the training annotations, "
            "or training images by category id, as `training`. Only LVIS's categories say it, for "
            "LVIS's own groups."
        )
    return np.array([LVIS_GROUPS[letter] for letter in letters])


def _image_counts(training: Any) -> Mapping[int, int]:
    if isinstance(training, Mapping) and "categories" not in training:
        return training
    if not isinstance(training, (str, Path, Mapping)) and not hasattr(training, "dataset"):
        raise ConfigError(
            "Give training annotations, or a dictionary of training images by category id, not "
            f"{type(training).__name__}."
        )
    return category_images(read_coco_records(training))


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else math.nan


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.2f}"
