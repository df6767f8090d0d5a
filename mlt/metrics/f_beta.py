"""F-beta of decisions: the F1 of a field where missing a label is worse than a false alarm."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mlt.errors import ConfigError
from mlt.metrics.decided import Decided, mean

__all__ = ["FBeta", "f_beta"]


@dataclass(frozen=True)
class FBeta:
    """F-beta in [0, 1], NaN where undefined.

    Attributes:
        beta: How many times as much recall counts as precision.
        per_class: One value per class, in column order; NaN without a known positive image.
        macro: Their mean.
        micro: Of all decisions together.
        samples: Mean over the images with a known positive label.
    """

    beta: float
    per_class: tuple[float, ...]
    macro: float
    micro: float
    samples: float

    def to_json(self) -> dict[str, Any]:
        """Plain values without those of the classes, None where undefined."""
        values = {name: getattr(self, name) for name in ("macro", "micro", "samples")}
        return {"beta": self.beta} | {k: None if math.isnan(v) else v for k, v in values.items()}


def f_beta(
    targets: ArrayLike,
    decisions: ArrayLike,
    known: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    *,
    beta: float = 2.0,
) -> FBeta:
    """F-beta of decisions: the weighted harmonic mean of precision and recall.

    scikit-learn's ``fbeta_score`` with its averages "macro", "micro" and "samples", but that a
    class without a positive image and an image without a label are left out, where scikit-learn
    counts them as 0. A label that is not known counts nowhere.

    Args:
        targets: (N, C) of 0 and 1 or booleans.
        decisions: (N, C) of 0 and 1 or booleans, not scores: see :func:`mlt.metrics.decide`.
        known: (N, C) booleans. None: all are known.
        sample_weight: (N,) weights of the images. None: all 1.
        beta: How many times as much recall counts as precision; 1 makes F1.

    Raises:
        DataError: If shapes differ, a target or decision is neither 0 nor 1, or a weight is
            negative or not finite.
        ConfigError: If beta is not a positive number.

    Example:
        >>> found = f_beta([[1, 0], [1, 1]], [[True, True], [True, False]], beta=2)
        >>> [round(value, 3) for value in (found.macro, found.micro, found.samples)]
        [0.5, 0.667, 0.694]
    """
    if not (beta > 0 and math.isfinite(beta)):
        raise ConfigError(f"beta must be a positive number, for example 2; got {beta}")
    decided = Decided.of(targets, decisions, known, sample_weight)
    per_class = np.full(decided.truth.shape[1], np.nan)
    per_class[decided.tested] = decided.by_class().f(beta)
    return FBeta(
        beta=float(beta),
        per_class=tuple(per_class.tolist()),
        macro=mean(per_class[decided.tested]),
        micro=mean(decided.overall().f(beta)),
        samples=mean(decided.by_image().f(beta), decided.image_weight),
    )
