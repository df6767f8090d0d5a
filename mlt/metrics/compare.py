"""Two runs on the same images: paired bootstrap of their difference, and Holm's correction."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlt.class_groups import GroupLimits
from mlt.metrics.confidence.estimates import Groups, gather
from mlt.metrics.confidence.interval import percentile_interval
from mlt.metrics.confidence.multi_seed import groups_of
from mlt.metrics.confidence.rank_groups import bootstrap_average_precision, fill_vanished
from mlt.metrics.confidence.significance import UNTESTED, Difference, t_test
from mlt.metrics.inputs import check_targets
from mlt.predictions import Predictions, align

__all__ = ["FEW", "Comparison", "compare_predictions", "compare_scores"]

FEW = 20
"""Positives of a class below which its resamples alone are not trusted."""


@dataclass(frozen=True)
class Comparison:
    """What :func:`compare_scores` found.

    Attributes:
        means: The difference in mAP of "total" and of each group of classes.
        per_class: The difference in average precision of each class, in column order.
        level: Confidence of the intervals.
        resamples: How many were drawn.
    """

    means: Mapping[str, Difference]
    per_class: tuple[Difference, ...]
    level: float
    resamples: int

    def to_json(self) -> dict[str, Any]:
        """Plain values, None where undefined."""
        return {
            "level": self.level,
            "resamples": self.resamples,
            "mAP": {name: d.to_json() for name, d in self.means.items()},
            "per_class": [d.to_json() for d in self.per_class],
        }


def compare_scores(
    targets: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    known: ArrayLike | None = None,
    groups: Groups | None = None,
    *,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
    threads: int | None = None,
) -> Comparison:
    """Paired bootstrap of the average precision of two models on the same images.

    In each resample of the images both models are evaluated, and only their difference counts, so
    that what makes an image hard for both cancels. The interval is that of the percentiles, and the
    p-value twice the share of resamples on the other side of 0, which cannot be less than
    2 / (resamples + 1). Of many p-values some are small by chance: see :func:`holm`.

    Resamples of a class with fewer than 20 positives know too little of its spread, and the test
    would find differences that are not there. For such a class, and for a mean that has one, the
    interval is widened to contain Student's (of the infinitesimal jackknife), and the p-value is
    the larger of the two. A class with one positive is not tested.

    It says whether these two *models* differ on other images. Whether two *methods* do, when each
    is trained again, takes several seeds: :func:`mlt.metrics.compare_seeds`.

    Args:
        targets: (N, C) array of 0 and 1 or booleans.
        first: (N, C) scores of the one model.
        second: (N, C) scores of the other.
        known: (N, C) booleans. None: all are known.
        groups: Class indices of each group.
        level: Confidence.
        resamples: How many to draw.
        seed: Of the drawing.
        threads: See :func:`mlt.metrics.bootstrap_average_precision`.

    Returns:
        Differences, first minus second.

    Raises:
        DataError: As for :func:`mlt.metrics.average_precision`.

    Example:
        >>> targets = np.arange(60)[:, None] % 6 == 0
        >>> noise = np.arange(60)[:, None] * 37 % 60
        >>> result = compare_scores(targets, 40 * targets + noise, noise, resamples=999)
        >>> round(result.means["total"].value, 2), result.means["total"].p_value
        (0.64, 0.002)
    """
    truth, mask = check_targets(targets, known)
    gathered = gather(truth, [first, second], mask, groups, lambda ab: ab[0].minus(ab[1]))
    values = gathered.values[0] - gathered.values[1]
    draws = np.zeros((resamples, truth.shape[1]))
    for sign, scores in ((1, first), (-1, second)):
        draws += sign * bootstrap_average_precision(
            truth, scores, mask, resamples=resamples, seed=seed, threads=threads
        )
    draws = fill_vanished(draws)

    def tested(columns: Sequence[int], variance: tuple[float, float]) -> Difference:
        if not columns:
            return UNTESTED
        fewest = int(gathered.positives[columns].min())
        return _difference(
            float(values[columns].mean()), draws[:, columns].mean(axis=1), variance, fewest, level
        )

    means = {name: tested(g.columns, g.mean.variance()) for name, g in gathered.groups.items()}
    total = gathered.groups["total"].columns
    per_class = tuple(
        tested([k] if k in total else [], variance) for k, variance in enumerate(gathered.variances)
    )
    return Comparison(means, per_class, level, resamples)


def compare_predictions(
    first: Predictions, second: Predictions, limits: GroupLimits | None = None, **options: Any
) -> Comparison:
    """:func:`compare_scores` of two saved predictions, over head, medium and tail too.

    Args:
        first: Predictions of the one model; its training counts make the groups.
        second: Predictions of the other, in any order of the images.
        limits: Where the groups begin.
        **options: Passed on: ``level``, ``resamples``, ``seed``, ``threads``.

    Raises:
        DataError: If the images, classes or targets are not the same.
    """
    second = align(first, second)
    groups = groups_of(first, limits)
    return compare_scores(
        first.targets, first.logits, second.logits, first.known, groups, **options
    )


def _difference(
    value: float,
    draws: NDArray[np.float64],
    variance: tuple[float, float],
    fewest: int,
    level: float,
) -> Difference:
    interval = percentile_interval(draws, level)
    rarer_side = min(np.count_nonzero(draws <= 0), np.count_nonzero(draws >= 0))
    p_value = float(min(2 * (rarer_side + 1) / (len(draws) + 1), 1.0))
    if fewest >= FEW:
        return Difference(value, interval.low, interval.high, p_value)
    student = t_test(value, *variance, level)
    if math.isnan(student.p_value):
        return Difference(value, math.nan, math.nan, math.nan)
    return Difference(
        value,
        min(interval.low, student.low),
        max(interval.high, student.high),
        max(p_value, student.p_value),
    )
