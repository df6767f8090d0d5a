"""Confidence intervals of one number: from a sample of resamples, or from influences.

What each covers in fact was measured by ``benchmarks/interval_coverage.py`` and stands in
``docs/intervals.md``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from mlt.errors import ConfigError
from mlt.metrics.confidence.influence import MeanInfluence

__all__ = [
    "UNDEFINED",
    "Interval",
    "add_variances",
    "analytic_interval",
    "bca_interval",
    "percentile_interval",
]


@dataclass(frozen=True)
class Interval:
    """An interval with a level of confidence; NaN bounds where nothing can be said.

    Attributes:
        low: Lower bound.
        high: Upper bound.
    """

    low: float
    high: float

    @property
    def defined(self) -> bool:
        """Whether it has bounds."""
        return not math.isnan(self.low)

    def to_json(self) -> list[float] | None:
        """``[low, high]``, or None if undefined."""
        return [self.low, self.high] if self.defined else None


UNDEFINED = Interval(math.nan, math.nan)
"""Where nothing can be said."""


def percentile_interval(draws: NDArray[np.float64], level: float = 0.95) -> Interval:
    """The middle of the resampled values.

    Resamples have the bias of the sample a second time, so for an average precision of few
    positives this interval lies too high. For a difference of two models, where biases cancel, it
    is the one to use.

    Args:
        draws: (R,) values of the resamples.
        level: Confidence.

    Example:
        >>> percentile_interval(np.arange(5.0), level=0.5)
        Interval(low=1.0, high=3.0)
    """
    tail = _tail(level)
    low, high = np.quantile(draws, [tail, 1 - tail])
    return Interval(float(low), float(high))


def bca_interval(
    draws: NDArray[np.float64],
    value: float,
    influence: NDArray[np.float64],
    level: float = 0.95,
) -> Interval:
    """Bias-corrected and accelerated bootstrap interval (Efron 1987).

    Args:
        draws: (R,) values of the resamples.
        value: The value of the sample.
        influence: (N,) derivative of the value by the weight of each image, for the acceleration.
        level: Confidence.

    Example:
        >>> interval = bca_interval(np.arange(1001.0), 500.0, np.array([-1.0, 1.0]))
        >>> round(interval.low), round(interval.high)
        (25, 975)
    """
    tail = _tail(level)
    spread = float(np.sum(influence**2))
    if spread == 0:
        return percentile_interval(draws, level)
    below = (np.mean(draws < value) + np.mean(draws <= value)) / 2
    # All resamples on one side still means no more than that their number is finite.
    bias = stats.norm.ppf(np.clip(below, 0.5 / len(draws), 1 - 0.5 / len(draws)))
    acceleration = float(np.sum(influence**3)) / (6 * spread**1.5)
    z = bias + stats.norm.ppf([tail, 1 - tail])
    low, high = np.quantile(draws, stats.norm.cdf(bias + z / (1 - acceleration * z)))
    return Interval(float(low), float(high))


def analytic_interval(
    mean: MeanInfluence,
    level: float = 0.95,
    *,
    extra_variance: float = 0.0,
    extra_freedom: float = math.inf,
) -> Interval:
    """Interval of the mean average precision of some classes, without resampling.

    The centre is the mean without self-counting, the variance the infinitesimal jackknife, the
    scale logit, the quantile that of Student's t. The lower bound is at most the share of positives
    that must be ranked well for n positives to show no bad one: (tail probability) ** (1 / n).

    Args:
        mean: The classes, one or more.
        level: Confidence.
        extra_variance: Variance of the mean that does not come from the images, such as seeds.
        extra_freedom: Degrees of freedom of that variance.

    Returns:
        The interval; undefined if no class has two positives.

    Example:
        >>> from mlt.metrics.confidence.influence import class_influence
        >>> from mlt.metrics.confidence.rank_groups import rank_groups
        >>> targets = np.arange(200) % 10 == 0
        >>> groups = rank_groups(targets, np.where(targets, 50, 0) - np.arange(200) % 77)
        >>> interval = analytic_interval(MeanInfluence.of([class_influence(groups)]))
        >>> round(interval.low, 2), round(interval.high, 2)
        (0.63, 0.93)
    """
    tail = _tail(level)
    variance, freedom = add_variances(mean.variance(), (extra_variance, extra_freedom))
    if mean.influence is None or math.isnan(variance):
        return UNDEFINED
    n = mean.effective_positives
    # Away from 0 and 1, where the scale ends; a quarter of an image is still below all rounding.
    lowest, highest = 1 / (4 * len(mean.influence)), 1 - 1 / (4 * n)
    centre = min(max(sum(mean.unbiased) / len(mean), lowest), highest)
    middle = math.log(centre / (1 - centre))
    half = stats.t.ppf(1 - tail, freedom) * math.sqrt(variance) / (centre * (1 - centre))
    low, high = special.expit([middle - half, middle + half])
    return Interval(float(min(low, tail ** (1 / n))), float(high))


def add_variances(first: tuple[float, float], second: tuple[float, float]) -> tuple[float, float]:
    """Sum of two independent variances, and its degrees of freedom by Welch and Satterthwaite."""
    variance = first[0] + second[0]
    parts = first[0] ** 2 / first[1] + second[0] ** 2 / second[1]
    return variance, variance**2 / parts if parts > 0 else first[1]


def _tail(level: float) -> float:
    if not 0 < level < 1:
        raise ConfigError(f"level must be between 0 and 1, for example 0.95; got {level}")
    return (1 - level) / 2
