"""The confidence interval of an average precision or AUROC, from its variance over test sets.

What it covers in fact was measured by ``benchmarks/interval_coverage.py`` and stands in
``docs/intervals.md``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from scipy.special import betaincinv, expit, stdtrit

from mlt.errors import ConfigError
from mlt.metrics.confidence.influence import Estimate

__all__ = ["UNDEFINED", "Interval", "add_variances", "analytic_interval", "rate_interval"]


@dataclass(frozen=True)
class Interval:
    """An interval with a level of confidence; NaN bounds where nothing can be said.

    Attributes:
        low: Lower bound.
        high: Upper bound.
        centre: The estimate that it is around and contains: an average precision (or a mean of
            them) without its upward bias, an AUROC as it is. NaN if undefined.
    """

    low: float
    high: float
    centre: float = math.nan

    @property
    def defined(self) -> bool:
        """Whether it has bounds."""
        return not math.isnan(self.low)

    def to_json(self) -> list[float] | None:
        """``[low, high]``, or None if undefined."""
        return [self.low, self.high] if self.defined else None


UNDEFINED = Interval(math.nan, math.nan)
"""Where nothing can be said."""


def analytic_interval(
    mean: Estimate,
    level: float = 0.95,
    *,
    extra_variance: float = 0.0,
    extra_freedom: float = math.inf,
) -> Interval:
    """Interval of the mean average precision or AUROC of some classes, without resampling.

    The centre is the mean without self-counting, which the interval contains. The variance is the
    infinitesimal jackknife, the scale logit, the quantile that of Student's t. The lower bound is
    at most the share of positives that must be ranked well for n positives to show no bad one:
    (tail probability) ** (1 / n).

    Args:
        mean: Of one class or more.
        level: Confidence.
        extra_variance: Variance of the mean that does not come from the images, such as seeds.
        extra_freedom: Degrees of freedom of that variance.

    Returns:
        The interval; without bounds if no class has two positives.

    Raises:
        ConfigError: If the level is not between 0 and 1.

    Example:
        >>> import numpy as np
        >>> from mlt.metrics.confidence.influence import MeanInfluence, class_influence
        >>> from mlt.metrics.confidence.rank_groups import rank_groups
        >>> targets = np.arange(200) % 10 == 0
        >>> groups = rank_groups(targets, np.where(targets, 50, 0) - np.arange(200) % 77)
        >>> interval = analytic_interval(MeanInfluence.of([class_influence(groups)]).estimate())
        >>> round(interval.low, 2), round(interval.high, 2)
        (0.63, 0.93)
    """
    if not 0 < level < 1:
        raise ConfigError(f"level must be between 0 and 1, for example 0.95; got {level}")
    tail = (1 - level) / 2
    variance, freedom = add_variances(
        (mean.variance, mean.freedom), (extra_variance, extra_freedom)
    )
    if math.isnan(variance):
        return replace(UNDEFINED, centre=mean.unbiased)
    # Away from 0 and 1, where the scale ends; a quarter of a step is still below all rounding.
    lowest, highest = 1 / (4 * mean.images), 1 - 1 / (4 * mean.steps)
    centre = min(max(mean.unbiased, lowest), highest)
    middle = math.log(centre / (1 - centre))
    half = float(stdtrit(freedom, 1 - tail)) * math.sqrt(variance) / (centre * (1 - centre))
    low, high = expit([middle - half, middle + half])
    low = min(low, tail ** (1 / mean.positives), mean.unbiased)
    return Interval(float(low), float(max(high, mean.unbiased)), mean.unbiased)


def rate_interval(
    mean: Estimate,
    level: float = 0.95,
    *,
    classes: int = 1,
    extra_variance: float = 0.0,
    extra_freedom: float = math.inf,
) -> Interval:
    """Interval of a share of images, such as a recall, or of the mean of some.

    Of one share it is the exact one of Clopper and Pearson; where images belong together, with the
    number of images that would give its variance (Korn and Graubard). Of a mean it is
    :func:`analytic_interval`, whose upper bound is at least what n wrong images allow, as its lower
    bound is at most what n right ones do.

    Args:
        mean: Of one share or more.
        level: Confidence.
        classes: How many shares it is the mean of.
        extra_variance: Variance that does not come from the images, such as seeds.
        extra_freedom: Degrees of freedom of that variance.

    References:
        Clopper and Pearson, Biometrika 26, 1934. Korn and Graubard, Survey Methodology 24, 1998.

    Example:
        >>> five_of_five = Estimate(1.0, 1.0, 0.0, 4.0, positives=5.0, steps=5.0, images=20)
        >>> round(rate_interval(five_of_five).low, 4)
        0.4782
    """
    if classes != 1 or extra_variance > 0 or math.isnan(mean.value):
        found = analytic_interval(
            mean, level, extra_variance=extra_variance, extra_freedom=extra_freedom
        )
        if not found.defined:
            return found
        return replace(found, high=max(found.high, 1 - ((1 - level) / 2) ** (1 / mean.positives)))
    if not 0 < level < 1:
        raise ConfigError(f"level must be between 0 and 1, for example 0.95; got {level}")
    share, n, tail = mean.value, mean.steps, (1 - level) / 2
    if mean.positives < mean.steps:  # images that belong together
        spread = share * (1 - share)
        n = min(n, spread / mean.variance if spread > 0 and mean.variance > 0 else mean.positives)
    right = share * n
    low = betaincinv(right, n - right + 1, tail) if share > 0 else 0.0
    high = betaincinv(right + 1, n - right, 1 - tail) if share < 1 else 1.0
    return Interval(float(low), float(high), share)


def add_variances(first: tuple[float, float], second: tuple[float, float]) -> tuple[float, float]:
    """Sum of two independent variances, and its degrees of freedom by Welch and Satterthwaite.

    Args:
        first: A variance and its degrees of freedom.
        second: The other.

    Example:
        >>> add_variances((1.0, 4.0), (1.0, 4.0))
        (2.0, 8.0)
    """
    variance = first[0] + second[0]
    parts = first[0] ** 2 / first[1] + second[0] ** 2 / second[1]
    return variance, variance**2 / parts if parts > 0 else first[1]
