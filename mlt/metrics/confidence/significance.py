"""Differences of two models or methods: Student's test, and Holm's correction for many tests."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

__all__ = ["UNTESTED", "Difference", "holm", "t_test"]


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
