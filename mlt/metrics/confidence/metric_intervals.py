"""Confidence intervals of every class and every mean of an evaluation: average precision, AUROC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mlt.metrics.confidence.auroc_influence import auroc_influence
from mlt.metrics.confidence.estimates import Groups, InfluenceOf, ap_influence, estimate
from mlt.metrics.confidence.interval import Interval, analytic_interval

__all__ = ["MetricIntervals", "auroc_intervals", "average_precision_intervals"]


@dataclass(frozen=True)
class MetricIntervals:
    """Intervals for the test images being a sample of all images that could have been tested on.

    Attributes:
        means: The interval of "total" and of each named group of classes.
        per_class: One interval per class, in column order.
        level: Confidence.
    """

    means: Mapping[str, Interval]
    per_class: tuple[Interval, ...]
    level: float

    @property
    def centres(self) -> dict[str, float | None]:
        """What the intervals of the means are around, None where undefined."""
        return {k: None if np.isnan(i.centre) else i.centre for k, i in self.means.items()}

    def to_json(self) -> dict[str, Any]:
        """The intervals of the means, None where undefined."""
        return {name: interval.to_json() for name, interval in self.means.items()}


def average_precision_intervals(
    targets: ArrayLike,
    scores: ArrayLike,
    known: ArrayLike | None = None,
    groups: Groups | None = None,
    *,
    level: float = 0.95,
    image_groups: ArrayLike | None = None,
) -> MetricIntervals:
    """Intervals of the average precision of each class and of its mean over groups of classes.

    Computed from the influence of each image, without resampling. They cover the truth in about
    95 % of cases from five positives per class on, where those of the bootstrap do not: measured by
    ``benchmarks/interval_coverage.py``, see ``docs/intervals.md``. A class with one positive has no
    interval of its own. The ``centre`` of each is the average precision without its upward bias.

    Args:
        targets: (N, C) array of 0 and 1 or booleans.
        scores: (N, C) array, higher is more likely.
        known: (N, C) booleans. None: all are known.
        groups: Class indices of each group. A class without a positive is left out of the means.
        level: Confidence.
        image_groups: (N,) names of what the images belong to, such as patients; images of one
            count together (an empty name: by itself). None: images are independent.

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
        >>> round(result.means["total"].centre, 2)
        0.93
    """
    return _intervals(targets, scores, known, groups, level, image_groups, ap_influence)


def auroc_intervals(
    targets: ArrayLike,
    scores: ArrayLike,
    known: ArrayLike | None = None,
    groups: Groups | None = None,
    *,
    level: float = 0.95,
    image_groups: ArrayLike | None = None,
) -> MetricIntervals:
    """Intervals of the AUROC of each class and of its mean over groups of classes.

    The variance is DeLong's (DeLong, DeLong and Clarke-Pearson, Biometrics 44, 1988) with what the
    classes of an image share, the scale logit (Pepe, The Statistical Evaluation of Medical Tests
    for Classification and Prediction, 2003; compared with others by Qin and Hotilovac, Statistical
    Methods in Medical Research 17, 2008), the quantile Student's. What they cover was measured by
    ``benchmarks/interval_coverage.py``, see ``docs/intervals.md``. The ``centre`` of each is the
    AUROC itself, which has no bias.

    Args:
        targets: (N, C) array of 0 and 1 or booleans.
        scores: (N, C) array, higher is more likely.
        known: (N, C) booleans. None: all are known.
        groups: Class indices of each group. A class without a positive or without a negative is
            left out of the means.
        level: Confidence.
        image_groups: (N,) names of what the images belong to, such as patients; images of one
            count together (an empty name: by itself). None: images are independent.

    Raises:
        DataError: As for :func:`mlt.metrics.auroc`.
        ConfigError: If the level is not between 0 and 1.

    Example:
        >>> import numpy as np
        >>> targets = np.arange(100)[:, None] % 10 == 0
        >>> scores = np.where(targets, 15, 0) - np.arange(100)[:, None] % 37
        >>> total = auroc_intervals(targets, scores).means["total"]
        >>> round(total.centre, 2), [round(bound, 2) for bound in total.to_json()]
        (0.85, [0.63, 0.95])
    """
    return _intervals(targets, scores, known, groups, level, image_groups, auroc_influence)


def _intervals(
    targets: ArrayLike,
    scores: ArrayLike,
    known: ArrayLike | None,
    groups: Groups | None,
    level: float,
    image_groups: ArrayLike | None,
    influence_of: InfluenceOf,
) -> MetricIntervals:
    found = estimate(
        targets, [scores], known, groups, lambda models: models[0], influence_of, image_groups
    )
    return MetricIntervals(
        {name: analytic_interval(mean, level) for name, mean in found.means.items()},
        tuple(analytic_interval(of_class, level) for of_class in found.per_class),
        level,
    )
