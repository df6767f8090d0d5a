"""The result of an evaluation: mAP, a line for every class, rates, order of labels, intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlt.class_counts import ClassCounts
from mlt.class_groups import GROUPS, GroupLimits
from mlt.errors import DataError
from mlt.metrics.ap import average_precision, micro_average_precision
from mlt.metrics.confidence.ap_intervals import (
    AveragePrecisionIntervals,
    average_precision_intervals,
)
from mlt.metrics.confidence.interval import UNDEFINED, Interval
from mlt.metrics.precision_recall import PrecisionRecallF1, decide, precision_recall_f1, top_k
from mlt.metrics.ranking import RankingMetrics, ranking_metrics
from mlt.metrics.reference import CheckedPrecision, checked_average_precision
from mlt.metrics.thresholds import plain_threshold
from mlt.predictions import Predictions

__all__ = ["ClassResult", "Details", "Summary", "summarize"]

TOP = 3
"""Labels an image in the rates of the highest scores, as the field reports them."""


@dataclass(frozen=True)
class ClassResult:
    """One class: its name, group, average precision and number of images."""

    name: str
    group: str
    ap: float
    """Average precision in [0, 1]; NaN where no test image has the class."""
    n_train: int
    n_test: int
    n_known: int
    """Test images for which it is known whether they have the class."""
    interval: Interval = UNDEFINED
    """Of the average precision, over test sets."""

    @property
    def prevalence(self) -> float:
        """Share of the test images that have the class: the average precision of a random order."""
        return self.n_test / self.n_known if self.n_known else math.nan

    @property
    def lift(self) -> float:
        """How many times the average precision of a random order the class has; NaN without one."""
        return self.ap / self.prevalence if self.n_test else math.nan


@dataclass(frozen=True)
class Details:
    """What an evaluation reports beside average precision.

    Attributes:
        micro_ap: Average precision of all (image, class) pairs in one ranking.
        rates: Of the decisions at ``threshold``.
        top_rates: Of the three highest labels of each image.
        ranking: Ranking loss, coverage, one-error.
        threshold: The logit, or the logits of the classes, at and above which a label is given.
        intervals: Of each average precision and each mean.
        checked: How scikit-learn and our own average precision agree.
    """

    micro_ap: float
    rates: PrecisionRecallF1
    top_rates: PrecisionRecallF1
    ranking: RankingMetrics
    threshold: float | tuple[float, ...]
    intervals: AveragePrecisionIntervals
    checked: CheckedPrecision


@dataclass(frozen=True)
class Summary:
    """The result of an evaluation.

    Attributes:
        total: mAP over all classes that have a test image; NaN if none has.
        head: The same over the head classes, and so on; NaN for a group without such a class.
        per_class: One result a class, in column order.
        limits: Which classes are head and tail.
        num_images: Images evaluated.
        details: What else there is to report; None if only mAP was asked for.
    """

    total: float
    head: float
    medium: float
    tail: float
    per_class: tuple[ClassResult, ...]
    limits: GroupLimits
    num_images: int
    details: Details | None = None

    @property
    def undefined(self) -> tuple[str, ...]:
        """Names of the classes that no test image has; they are in no mean."""
        return tuple(c.name for c in self.per_class if math.isnan(c.ap))

    def to_json(self) -> dict[str, Any]:
        """What ``metrics.json`` holds: plain values, null where a number is undefined."""
        means = {"total": self.total, **{group: getattr(self, group) for group in GROUPS}}
        sizes = {g: sum(c.group == g for c in self.per_class) for g in GROUPS}
        result: dict[str, Any] = {
            "mAP": {name: _number(value) for name, value in means.items()},
            "num_classes": {"total": len(self.per_class), **sizes},
            "limits": {"head": self.limits.head, "tail": self.limits.tail},
            "num_images": self.num_images,
            "undefined_classes": list(self.undefined),
        }
        if self.details is not None:
            result |= _details_to_json(self.details)
        result["per_class"] = [_class_to_json(c) for c in self.per_class]
        return result


def summarize(
    predictions: Predictions,
    limits: GroupLimits | None = None,
    *,
    details: bool = True,
    threshold: float | Sequence[float] = 0.0,
    level: float = 0.95,
) -> Summary:
    """Evaluate predictions: average precision a class and its means over groups of classes.

    A class that no (known) test image has is undefined: it has NaN, is left out of every mean and
    named in :attr:`Summary.undefined`. Images without any label stay in. The average precision is
    scikit-learn's, and is compared with our own on the way.

    Args:
        predictions: Logits, targets and the training counts that make the groups.
        limits: Which classes are head and tail; by default 100 and 20 training images.
        details: Whether to compute :class:`Details` and intervals too. Without them, for example
            after each epoch, average precision is our own, which takes a twentieth of the time.
        threshold: The logit at and above which a label is given, or one a class; 0 is a
            probability of one half.
        level: Confidence of the intervals.

    Returns:
        The means and the line of every class.

    Raises:
        DataError: If there is no image to evaluate.
    """
    if len(predictions) == 0:
        raise DataError("there is no image to evaluate: the test split is empty")
    stats = ClassCounts.from_counts(
        predictions.class_counts,
        predictions.num_train_images,
        names=predictions.class_names,
        limits=limits,
    )
    targets, logits, known = predictions.targets, predictions.logits, predictions.known
    more = _details(predictions, stats, threshold, level) if details else None
    ap = average_precision(targets, logits, known) if more is None else more.checked.values
    intervals = [UNDEFINED] * len(ap) if more is None else more.intervals.per_class
    n_known = np.full(len(ap), len(targets)) if known is None else known.sum(axis=0)
    n_test = (targets if known is None else targets & known).sum(axis=0)
    means = {group: _mean(ap[members]) for group, members in stats.groups.items()}
    return Summary(
        total=_mean(ap),
        head=means["head"],
        medium=means["medium"],
        tail=means["tail"],
        per_class=tuple(
            ClassResult(
                name=name,
                group=stats.group_of(c),
                ap=float(ap[c]),
                n_train=int(stats.counts[c]),
                n_test=int(n_test[c]),
                n_known=int(n_known[c]),
                interval=intervals[c],
            )
            for c, name in enumerate(predictions.class_names)
        ),
        limits=stats.limits,
        num_images=len(predictions),
        details=more,
    )


def _details(
    predictions: Predictions,
    stats: ClassCounts,
    threshold: float | Sequence[float],
    level: float,
) -> Details:
    arrays = predictions.targets, predictions.logits, predictions.known
    targets, logits, known = arrays
    return Details(
        micro_ap=micro_average_precision(*arrays),
        rates=precision_recall_f1(targets, decide(logits, threshold), known),
        top_rates=precision_recall_f1(targets, top_k(logits, TOP, known), known),
        ranking=ranking_metrics(*arrays),
        threshold=threshold if isinstance(threshold, (int, float)) else tuple(threshold),
        intervals=average_precision_intervals(*arrays, stats.groups, level=level),
        checked=checked_average_precision(*arrays),
    )


def _details_to_json(details: Details) -> dict[str, Any]:
    return {
        "intervals": details.intervals.to_json(),
        "micro_AP": _number(details.micro_ap),
        "rates": {"threshold": _plain(details.threshold), **details.rates.to_json()},
        f"rates_top{TOP}": details.top_rates.to_json(),
        "label_order": details.ranking.to_json(),
        "average_precision_check": details.checked.to_json(),
    }


def _class_to_json(result: ClassResult) -> dict[str, Any]:
    return {
        "name": result.name,
        "group": result.group,
        "AP": _number(result.ap),
        "AP_interval": result.interval.to_json(),
        "n_train": result.n_train,
        "n_test": result.n_test,
        "prevalence": _number(result.prevalence),
        "lift": _number(result.lift),
    }


def _mean(values: np.ndarray) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else math.nan


def _plain(threshold: float | tuple[float, ...]) -> float | str | list[float | str]:
    if isinstance(threshold, tuple):
        return [plain_threshold(value) for value in threshold]
    return plain_threshold(threshold)


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
