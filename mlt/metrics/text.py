"""How numbers are written in the tables of a terminal."""

from __future__ import annotations

import math

from mlt.metrics.confidence.interval import Interval

__all__ = ["bounds", "percent"]


def percent(value: float) -> str:
    """A share in percent; a dash where it is undefined.

    Example:
        >>> percent(0.5), percent(math.nan)
        ('50.00', '-')
    """
    return "-" if math.isnan(value) else f"{100 * value:.2f}"


def bounds(interval: Interval) -> str:
    """Both bounds in percent; a dash where there are none.

    Example:
        >>> bounds(Interval(0.25, 0.5))
        '25.00 to 50.00'
    """
    if not interval.defined:
        return "-"
    return f"{percent(interval.low)} to {percent(interval.high)}"
