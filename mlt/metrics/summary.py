"""mAP in total and for head, medium and tail classes, and a line for every class."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlt.data.stats import GROUPS, ClassStats, GroupLimits
from mlt.errors import DataError
from mlt.metrics.average_precision import average_precision
from mlt.metrics.predictions import Predictions

__all__ = ["ClassResult", "Summary", "summarize"]


@dataclass(frozen=True)
class ClassResult:
    """One class: its name, group, average precision and number of images."""

    name: str
    group: str
    ap: float
    """Average precision in [0, 1]; NaN where no test image has the class."""
    n_train: int
    n_test: int


@dataclass(frozen=True)
class Summary:
    """The result of an evaluation.

    Attributes:
        total: mAP over all classes that have a test image; NaN if none has.
        head: The same over the head classes, and so on; NaN for a group without such a class.
        per_class: One result a class, in column order.
        limits: Which classes are head and tail.
        num_images: Images evaluated.
    """

    total: float
    head: float
    medium: float
    tail: float
    per_class: tuple[ClassResult, ...]
    limits: GroupLimits
    num_images: int

    @property
    def undefined(self) -> tuple[str, ...]:
        """Names of the classes that no test image has; they are in no mean."""
        return tuple(c.name for c in self.per_class if math.isnan(c.ap))

    def to_json(self) -> dict[str, Any]:
        """What ``metrics.json`` holds: plain values, null where a number is undefined."""
        means = {"total": self.total, **{group: getattr(self, group) for group in GROUPS}}
        sizes = {g: sum(c.group == g for c in self.per_class) for g in GROUPS}
        return {
            "mAP": {name: _number(value) for name, value in means.items()},
            "num_classes": {"total": len(self.per_class), **sizes},
            "limits": {"head": self.limits.head, "tail": self.limits.tail},
            "num_images": self.num_images,
            "undefined_classes": list(self.undefined),
            "per_class": [
                {
                    "name": c.name,
                    "group": c.group,
                    "AP": _number(c.ap),
                    "n_train": c.n_train,
                    "n_test": c.n_test,
                }
                for c in self.per_class
            ],
        }


def summarize(predictions: Predictions, limits: GroupLimits | None = None) -> Summary:
    """Evaluate predictions: average precision a class and its means over groups of classes.

    A class that no (known) test image has is undefined: it has NaN, is left out of every mean and
    named in :attr:`Summary.undefined`. Images without any label stay in.

    Args:
        predictions: Logits, targets and the training counts that make the groups.
        limits: Which classes are head and tail; by default 100 and 20 training images.

    Returns:
        The means and the line of every class.

    Raises:
        DataError: If there is no image to evaluate.
    """
    if len(predictions) == 0:
        raise DataError("there is no image to evaluate: the test split is empty")
    stats = ClassStats.from_counts(
        predictions.class_counts,
        predictions.num_train_images,
        class_names=predictions.class_names,
        limits=limits or GroupLimits(),
    )
    ap = average_precision(predictions.targets, predictions.logits, predictions.known)
    positives = predictions.targets
    if predictions.known is not None:
        positives = positives & predictions.known
    n_test = positives.sum(axis=0)
    means = {group: _mean(ap[members]) for group, members in stats.groups.items()}
    return Summary(
        total=_mean(ap),
        head=means["head"],
        medium=means["medium"],
        tail=means["tail"],
        per_class=tuple(
            ClassResult(name, stats.group_of(c), float(ap[c]), int(stats.counts[c]), int(n_test[c]))
            for c, name in enumerate(predictions.class_names)
        ),
        limits=stats.limits,
        num_images=len(predictions),
    )


def _mean(values: np.ndarray) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else math.nan


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
