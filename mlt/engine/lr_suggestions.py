"""What a learning-rate range test says about the rate to choose. Needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

__all__ = ["RangeTest", "Suggestion", "smoothed"]

_MEMORY = 0.9
_FIRST, _LAST = 0.1, 0.05
"""Shares of the curve that are not looked at: its beginning, where the smoothing knows
little, and its end, where the loss diverges."""

Suggestion = Literal["steepest", "minimum_over_10"]


def smoothed(losses: Sequence[float], memory: float = _MEMORY) -> list[float]:
    """The moving average of losses, corrected for its beginning as Adam's moments are.

    Args:
        losses: In order.
        memory: What it keeps of itself at each step, in [0, 1).

    Example:
        >>> smoothed([4.0, 4.0, 1.0], memory=0.5)
        [4.0, 4.0, 2.2857142857142856]
    """
    average, curve = 0.0, []
    for step, value in enumerate(losses, start=1):
        average = memory * average + (1 - memory) * value
        curve.append(average / (1 - memory**step))
    return curve


@dataclass(frozen=True)
class RangeTest:
    """The curve of a learning-rate range test.

    Attributes:
        rates: Of the head, in each update (U,).
        losses: Of the batches of each update (U,).
        configured: The rate that the configuration has.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    configured: float

    @property
    def smoothed(self) -> tuple[float, ...]:
        """The losses, smoothed (U,)."""
        return tuple(smoothed(self.losses))

    @property
    def suggestions(self) -> dict[Suggestion, float]:
        """The rate where the smoothed loss falls most steeply, and a tenth of where it is lowest.

        Example:
            >>> rates = [10.0**k for k in range(-6, 1)]
            >>> losses = [1.0, 1.0, 0.9, 0.6, 0.3, 0.2, 9.0]
            >>> found = RangeTest(tuple(rates), tuple(losses), 1e-3).suggestions
            >>> {name: round(rate, 5) for name, rate in found.items()}
            {'steepest': 0.01, 'minimum_over_10': 0.01}
        """
        curve = np.array(self.smoothed)
        first, last = int(len(curve) * _FIRST), len(curve) - int(len(curve) * _LAST)
        slope = np.gradient(curve, np.log(self.rates))[first:last]
        lowest = int(np.argmin(curve))
        return {
            "steepest": self.rates[first + int(np.argmin(slope))],
            "minimum_over_10": self.rates[lowest] / 10,
        }

    @property
    def recommended(self) -> Suggestion:
        """Which of the suggestions to take."""
        return "minimum_over_10"

    @property
    def suggestion(self) -> float:
        """The rate to take."""
        return self.suggestions[self.recommended]

    def notes(self, end: float) -> list[str]:
        """What to know before a suggestion is taken.

        Args:
            end: The highest rate that was to be tested.
        """
        curve = self.smoothed
        lowest = int(np.argmin(curve))
        if lowest < len(curve) * _FIRST:
            return ["note: the loss hardly falls; test more updates, or larger batches"]
        if lowest == len(curve) - 1 and self.rates[-1] > 0.99 * end:
            return [f"note: the loss still falls at {end:g}; test higher rates"]
        return []

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "rates": list(self.rates),
            "losses": list(self.losses),
            "smoothed": list(self.smoothed),
            "configured": self.configured,
            "suggestions": dict(self.suggestions),
            "recommended": self.recommended,
        }
