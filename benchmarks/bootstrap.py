"""The bootstrap over images, which the package's own intervals and tests are measured against.

Resamples of the average precision of each class, the percentile and BCa intervals made of them, and
the paired test of two models on the same images. What they cover is in docs/intervals.md; it is why
the package reports intervals without resampling.

A resample is a count per image: how often it was drawn. Average precision needs these counts only
summed between one positive and the next in the ranking, so the ranking is cut there once, as a
sparse 0/1 matrix of (groups, images), and one product with the (images, resamples) counts replaces
a sort per resample.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.sparse import csr_array

from mlt.metrics.confidence.estimates import Groups, estimate
from mlt.metrics.confidence.influence import Estimate, MeanInfluence, class_influence
from mlt.metrics.confidence.interval import UNDEFINED, Interval
from mlt.metrics.confidence.rank_groups import RankGroups, rank_groups
from mlt.metrics.confidence.significance import Difference, t_test

FEW = 20
"""Positives of a class below which its resamples alone are not trusted."""

TAIL = 0.025
"""Of a 95 % interval, on each side."""

CELLS = 2**21
"""Images times resamples that one thread holds at a time: 8 MB of counts."""


@dataclass(frozen=True, eq=False)
class Resampled:
    """The ranking of one class, to be evaluated under many resamples of the images at once."""

    groups: RankGroups

    @cached_property
    def images(self) -> csr_array:
        """(G, N) float32 of 0 and 1, the images of each group."""
        groups = self.groups
        return membership(groups.group, groups.group < groups.size, groups.size)

    @cached_property
    def positives(self) -> csr_array:
        """The same of the positive images alone."""
        return membership(self.groups.group, self.groups.targets, self.groups.size)

    def prepare(self) -> None:
        """Build both matrices now, before threads share them."""
        _ = self.images, self.positives

    def average_precision(self, counts: NDArray[np.float32]) -> NDArray[np.float64]:
        """Average precision when image i counts ``counts[i, r]`` times, for every r.

        Args:
            counts: (N, R) float32, not negative.

        Returns:
            (R,) values, NaN where no positive image has a positive count.
        """
        hits = (self.positives @ counts).astype(np.float64)
        seen = running_sum((self.images @ counts).astype(np.float64))
        found = running_sum(hits.copy())
        total = found[-1].copy()
        # Nothing seen means nothing hit either, and the term is 0 whatever it is divided by.
        precision = np.divide(found, seen, out=found, where=seen > 0)
        result = np.full(counts.shape[1], np.nan)
        np.divide(np.einsum("gr,gr->r", hits, precision), total, out=result, where=total > 0)
        return result


def bootstrap_average_precision(
    targets: NDArray[np.bool_], scores: NDArray[np.generic], *, resamples: int, seed: int
) -> NDArray[np.float64]:
    """Average precision of each class in resamples of the images, drawn with replacement.

    All classes see the same resamples, so that the mean over classes can be taken within each. The
    resamples depend on ``seed`` and N alone: two models on the same images see the same ones, and
    their difference is a paired bootstrap.

    Args:
        targets: (N, C) booleans.
        scores: (N, C) array, higher is more likely.
        resamples: R, how many.
        seed: Of the drawing.

    Returns:
        (R, C) values, NaN where a class vanished: no positive image of it was drawn.
    """
    n, c = targets.shape
    cuts = [rank_groups(targets[:, k], scores[:, k]) for k in range(c)]
    classes = {k: Resampled(cut) for k, cut in enumerate(cuts) if cut is not None}
    for of_class in classes.values():
        of_class.prepare()
    result = np.full((resamples, c), np.nan)

    def fill(number_and_rows: tuple[int, slice]) -> None:
        number, rows = number_and_rows
        rng = np.random.default_rng([seed, number])
        counts = draw(n, rows.stop - rows.start, rng)
        for k, of_class in classes.items():
            result[rows, k] = of_class.average_precision(counts)

    with ThreadPoolExecutor(min(os.cpu_count() or 1, 8)) as pool:
        list(pool.map(fill, enumerate(chunks(n, resamples))))
    return result


def fill_vanished(draws: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fill in for a class that vanished from a resample its value in the next resample that has it.

    A class with n positives vanishes from about exp(-n) of the resamples: 37 % with one positive,
    5 % with three. Leaving it out there would let the mean jump with the set of classes in it. With
    this rule the values of each class are those of the bootstrap given that it does not vanish.

    Args:
        draws: (R, C) values, NaN where a class vanished.

    Returns:
        (R, C) values without NaN but for classes that have none at all.
    """
    filled = draws.copy()
    for column in filled.T:
        there = np.flatnonzero(~np.isnan(column))
        if 0 < len(there) < len(column):
            following = np.searchsorted(there, np.arange(len(column))) % len(there)
            column[:] = column[there[following]]
    return filled


def membership(group: NDArray[np.intp], members: NDArray[np.bool_], size: int) -> csr_array:
    """(size, N) float32 with a 1 where a member image is in a group."""
    rows = np.flatnonzero(members)
    order = rows[np.argsort(group[rows])].astype(np.int32)
    starts = np.zeros(size + 1, np.int32)
    np.cumsum(np.bincount(group[rows], minlength=size), out=starts[1:])
    return csr_array((np.ones(len(order), np.float32), order, starts), shape=(size, len(group)))


def running_sum(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """``np.cumsum(axis=0)`` in place, ten times faster for wide rows."""
    for above, row in itertools.pairwise(rows):
        row += above
    return rows


def chunks(n: int, resamples: int) -> Iterator[slice]:
    width = min(max(CELLS // n, 16), 256)
    return (slice(i, min(i + width, resamples)) for i in range(0, resamples, width))


def draw(n: int, resamples: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """(n, resamples) how often each image is drawn when n are drawn with replacement."""
    counts = np.empty((resamples, n), np.float32)
    for row in counts:
        row[:] = np.bincount(rng.integers(0, n, n), minlength=n)
    return np.ascontiguousarray(counts.T)


def percentile_interval(draws: NDArray[np.float64]) -> Interval:
    """The middle 95 % of the resampled values.

    Resamples have the bias of the sample a second time, so for an average precision of few
    positives this interval lies too high. For a difference of two models, where biases cancel, it
    is the one to use.

    Args:
        draws: (R,) values of the resamples.
    """
    low, high = np.quantile(draws, [TAIL, 1 - TAIL])
    return Interval(float(low), float(high))


def bca_interval(
    draws: NDArray[np.float64],
    value: float,
    influence: NDArray[np.float64],
) -> Interval:
    """Bias-corrected and accelerated bootstrap interval, 95 % (Efron 1987).

    Args:
        draws: (R,) values of the resamples.
        value: The value of the sample.
        influence: (N,) derivative of the value by the weight of each image, for the acceleration.
    """
    spread = float(np.sum(influence**2))
    if spread == 0:
        return percentile_interval(draws)
    below = (np.mean(draws < value) + np.mean(draws <= value)) / 2
    # All resamples on one side still means no more than that their number is finite.
    bias = stats.norm.ppf(np.clip(below, 0.5 / len(draws), 1 - 0.5 / len(draws)))
    acceleration = float(np.sum(influence**3)) / (6 * spread**1.5)
    z = bias + stats.norm.ppf([TAIL, 1 - TAIL])
    low, high = np.quantile(draws, stats.norm.cdf(bias + z / (1 - acceleration * z)))
    return Interval(float(low), float(high))


def bootstrap_intervals(
    targets: NDArray[np.bool_],
    scores: NDArray[np.generic],
    means: Sequence[Sequence[int]],
    *,
    resamples: int,
    seed: int,
) -> list[dict[str, Interval]]:
    """The "bca" and the "percentile" interval of the mean over each list of classes.

    Args:
        targets: (N, C) booleans.
        scores: (N, C) array, higher is more likely.
        means: Class indices of each mean; classes without a positive image are left out of it.
        resamples: How many to draw.
        seed: Of the drawing.
    """
    draws = bootstrap_average_precision(targets, scores, resamples=resamples, seed=seed)
    draws = fill_vanished(draws)
    cuts = [rank_groups(targets[:, k], scores[:, k]) for k in range(targets.shape[1])]
    influences = {k: class_influence(cut) for k, cut in enumerate(cuts) if cut is not None}
    result = []
    for classes in means:
        defined = [k for k in classes if k in influences]
        mean = MeanInfluence.of(influences[k] for k in defined)
        if mean.influence is None:
            result.append({"bca": UNDEFINED, "percentile": UNDEFINED})
            continue
        averaged, value = draws[:, defined].mean(axis=1), float(np.mean(mean.values))
        result.append(
            {
                "bca": bca_interval(averaged, value, mean.influence),
                "percentile": percentile_interval(averaged),
            }
        )
    return result


def bootstrap_test(
    targets: NDArray[np.bool_],
    first: NDArray[np.generic],
    second: NDArray[np.generic],
    groups: Groups,
    *,
    resamples: int,
    seed: int,
) -> dict[str, Difference]:
    """Paired bootstrap of the mean average precision of two models on the same images.

    In each resample of the images both models are evaluated, and only their difference counts, so
    that what makes an image hard for both cancels. The interval is that of the percentiles, and the
    p-value twice the share of resamples on the other side of 0, which cannot be less than
    2 / (resamples + 1).

    Resamples of a class with fewer than 20 positives know too little of its spread, and the test
    would find differences that are not there. For such a class, and for a mean that has one, the
    interval is widened to contain Student's (of the infinitesimal jackknife), and the p-value is
    the larger of the two. A class with one positive is not tested.

    Args:
        targets: (N, C) booleans.
        first: (N, C) scores of the one model.
        second: (N, C) scores of the other.
        groups: Class indices of each mean.
        resamples: How many to draw.
        seed: Of the drawing.

    Returns:
        Differences, first minus second, of "total" and each group that has a positive image.
    """
    models = [first, second]
    found = estimate(targets, models, None, groups, lambda ab: ab[0].minus(ab[1]))
    draws = np.subtract(
        *(
            bootstrap_average_precision(targets, scores, resamples=resamples, seed=seed)
            for scores in models
        )
    )
    draws, positives = fill_vanished(draws), targets.sum(axis=0)
    return {
        name: difference(
            draws[:, columns].mean(axis=1), found.means[name], int(positives[columns].min())
        )
        for name, columns in found.columns.items()
        if columns
    }


def difference(draws: NDArray[np.float64], estimated: Estimate, fewest: int) -> Difference:
    """Interval and test of one difference; with Student's too if a class has few positives."""
    value, interval = estimated.value, percentile_interval(draws)
    rarer_side = min(np.count_nonzero(draws <= 0), np.count_nonzero(draws >= 0))
    p_value = float(min(2 * (rarer_side + 1) / (len(draws) + 1), 1.0))
    if fewest >= FEW:
        return Difference(value, interval.low, interval.high, p_value)
    student = t_test(value, estimated.variance, estimated.freedom, level=0.95)
    if math.isnan(student.p_value):
        return student
    return Difference(
        value,
        min(interval.low, student.low),
        max(interval.high, student.high),
        max(p_value, student.p_value),
    )
