"""One number per class from its column: block by block, in threads, in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from mlt.errors import DataError
from mlt.metrics.inputs import ScoredLabels

__all__ = ["OfClass", "per_class", "sortable"]

OfClass = Callable[[NDArray[np.bool_], NDArray[np.generic], NDArray[np.float64] | None], float]
"""A number from the known targets, scores and weights (None: all 1) of one class."""

_BLOCK = 8_000_000
"""Scores that one thread copies at a time: 32 MB in float32."""

_WORTH_A_THREAD = 200_000
"""Labels below which starting threads costs more than it saves."""


def per_class(labels: ScoredLabels, of_class: OfClass, threads: int | None) -> NDArray[np.float64]:
    """Evaluate every class by its own column of known labels.

    Args:
        labels: Targets and scores of N images and C classes.
        of_class: What is evaluated.
        threads: Threads that share the classes. None: one per core, at most 8, or one for few
            labels.

    Returns:
        (C,) values.

    Example:
        >>> from mlt.metrics.inputs import check_scores
        >>> labels = check_scores([[1, 0], [1, 1]], [[0.3, 0.1], [0.7, 0.4]])
        >>> per_class(labels, lambda targets, scores, weight: targets.mean(), threads=1).tolist()
        [1.0, 0.5]
    """
    n, c = labels.targets.shape
    result = np.full(c, np.nan)
    workers = _workers(threads, n * c)
    blocks = list(_blocks(n, c, workers))
    if workers == 1 or len(blocks) < 2:
        for block in blocks:
            result[block] = _of_block(labels, block, of_class)
        return result
    with ThreadPoolExecutor(workers) as pool:
        values = pool.map(lambda block: _of_block(labels, block, of_class), blocks)
        for block, value in zip(blocks, values, strict=True):
            result[block] = value
    return result


def sortable(scores: NDArray[np.generic]) -> NDArray[np.generic]:
    """The scores in a type that sorts fast.

    Example:
        >>> sortable(np.zeros(1, np.float16)).dtype
        dtype('float32')
    """
    # numpy sorts float32 several times faster than float16, and the step up is exact.
    return scores.astype(np.float32) if scores.dtype == np.float16 else scores


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


def _of_block(labels: ScoredLabels, block: slice, of_class: OfClass) -> list[float]:
    truth = np.ascontiguousarray(labels.targets[:, block].T)
    scores = np.ascontiguousarray(sortable(labels.scores[:, block]).T)
    mask = None if labels.known is None else np.ascontiguousarray(labels.known[:, block].T)
    values = []
    for k in range(len(truth)):
        y, s, w = truth[k], scores[k], labels.weight
        if mask is not None:
            y, s, w = y[mask[k]], s[mask[k]], None if w is None else w[mask[k]]
        values.append(of_class(y, s, w))
    return values
