"""Differences of two models or methods: Student's test, and Holm's correction for many tests."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit

from mlt.arrays import as_array
from mlt.metrics.confidence.agreement import ROUNDING

__all__ = ["Difference", "holm", "t_test"]


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


def t_test(
    value: float, variance: float, freedom: float, level: float, images: float = math.inf
) -> Difference:
    """Student's test and interval of a difference.

    Without any variance there is no difference to test. That n images show none leaves room for a
    share of 1 - (tail probability) ** (1 / n) of the population that does.

    Args:
        value: The difference; NaN if undefined.
        variance: Of the difference; NaN if nothing is known of it.
        freedom: Degrees of freedom of the variance.
        level: Confidence of the interval.
        images: n. Infinite for a model and itself.

    Example:
        >>> difference = t_test(0.1, 0.01, 10.0, level=0.95)
        >>> round(difference.low, 3), round(difference.high, 3), round(difference.p_value, 3)
        (-0.123, 0.323, 0.341)
    """
    if math.isnan(value) or math.isnan(variance):
        return Difference(value, math.nan, math.nan, math.nan)
    if variance <= ROUNDING**2:
        if abs(value) > ROUNDING:  # a difference whose chance nobody knows
            return Difference(value, math.nan, math.nan, math.nan)
        half = 1 - ((1 - level) / 2) ** (1 / images)
        return Difference(value, value - half, value + half, 1.0)
    error = math.sqrt(variance)
    half = float(stdtrit(freedom, (1 + level) / 2)) * error
    p_value = float(2 * stdtr(freedom, -abs(value) / error))
    return Difference(value, value - half, value + half, p_value)


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
    given = as_array(p_values).astype(np.float64, copy=False)
    result = np.full(given.shape, np.nan)
    tested = np.flatnonzero(~np.isnan(given))
    order = tested[np.argsort(given[tested], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    result[order] = np.minimum(np.maximum.accumulate(given[order] * factors), 1.0)
    return result
