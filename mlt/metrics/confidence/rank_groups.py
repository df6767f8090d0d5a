"""Average precision of a class under many resamples of the images at once.

A resample is a count an image: how often it was drawn. Average precision needs these counts only
summed between one positive and the next in the ranking, so the ranking is cut there once, as a
sparse 0/1 matrix of (groups, images), and one product with the (images, resamples) counts replaces
a sort a resample.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from mlt.errors import DataError
from mlt.metrics.inputs import ScoredLabels, check_scores

__all__ = [
    "RankGroups",
    "bootstrap_average_precision",
    "class_groups",
    "fill_vanished",
    "rank_groups",
]

_CELLS = 2**21
"""Images times resamples that one thread holds at a time: 8 MB of counts."""


@dataclass(frozen=True, eq=False)
class RankGroups:
    """The ranking of one class, cut at its positives: G groups, the highest scores first.

    Group g holds the images scored at least as high as its positives, which share one score, and
    lower than those of group g - 1. Images below the last positive are in no group, and neither are
    those whose label is not known; they do not matter.

    Attributes:
        group: (N,) the group of each image, G for none.
        targets: (N,) booleans, the known positives.
        size: G, the number of groups.
    """

    group: NDArray[np.intp]
    targets: NDArray[np.bool_]
    size: int

    @property
    def sizes(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(G,) images and (G,) positives of each group."""
        images = np.bincount(self.group, minlength=self.size + 1)[: self.size]
        positives = np.bincount(self.group[self.targets], minlength=self.size)
        return images.astype(np.float64), positives.astype(np.float64)

    @cached_property
    def images(self) -> csr_array:
        """(G, N) float32 of 0 and 1, the images of each group."""
        return _membership(self.group, self.group < self.size, self.size)

    @cached_property
    def positives(self) -> csr_array:
        """The same of the positive images alone."""
        return _membership(self.group, self.targets, self.size)

    def prepare(self) -> None:
        """Build both matrices now, before threads share them."""
        _ = self.images, self.positives

    def average_precision(self, counts: NDArray[np.float32]) -> NDArray[np.float64]:
        """Average precision when image i counts ``counts[i, r]`` times, for every r.

        Args:
            counts: (N, R) float32, not negative.

        Returns:
            (R,) values, NaN where no positive image has a positive count.
        """
        hits = (self.positives @ counts).astype(np.float64)
        seen = _running_sum((self.images @ counts).astype(np.float64))
        found = _running_sum(hits.copy())
        total = found[-1].copy()
        # Nothing seen means nothing hit either, and the term is 0 whatever it is divided by.
        precision = np.divide(found, seen, out=found, where=seen > 0)
        result = np.full(counts.shape[1], np.nan)
        np.divide(np.einsum("gr,gr->r", hits, precision), total, out=result, where=total > 0)
        return result


def rank_groups(
    targets: NDArray[np.bool_],
    scores: NDArray[np.generic],
    known: NDArray[np.bool_] | None = None,
) -> RankGroups | None:
    """Cut the ranking of one class at its positives.

    Args:
        targets: (N,) booleans.
        scores: (N,) without NaN.
        known: (N,) booleans. None: all are known.

    Returns:
        The groups, or None if the class has no known positive.

    Example:
        >>> groups = rank_groups(np.array([True, False, True]), np.array([3, 2, 1]))
        >>> groups.average_precision(np.array([[1, 0], [1, 1], [1, 2]], np.float32))
        array([0.83333333, 0.66666667])
    """
    positive = targets if known is None else targets & known
    levels = np.unique(scores[positive])
    size = len(levels)
    if not size:
        return None
    group = size - np.searchsorted(levels, scores, side="right")
    if known is not None:
        group = np.where(known, group, size)
    return RankGroups(group, positive, size)


def bootstrap_average_precision(
    targets: ArrayLike,
    scores: ArrayLike,
    known: ArrayLike | None = None,
    *,
    resamples: int = 1000,
    seed: int = 0,
    threads: int | None = None,
) -> NDArray[np.float64]:
    """Average precision of each class in resamples of the images, drawn with replacement.

    All classes see the same resamples, so that the mean over classes can be taken within each. The
    resamples depend on ``seed`` and N alone: two models on the same images see the same ones, and
    their difference is a paired bootstrap.

    Args:
        targets: (N, C) array of 0 and 1 or booleans.
        scores: (N, C) array, higher is more likely.
        known: (N, C) booleans. None: all are known.
        resamples: R, how many.
        seed: Of the drawing.
        threads: Threads that share the resamples. None: one a core, at most 8. The result does not
            depend on it.

    Returns:
        (R, C) values, NaN where a class vanished: no positive image of it was drawn.

    Raises:
        DataError: As for :func:`mlt.metrics.average_precision`, or if ``resamples`` is not positive
            or there is no image.

    Example:
        >>> draws = bootstrap_average_precision([[1], [0], [1]], [[3], [2], [1]], resamples=500)
        >>> draws.shape, round(float(np.isnan(draws).mean()), 1)
        ((500, 1), 0.0)
    """
    ranking = check_scores(targets, scores, known)
    n, c = ranking.targets.shape
    if resamples < 1 or n < 1:
        raise DataError(f"cannot draw {resamples} resamples of {n} images; both must be positive")
    classes = [class_groups(ranking, k) for k in range(c)]
    for groups in classes:
        if groups is not None:
            groups.prepare()
    result = np.full((resamples, c), np.nan)

    def fill(number_and_rows: tuple[int, slice]) -> None:
        number, rows = number_and_rows
        rng = np.random.default_rng([seed, number])
        counts = _draw(n, rows.stop - rows.start, rng)
        for k, groups in enumerate(classes):
            if groups is not None:
                result[rows, k] = groups.average_precision(counts)

    with ThreadPoolExecutor(threads or min(os.cpu_count() or 1, 8)) as pool:
        list(pool.map(fill, enumerate(_chunks(n, resamples))))
    return result


def fill_vanished(draws: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give a class that vanished from a resample its value in the next resample that has it.

    A class with n positives vanishes from about exp(-n) of the resamples: 37 % with one positive,
    5 % with three. Leaving it out there would let the mean jump with the set of classes in it. With
    this rule the values of each class are those of the bootstrap given that it does not vanish.

    Args:
        draws: (R, C) values, NaN where a class vanished.

    Returns:
        (R, C) values without NaN but for classes that have none at all.

    Example:
        >>> fill_vanished(np.array([[0.1, np.nan], [np.nan, np.nan], [0.3, np.nan]])).tolist()
        [[0.1, nan], [0.3, nan], [0.3, nan]]
    """
    filled = draws.copy()
    for column in filled.T:
        there = np.flatnonzero(~np.isnan(column))
        if 0 < len(there) < len(column):
            following = np.searchsorted(there, np.arange(len(column))) % len(there)
            column[:] = column[there[following]]
    return filled


def class_groups(ranking: ScoredLabels, k: int) -> RankGroups | None:
    """The groups of column ``k``; see :func:`rank_groups`."""
    known = None if ranking.known is None else ranking.known[:, k]
    return rank_groups(ranking.targets[:, k], ranking.scores[:, k], known)


def _membership(group: NDArray[np.intp], members: NDArray[np.bool_], size: int) -> csr_array:
    """(size, N) float32 with a 1 where a member image is in a group."""
    rows = np.flatnonzero(members)
    order = rows[np.argsort(group[rows])].astype(np.int32)
    starts = np.zeros(size + 1, np.int32)
    np.cumsum(np.bincount(group[rows], minlength=size), out=starts[1:])
    return csr_array((np.ones(len(order), np.float32), order, starts), shape=(size, len(group)))


def _running_sum(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """``np.cumsum(axis=0)`` in place, ten times faster for wide rows."""
    for above, row in itertools.pairwise(rows):
        row += above
    return rows


def _chunks(n: int, resamples: int) -> Iterator[slice]:
    width = min(max(_CELLS // n, 16), 256)
    return (slice(i, min(i + width, resamples)) for i in range(0, resamples, width))


def _draw(n: int, resamples: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """(n, resamples) how often each image is drawn when n are drawn with replacement."""
    counts = np.empty((resamples, n), np.float32)
    for row in counts:
        row[:] = np.bincount(rng.integers(0, n, n), minlength=n)
    return np.ascontiguousarray(counts.T)
