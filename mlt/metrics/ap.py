"""Average precision of every class: exact, in two sorts per class, in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlt.errors import DataError
from mlt.metrics.inputs import ScoredLabels, check_scores

__all__ = ["average_precision", "micro_average_precision"]

_BLOCK = 8_000_000
"""Scores that one thread copies at a time: 32 MB in float32."""

_WORTH_A_THREAD = 200_000
"""Labels below which starting threads costs more than it saves."""


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
    n, c = labels.targets.shape
    result = np.full(c, np.nan)
    workers = _workers(threads, n * c)
    blocks = list(_blocks(n, c, workers))
    if workers == 1 or len(blocks) < 2:
        for block in blocks:
            result[block] = _of_block(labels, block)
        return result
    with ThreadPoolExecutor(workers) as pool:
        values = pool.map(lambda block: _of_block(labels, block), blocks)
        for block, value in zip(blocks, values, strict=True):
            result[block] = value
    return result


def micro_average_precision(
    targets: ArrayLike, scores: ArrayLike, known: ArrayLike | None = None
) -> float:
    """Average precision of all (image, class) pairs in one ranking; frequent classes dominate it.

    Unlike the average precision of a class it compares scores of different classes, so it depends
    on how they are scaled against each other.

    Args:
        targets: (N, C) array of 0 and 1 or booleans.
        scores: (N, C) array, higher is more likely.
        known: (N, C) booleans. None: all are known.

    Returns:
        A value in [0, 1], NaN if there is no known positive label.

    Example:
        >>> micro_average_precision([[1, 0], [0, 1]], [[0.9, 0.1], [0.8, 0.7]])
        0.8333333333333333
    """
    labels = check_scores(targets, scores, known)
    keep = slice(None) if labels.known is None else labels.known
    return _unweighted(labels.targets[keep].reshape(-1), _sortable(labels.scores)[keep].reshape(-1))


def _workers(threads: int | None, labels: int) -> int:
    if threads is not None:
        if threads < 1:
            raise DataError(f"threads must be at least 1; got {threads}")
        return threads
    return 1 if labels < _WORTH_A_THREAD else min(os.cpu_count() or 1, 8)


def _blocks(n: int, c: int, workers: int) -> Iterator[slice]:
    """Runs of columns: several at a time, since one column of a row-major array reads all of it."""
    width = max(1, min(_BLOCK // max(n, 1), 64, -(-c // (4 * workers))))
    return (slice(start, min(start + width, c)) for start in range(0, c, width))


def _of_block(labels: ScoredLabels, block: slice) -> list[float]:
    truth = np.ascontiguousarray(labels.targets[:, block].T)
    scores = np.ascontiguousarray(_sortable(labels.scores[:, block]).T)
    mask = None if labels.known is None else np.ascontiguousarray(labels.known[:, block].T)
    values = []
    for k in range(len(truth)):
        y, s, w = truth[k], scores[k], labels.weight
        if mask is not None:
            y, s, w = y[mask[k]], s[mask[k]], None if w is None else w[mask[k]]
        values.append(_unweighted(y, s) if w is None else _weighted(y, s, w))
    return values


def _sortable(scores: NDArray[np.generic]) -> NDArray[np.generic]:
    # numpy sorts float32 several times faster than float16, and the step up is exact.
    return scores.astype(np.float32) if scores.dtype == np.float16 else scores


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
