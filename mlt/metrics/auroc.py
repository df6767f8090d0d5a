"""Area under the ROC curve (AUROC) of every class: exact, in one sort per class."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlt.metrics.class_loop import per_class
from mlt.metrics.inputs import check_scores

__all__ = ["auroc"]


def auroc(
    targets: ArrayLike,
    scores: ArrayLike,
    known: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    *,
    threads: int | None = None,
) -> NDArray[np.float64]:
    """Area under the ROC curve of each class: how often a positive is scored above a negative.

    The share of all (positive, negative) pairs of images in which the positive has the higher
    score; a tie counts one half. The value is that of ``sklearn.metrics.roc_auc_score``, one class
    at a time, to 1e-12, computed from the ranks of the positives (the statistic of Mann and
    Whitney) instead of a curve. A class without a positive image, or without a negative one, has no
    AUROC; it is NaN and never 0 or one half.

    Args:
        targets: (N, C) array of 0 and 1 or booleans.
        scores: (N, C) array, higher is more likely; infinities are ranks like any other.
        known: (N, C) booleans; a label that is not known is left out. None: all are known.
        sample_weight: (N,) weights of the images. None: all 1.
        threads: Threads that share the classes. None: one per core, at most 8, or
            one for few labels.

    Returns:
        (C,) values in [0, 1], NaN where the class has no known positive or no known negative image
        (of positive weight).

    Raises:
        DataError: If shapes differ, a score is NaN, a target is neither 0 nor 1, or a weight is
            negative or not finite.

    Example:
        >>> auroc([[1, 1], [0, 1], [1, 1]], [[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]])
        array([0.5, nan])
    """
    return per_class(check_scores(targets, scores, known, sample_weight), _of_class, threads)


def _of_class(
    targets: NDArray[np.bool_], scores: NDArray[np.generic], weight: NDArray[np.float64] | None
) -> float:
    return _unweighted(targets, scores) if weight is None else _weighted(targets, scores, weight)


def _unweighted(targets: NDArray[np.bool_], scores: NDArray[np.generic]) -> float:
    positive = np.sort(scores[targets])
    pairs = len(positive) * (len(scores) - len(positive))
    if not pairs:
        return np.nan
    in_order = np.sort(scores)
    # Images scored lower, and one half of those with the same score; the positives take themselves
    # away again, each with one half of its own ties.
    twice = sum(int(np.searchsorted(in_order, positive, side).sum()) for side in ("left", "right"))
    return (twice - len(positive) ** 2) / (2 * pairs)


def _weighted(
    targets: NDArray[np.bool_], scores: NDArray[np.generic], weight: NDArray[np.float64]
) -> float:
    negative = ~targets
    order = np.argsort(scores[negative])
    in_order, below = scores[negative][order], np.append(0.0, np.cumsum(weight[negative][order]))
    positive, gain = scores[targets], weight[targets]
    pairs = float(gain.sum() * below[-1])
    if not pairs > 0:
        return np.nan
    sides = (below[np.searchsorted(in_order, positive, side)] for side in ("left", "right"))
    return float(gain @ sum(sides) / (2 * pairs))
