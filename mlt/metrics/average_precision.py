"""Average precision of every class, by scikit-learn."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlt.errors import DataError

__all__ = ["average_precision"]


def average_precision(
    targets: ArrayLike,
    scores: ArrayLike,
    known: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """Average precision of each class: the sum over ranks of precision times the gain in recall.

    This is ``sklearn.metrics.average_precision_score``, one class at a time: no interpolation, tied
    scores share one rank. A class without a positive image has no average precision; it is NaN
    here and never 0, so that it cannot pull a mean down silently. Only the order of the scores
    counts, so logits serve as well as probabilities, and better: a sigmoid in low precision makes
    ties.

    Args:
        targets: (N, C) array of 0 and 1 or booleans.
        scores: (N, C) array, higher is more likely; infinities are ranks like any other.
        known: (N, C) booleans; a label that is not known is left out. None: all are known.
        sample_weight: (N,) weights of the images. None: all 1.

    Returns:
        (C,) values in [0, 1], NaN where the class has no known positive image (of positive weight).

    Raises:
        DataError: If shapes differ, a score is NaN, a target is neither 0 nor 1, or a weight is
            negative or not finite.

    Example:
        >>> average_precision([[1, 0], [0, 0], [1, 0]], [[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]])
        array([0.83333333,        nan])
    """
    from sklearn.metrics import average_precision_score

    truth, values, mask, weight = _checked(targets, scores, known, sample_weight)
    result = np.full(truth.shape[1], np.nan)
    for c in range(truth.shape[1]):
        rows = mask[:, c] & (weight > 0)
        positives = truth[rows, c]
        if positives.any():
            # Dense ranks keep the order and the ties, and let infinities through.
            ranks = np.unique(values[rows, c], return_inverse=True)[1]
            result[c] = average_precision_score(positives, ranks, sample_weight=weight[rows])
    return result


def _checked(
    targets: ArrayLike,
    scores: ArrayLike,
    known: ArrayLike | None,
    sample_weight: ArrayLike | None,
) -> tuple[NDArray[np.bool_], NDArray[np.floating], NDArray[np.bool_], NDArray[np.float64]]:
    """The four arrays in the form the computation needs, or a DataError that says what is wrong."""
    truth, values = np.asarray(targets), np.asarray(scores)
    if truth.ndim != 2 or truth.shape != values.shape:
        raise DataError(
            f"targets and scores must both be (N, C); got {truth.shape} and {values.shape}"
        )
    mask = np.ones(truth.shape, bool) if known is None else np.asarray(known, dtype=bool)
    if mask.shape != truth.shape:
        raise DataError(f"known must be {truth.shape} like the targets; got {mask.shape}")
    weight = np.ones(len(truth)) if sample_weight is None else np.asarray(sample_weight, float)
    if weight.shape != (len(truth),):
        raise DataError(f"sample_weight must be ({len(truth)},), one an image; got {weight.shape}")
    if not (np.isfinite(weight).all() and (weight >= 0).all()):
        raise DataError("sample_weight must be finite and not negative")
    if np.isnan(values).any():
        row, column = np.argwhere(np.isnan(values))[0]
        raise DataError(f"scores hold NaN, first at image {row}, class {column}")
    if truth.dtype != bool:
        wrong = mask & (truth != 0) & (truth != 1)
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            raise DataError(
                f"targets must be 0 or 1; got {truth[row, column]} at image {row}, class {column}"
            )
        truth = truth == 1
    return truth, values, mask, weight
