"""How far the test images can say how good a class is: expected intervals, before training.

Nothing is known of the model yet, so a model is assumed: scores of the images that have a class and
of those that do not are normal with the same deviation (the binormal model), as far apart as an
average precision of 50 % takes, where intervals are widest. The variance of the average precision
is then an integral, of the influence that :mod:`mlt.metrics` computes of images, and the interval
is that of :func:`mlt.metrics.confidence.interval.analytic_interval`, as in every report.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from mlt.class_counts import ClassCounts
from mlt.metrics.confidence.influence import ClassInfluence, MeanInfluence
from mlt.metrics.confidence.interval import UNDEFINED, Interval, analytic_interval

__all__ = ["ASSUMPTION", "Evaluation", "expected_interval", "expected_intervals", "half_width"]

ASSUMED = 0.5
"""Average precision that is assumed, but for classes so frequent that chance gives more."""

ASSUMPTION = (
    "AP ±: half the width of the 95 % interval to expect from these test images, in points, if the "
    "average precision of the class were 50 %, where intervals are widest, and scores normal."
)

_STEPS = 500


@dataclass(frozen=True)
class Evaluation:
    """What the test images can say.

    Attributes:
        positives: Test images that have the class.
        images: Test images on which the class is known.
        intervals: Expected 95 % interval of the average precision; None with fewer than two
            positives, where nothing can be said.
        means: The same of the mean over all classes (``"total"``) and over each group.
        assumption: What was assumed.
    """

    positives: dict[str, int]
    images: dict[str, int]
    intervals: dict[str, tuple[float, float] | None]
    means: dict[str, tuple[float, float] | None]
    assumption: str = ASSUMPTION


def expected_intervals(test: ClassCounts, train: ClassCounts | None) -> Evaluation:
    """Expect the intervals of every class and of their means.

    Args:
        test: Counts of the test images.
        train: Counts of the training images, whose groups the means are over; None: only the total.
    """
    assert test.known is not None
    sizes = [(int(n), int(m)) for n, m in zip(test.counts, test.known)]
    groups = {"total": list(range(len(sizes)))}
    if train is not None:
        groups |= {name: classes.tolist() for name, classes in train.groups.items()}
    return Evaluation(
        positives={name: n for name, (n, _) in zip(test.names, sizes)},
        images={name: m for name, (_, m) in zip(test.names, sizes)},
        intervals={
            name: _bounds(expected_interval([size])) for name, size in zip(test.names, sizes)
        },
        means={
            name: _bounds(expected_interval([sizes[c] for c in classes]))
            for name, classes in groups.items()
        },
    )


def expected_interval(sizes: Sequence[tuple[int, int]]) -> Interval:
    """The interval of the mean average precision of independent classes under the assumption.

    Args:
        sizes: Positives and images of each class. Those without a positive are left out, as they
            are of every mean.

    Returns:
        Undefined where no class has two positives.

    Example:
        >>> interval = expected_interval([(20, 1000)])
        >>> round(interval.low, 2), round(interval.high, 2)
        (0.27, 0.73)
    """
    sizes = [size for size in sizes if size[0]]
    if not sizes:
        return UNDEFINED
    classes = []
    for c, (positives, images) in enumerate(sizes):
        value, variance = _value_and_variance(positives, images)
        # An image for each class, so that the classes have nothing in common.
        influence = np.zeros(len(sizes))
        influence[c] = math.sqrt(variance)
        classes.append(ClassInfluence(value, value, influence, positives))
    estimate = MeanInfluence.of(classes).estimate()
    estimate = replace(estimate, images=max(images for _, images in sizes))
    return analytic_interval(estimate)


def half_width(bounds: tuple[float, float] | None) -> str:
    """Half of an interval in points of percent; empty where there is none.

    Example:
        >>> half_width((0.25, 0.75))
        '± 25.0'
    """
    return "" if bounds is None else f"± {50 * (bounds[1] - bounds[0]):.1f}"


@lru_cache(maxsize=1 << 16)
def _value_and_variance(positives: int, images: int) -> tuple[float, float]:
    """Average precision and its variance over test sets, in the binormal model."""
    share = min(positives / images, 1 - 1e-9)
    wanted = max(ASSUMED, share)
    low, high = 0.0, 12.0
    for _ in range(20):
        middle = (low + high) / 2
        if _Ranking.of(middle, share).value < wanted:
            low = middle
        else:
            high = middle
    ranking = _Ranking.of(high, share)
    return ranking.value, ranking.variance(positives, images)


@dataclass(frozen=True, eq=False)
class _Ranking:
    """An endless ranking, cut at S scores from high to low.

    Attributes:
        of_positives: (S,) share of the positives at each score.
        of_negatives: (S,) the same of the negatives.
        above: (S,) share of all images scored at least so high.
        precision: (S,) share of positives among these.
    """

    of_positives: NDArray[np.float64]
    of_negatives: NDArray[np.float64]
    above: NDArray[np.float64]
    precision: NDArray[np.float64]

    @classmethod
    def of(cls, distance: float, share: float) -> _Ranking:
        """Normal scores, those of the positives, a share of the images, higher by a distance."""
        edges = np.linspace(distance + 8, -8, _STEPS + 1)
        hits, false = ndtr(distance - edges), ndtr(-edges)  # of each, how many are above
        above = share * hits + (1 - share) * false
        middle = (above[1:] + above[:-1]) / 2
        precision = share * (hits[1:] + hits[:-1]) / 2 / middle
        return cls(np.diff(hits), np.diff(false), middle, precision)

    @property
    def value(self) -> float:
        """Average precision."""
        return float(self.of_positives @ self.precision)

    def variance(self, positives: int, images: int) -> float:
        """Sum of the squared influences; see :func:`mlt.metrics.confidence.influence`."""
        share = positives / images
        terms = share * self.of_positives / self.above
        gain = np.cumsum(terms[::-1])[::-1]
        loss = np.cumsum((terms * self.precision)[::-1])[::-1]
        of_positive = self.precision + gain - loss - self.value
        squares = self.of_positives @ of_positive**2 / positives
        return float(squares + (images - positives) * (self.of_negatives @ loss**2) / positives**2)


def _bounds(interval: Interval) -> tuple[float, float] | None:
    return (interval.low, interval.high) if interval.defined else None
