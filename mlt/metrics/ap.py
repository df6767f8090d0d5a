"""Average precision of every class: exact, in two sorts per class, in bounded memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlt.metrics.class_loop import per_class, sortable
from mlt.metrics.inputs import check_scores

__all__ = ["average_precision", "micro_average_precision"]


def average_precision(
    targets: ArrayLike,
    scores: ArrayLike,
    known: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    *,
    threads: int | None = None,
) -> NDArray[np.float64]:
    """Average precision of each class: the sum over ranks of precision times the gain in recall.

    The value is that of ``sklearn.metrics.average_precision_score``, one class at a time, to 1e-12:
    no interpolation, tied scores share one rank. It is computed from ranks instead of a curve: the
    mean over the positives of (positives scored at least as high) / (images scored at least as
    high). A class without a positive image has no average precision; it is NaN here and never 0,
    so that it cannot pull a mean down silently. Only the order of the scores counts, so logits
    serve as well as probabilities, and better: a sigmoid in low precision makes ties.

    Besides the arguments, a thread needs about 100 MB, whatever N and C are (of a million images;
    more than that in proportion to N).

    Args:
        targets: (N, C) array of 0 and 1 or booleans.
        scores: (N, C) array, higher is more likely; infinities are ranks like any other.
        known: (N, C) booleans; a label that is not known is left out. None: all are known.
        sample_weight: (N,) weights of the images. None: all 1.
        threads: Threads that share the classes. None: one per core, at most 8, or
            one for few labels.

    Returns:
        (C,) values in [0, 1], NaN where the class has no known positive image (of positive weight).

    Raises:
        DataError: If shapes differ, a score is NaN, a target is neither 0 nor 1, or a weight is
            negative or not finite.

    Example:
        >>> average_precision([[1, 0], [0, 0], [1, 0]], [[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]])
        array([0.83333333,        nan])
    """
    labels = check_scores(targets, scores, known, sample_weight)
    return per_class(labels, _of_class, threads)


def micro_average_precision(
    targets: ArrayLike,
    scores: ArrayLike,
    known: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Average precision of all (image, class) pairs in one ranking; frequent classes dominate it.

    Unlike the average precision of a class it compares scores of different classes, so it depends
    on how they are scaled against each other.

    Args:
        targets: (N, C) array of 0 and 1 or booleans.
        scores: (N, C) array, higher is more likely.
        known: (N, C) booleans. None: all are known.
        sample_weight: (N,) weights of the images. None: all 1.

    Returns:
        A value in [0, 1], NaN if there is no known positive label.

    Example:
        >>> micro_average_precision([[1, 0], [0, 1]], [[0.9, 0.1], [0.8, 0.7]])
        0.8333333333333333
    """
    labels = check_scores(targets, scores, known, sample_weight)
    keep = np.s_[:] if labels.known is None else labels.known
    truth, values = labels.targets[keep].reshape(-1), sortable(labels.scores)[keep].reshape(-1)
    if labels.weight is None:
        return _unweighted(truth, values)
    weight = np.broadcast_to(labels.weight[:, None], labels.targets.shape)[keep].reshape(-1)
    return _weighted(truth, values, weight)


def _of_class(
    targets: NDArray[np.bool_], scores: NDArray[np.generic], weight: NDArray[np.float64] | None
) -> float:
    return _unweighted(targets, scores) if weight is None else _weighted(targets, scores, weight)


def _unweighted(targets: NDArray[np.bool_], scores: NDArray[np.generic]) -> float:
    positive = np.sort(scores[targets])
    if not len(positive):
        return np.nan
    above = np.sort(scores[scores >= positive[0]])
    # The first place where a score could stand counts those that are lower; ties are thus above.
    images = len(above) - np.searchsorted(above, positive)
    positives = len(positive) - np.searchsorted(positive, positive)
    return float(np.mean(positives / images))


def _weighted(
    targets: NDArray[np.bool_], scores: NDArray[np.generic], weight: NDArray[np.float64]
) -> float:
    gain = targets * weight
    if not gain.any():
        return np.nan
    order = np.argsort(scores)[::-1]
    in_order = scores[order]
    last_of_tie = np.flatnonzero(np.append(in_order[1:] != in_order[:-1], True))
    positives = np.cumsum(gain[order])[last_of_tie]
    images = np.cumsum(weight[order])[last_of_tie]
    counted = images > 0  # not so at the top of the ranking while only weights of 0 were seen
    positives, images = positives[counted], images[counted]
    recall = positives / positives[-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * (positives / images)))
