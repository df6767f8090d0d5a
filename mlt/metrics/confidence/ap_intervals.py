"""Confidence intervals of every average precision and every mean of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import ArrayLike

from mlt.metrics.confidence.estimates import Groups, estimate
from mlt.metrics.confidence.interval import Interval, analytic_interval

__all__ = ["AveragePrecisionIntervals", "average_precision_intervals"]


@dataclass(frozen=True)
class AveragePrecisionIntervals:
    """Intervals for the test images being a sample of all images that could have been tested on.

    Attributes:
        means: The interval of "total" and of each named group of classes.
        per_class: One interval per class, in column order.
        level: Confidence.
    """

    means: Mapping[str, Interval]
    per_class: tuple[Interval, ...]
    level: float

    def to_json(self) -> dict[str, Any]:
        """What ``metrics.json`` says of the method, and the intervals of the means."""
        return {
            "level": self.level,
            "method": "analytic",
            "resamples": 0,
            "mAP": {name: interval.to_json() for name, interval in self.means.items()},
        }


def average_precision_intervals(
    targets: ArrayLike,
    scores: ArrayLike,
    known: ArrayLike | None = None,
    groups: Groups | None = None,
    *,
    level: float = 0.95,
) -> AveragePrecisionIntervals:
    """Intervals of the average precision of each class and of its mean over groups of classes.

    Computed from the influence of each image, without resampling. They cover the truth in about
    95 % of cases from five positives per class on, where those of the bootstrap do not: measured by
    ``benchmarks/interval_coverage.py``, see ``docs/intervals.md``. A class with one positive has no
    interval of its own.

    Args:
        targets: (N, C) array of 0 and 1 or booleans.
        scores: (N, C) array, higher is more likely.
        known: (N, C) booleans. None: all are known.
        groups: Class indices of each group. A class without a positive is left out of the means.
        level: Confidence.

    Raises:
        DataError: As for :func:`mlt.metrics.average_precision`.
        ConfigError: If the level is not between 0 and 1.

    Example:
        >>> import numpy as np
        >>> targets = np.arange(100)[:, None] % 10 == 0
        >>> scores = np.where(targets, 30, 0) - np.arange(100)[:, None] % 37
        >>> result = average_precision_intervals(targets, scores)
        >>> [round(bound, 2) for bound in result.means["total"].to_json()]
        [0.65, 0.99]
    """
    found = estimate(targets, [scores], known, groups, lambda models: models[0])
    return AveragePrecisionIntervals(
        {name: analytic_interval(mean, level) for name, mean in found.means.items()},
        tuple(analytic_interval(of_class, level) for of_class in found.per_class),
        level,
    )
