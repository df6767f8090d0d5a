"""scikit-learn's average precision, and how far ours is from it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlt.metrics.ap import average_precision
from mlt.metrics.inputs import ScoredLabels, check_scores

__all__ = ["CheckedPrecision", "checked_average_precision", "reference_average_precision"]

_TOLERANCE = 1e-9
"""A difference above this is a mistake and no rounding; rounding stays below 1e-12."""

_BUDGET = 50_000_000
"""Labels that scikit-learn is asked for in one evaluation: about 10 seconds."""


@dataclass(frozen=True, eq=False)
class CheckedPrecision:
    """Average precision of each class from two implementations.

    Attributes:
        values: (C,) what to report: scikit-learn's where it was asked, ours elsewhere.
        asked: Indices of the classes that scikit-learn computed too.
        difference: The largest absolute difference between the two among these; 0 if none is
            defined.
    """

    values: NDArray[np.float64]
    asked: NDArray[np.intp]
    difference: float

    def to_json(self) -> dict[str, Any]:
        """How the values came about, as ``metrics.json`` says it."""
        return {
            "classes_by_scikit_learn": len(self.asked),
            "largest_difference": self.difference,
        }


def reference_average_precision(
    targets: ArrayLike,
    scores: ArrayLike,
    known: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    *,
    classes: Sequence[int] | NDArray[np.intp] | None = None,
) -> NDArray[np.float64]:
    """``sklearn.metrics.average_precision_score`` of each class, which is the reference.

    Takes and gives what :func:`mlt.metrics.average_precision` does, tens of times slower.

    Args:
        targets: (N, C) array of 0 and 1 or booleans.
        scores: (N, C) array, higher is more likely.
        known: (N, C) booleans. None: all are known.
        sample_weight: (N,) weights of the images. None: all 1.
        classes: Compute these columns only and leave NaN in the others. None: all.

    Returns:
        (C,) values, NaN where the class has no known positive image.

    Example:
        >>> reference_average_precision([[1], [0], [1]], [[0.9], [0.8], [0.7]])
        array([0.83333333])
    """
    from sklearn.metrics import average_precision_score

    ranking = check_scores(targets, scores, known, sample_weight)
    result = np.full(ranking.targets.shape[1], np.nan)
    for c in range(len(result)) if classes is None else classes:
        rows = np.ones(len(ranking.targets), bool)
        if ranking.known is not None:
            rows &= ranking.known[:, c]
        if ranking.weight is not None:
            rows &= ranking.weight > 0
        positives = ranking.targets[rows, c]
        if positives.any():
            # Dense ranks keep the order and the ties, and let infinities through.
            ranks = np.unique(ranking.scores[rows, c], return_inverse=True)[1]
            weight = None if ranking.weight is None else ranking.weight[rows]
            result[c] = average_precision_score(positives, ranks, sample_weight=weight)
    return result


def checked_average_precision(
    targets: ArrayLike,
    scores: ArrayLike,
    known: ArrayLike | None = None,
    *,
    budget: int = _BUDGET,
) -> CheckedPrecision:
    """Average precision by scikit-learn, checked against our own on the way.

    Up to ``budget`` labels (N times C) every class is computed by both. Beyond it, scikit-learn
    would take longer than the model did; it then computes as many classes as fit, spread evenly
    from the most to the least frequent, and at least one, and the others are ours.

    Args:
        targets: (N, C) array of 0 and 1 or booleans.
        scores: (N, C) array, higher is more likely.
        known: (N, C) booleans. None: all are known.
        budget: Labels that scikit-learn is asked for.

    Returns:
        The values, and how they were checked. If the two differ by more than 1e-9, or disagree on
        which classes are defined, a RuntimeWarning says so: the evaluation is not lost.

    Example:
        >>> checked = checked_average_precision([[1], [0], [1]], [[0.9], [0.8], [0.7]])
        >>> checked.values, checked.difference < 1e-12
        (array([0.83333333]), True)
    """
    own = average_precision(targets, scores, known)
    asked = _spread(check_scores(targets, scores, known), budget)
    reference = reference_average_precision(targets, scores, known, classes=asked)[asked]
    gap = np.abs(reference - own[asked])
    # Where both are undefined there is nothing to compare; where one is, the gap is as wide as any.
    gap[np.isnan(gap)] = 1.0
    gap[np.isnan(reference) & np.isnan(own[asked])] = 0.0
    difference = float(gap.max(initial=0.0))
    if difference > _TOLERANCE:
        warnings.warn(
            f"average precision of class {asked[gap.argmax()]} differs by {difference:.3g} between "
            f"scikit-learn and mlt; scikit-learn's value is reported. Please report this.",
            RuntimeWarning,
            stacklevel=2,
        )
    own[asked] = reference
    return CheckedPrecision(own, asked, difference)


def _spread(ranking: ScoredLabels, budget: int) -> NDArray[np.intp]:
    """The classes that scikit-learn is asked for."""
    n, c = ranking.targets.shape
    count = min(c, max(budget // max(n, 1), 1))
    if count == c:
        return np.arange(c)
    positives = [
        np.count_nonzero(
            ranking.targets[:, k]
            if ranking.known is None
            else ranking.targets[:, k] & ranking.known[:, k]
        )
        for k in range(c)
    ]
    by_frequency = np.argsort(np.negative(positives), kind="stable")
    return np.sort(by_frequency[np.linspace(0, c - 1, count).round().astype(int)])
