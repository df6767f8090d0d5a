"""Two runs on the same images: paired bootstrap of their difference, and Holm's correction."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from mlt.class_counts import ClassCounts
from mlt.class_groups import GroupLimits
from mlt.errors import DataError
from mlt.metrics.confidence.gather import Groups, gather
from mlt.metrics.confidence.intervals import percentile_interval
from mlt.metrics.confidence.resampling import bootstrap_average_precision, fill_vanished
from mlt.metrics.inputs import check_targets
from mlt.predictions import Predictions

__all__ = [
    "FEW",
    "UNTESTED",
    "Comparison",
    "Difference",
    "align",
    "compare_predictions",
    "compare_scores",
    "groups_of",
    "holm",
    "t_test",
]

FEW = 20
"""Positives of a class below which its resamples alone are not trusted."""


@dataclass(frozen=True)
class Difference:
    """A difference of two values in average precision; NaN where undefined.

    Attributes:
        value: The first minus the second.
        low: Lower bound of its interval.
        high: Upper bound.
        p_value: Probability of a difference at least this large if there were none.
    """

    value: float
    low: float
    high: float
    p_value: float

    def to_json(self) -> dict[str, float] | None:
        """Plain values, None if undefined."""
        if math.isnan(self.p_value):
            return None
        return {"value": self.value, "low": self.low, "high": self.high, "p_value": self.p_value}


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


def groups_of(predictions: Predictions, limits: GroupLimits | None) -> dict[str, NDArray[np.intp]]:
    """Class indices of head, medium and tail."""
    return ClassCounts.from_counts(
        predictions.class_counts, predictions.num_train_images, limits=limits
    ).groups


def align(first: Predictions, second: Predictions) -> Predictions:
    """The second predictions with their images in the order of the first.

    Raises:
        DataError: If the images, classes, targets or known labels are not the same.
    """
    if first.class_names != second.class_names:
        raise DataError("the two predictions are over different classes, or in another order")
    rows = {image: i for i, image in enumerate(second.image_ids.tolist())}
    missing = [image for image in first.image_ids.tolist() if image not in rows]
    if missing or len(first) != len(second):
        named = f": {missing[0]!r} is only in the first" if missing else ""
        raise DataError(
            f"the two predictions are of different images ({len(first)} and {len(second)}){named}; "
            f"evaluate both runs on the same test split"
        )
    order = np.array([rows[image] for image in first.image_ids.tolist()], dtype=np.intp)
    moved = replace(
        second,
        image_ids=second.image_ids[order],
        logits=second.logits[order],
        targets=second.targets[order],
        known=None if second.known is None else second.known[order],
    )
    everything = np.ones(1, bool)
    known = everything if first.known is None else first.known
    same = np.array_equal(
        np.broadcast_to(known, first.targets.shape),
        np.broadcast_to(everything if moved.known is None else moved.known, first.targets.shape),
    )
    if not same or not np.array_equal(first.targets & known, moved.targets & known):
        raise DataError("the two predictions have different targets for the same images")
    return moved


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """P-values corrected for being several, by Holm's step-down method.

    Calling significant what is then below 0.05 makes a single false claim among all of them in at
    most 5 % of cases, whatever their dependence.

    Args:
        p_values: (M,) in [0, 1]; NaN ones are left out and stay.

    Returns:
        (M,) corrected values, at most 1.

    Example:
        >>> holm([0.01, 0.04, 0.03]).tolist()
        [0.03, 0.06, 0.06]
    """
    given = np.asarray(p_values, dtype=np.float64)
    result = np.full(given.shape, np.nan)
    tested = np.flatnonzero(~np.isnan(given))
    order = tested[np.argsort(given[tested], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    result[order] = np.minimum(np.maximum.accumulate(given[order] * factors), 1.0)
    return result


UNTESTED = Difference(math.nan, math.nan, math.nan, math.nan)
"""Of a class or group that is undefined."""


def t_test(value: float, variance: float, freedom: float, level: float) -> Difference:
    """Student's test and interval of a difference whose variance is known so well."""
    if math.isnan(value) or math.isnan(variance):
        return Difference(value, math.nan, math.nan, math.nan)
    if variance == 0:
        return Difference(value, value, value, 1.0 if value == 0 else 0.0)
    error = math.sqrt(variance)
    half = float(stats.t.ppf((1 + level) / 2, freedom)) * error
    p_value = float(2 * stats.t.sf(abs(value) / error, freedom))
    return Difference(value, value - half, value + half, p_value)


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
