"""Mistakes without a threshold: every class is given to as many images as have it.

So the losses, which put their logits in different places, are held to one rule, and as many labels
are missed as are given wrongly.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mlt.predictions import Predictions
from mlt.report.tables import Column, Table

__all__ = ["Confusion", "confusion", "given_labels", "mistakes", "pair_table"]


@dataclass(frozen=True, eq=False)
class Mistakes:
    """The worst mistakes of one class.

    Attributes:
        missed: Rows of images that have the class but are not among the highest, lowest first.
        alarms: Rows of images that are among them but do not have it, highest first.
        ranks: (N,) the place of each image, from 1; 0 where it is not known.
    """

    missed: NDArray[np.intp]
    alarms: NDArray[np.intp]
    ranks: NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Confusion:
    """Which false alarms go with which true labels.

    Attributes:
        together: (C, C) images that have class b (row) and class a (column).
        alarms: (C, C) false alarms of class b (row) in images that have class a (column).
        positives: (C,) images that have the class.
        num_alarms: (C,) false alarms of the class.
        negatives: (C, C) images known not to have class b (row) that have class a (column).
        num_negatives: (C,) images known not to have the class.
    """

    together: NDArray[np.intp]
    alarms: NDArray[np.intp]
    positives: NDArray[np.intp]
    num_alarms: NDArray[np.intp]
    negatives: NDArray[np.intp]
    num_negatives: NDArray[np.intp]

    @cached_property
    def cooccurrence(self) -> NDArray[np.float64]:
        """(C, C) share of the images of class b that have a; the diagonal is 0."""
        return _shares(self.together, self.positives)

    @cached_property
    def with_alarms(self) -> NDArray[np.float64]:
        """(C, C) share of the false alarms of class b that are in images of a."""
        return _shares(self.alarms, self.num_alarms)

    @cached_property
    def excess(self) -> NDArray[np.float64]:
        """(C, C) false alarms beyond those that images without b would have by their share of a."""
        return self.alarms - self.num_alarms[:, None] * _shares(self.negatives, self.num_negatives)


def mistakes(predictions: Predictions, column: int) -> Mistakes:
    """Return the mistakes of one class, worst first.

    Example:
        >>> truth = np.array([[1], [0], [1], [0]], bool)
        >>> scores = np.array([[0.1], [3.0], [2.0], [1.0]], np.float32)
        >>> p = Predictions(np.arange(4), scores, truth, ("cat",), np.array([2]), 4)
        >>> found = mistakes(p, 0)
        >>> found.missed.tolist(), found.alarms.tolist(), found.ranks.tolist()
        ([0], [1], [4, 1, 2, 3])
    """
    truth = predictions.targets[:, column]
    rows = np.arange(len(truth))
    if predictions.known is not None:
        rows = np.flatnonzero(predictions.known[:, column])
    order = rows[np.argsort(-predictions.log_odds[rows, column], kind="stable")]
    count = np.count_nonzero(truth[rows])
    ranks = np.zeros(len(truth), np.intp)
    ranks[order] = np.arange(1, len(order) + 1)
    top, rest = order[:count], order[count:]
    return Mistakes(rest[truth[rest]][::-1], top[~truth[top]], ranks)


def given_labels(predictions: Predictions) -> NDArray[np.bool_]:
    """(N, C) whether an image is among as many of a class's highest as there are images with it."""
    known = predictions.known
    truth = predictions.targets if known is None else predictions.targets & known
    ranks = np.stack(
        [mistakes(predictions, c).ranks for c in range(truth.shape[1])], axis=1
    )  # 0 where it is not known
    return (ranks >= 1) & (ranks <= truth.sum(axis=0))


def confusion(predictions: Predictions) -> Confusion:
    """Count labels, and false alarms with labels, in pairs."""
    known = predictions.known
    truth = predictions.targets if known is None else predictions.targets & known
    false = ~truth if known is None else ~truth & known
    wrong = np.zeros(truth.shape, bool)
    for c in range(truth.shape[1]):
        wrong[mistakes(predictions, c).alarms, c] = True
    # Products of float32 are exact below 2**24 images and use all that BLAS has.
    labels = truth.astype(np.float32)

    def pairs(rows: NDArray[np.bool_]) -> NDArray[np.intp]:
        return np.rint(rows.astype(np.float32).T @ labels).astype(np.intp)

    return Confusion(
        together=pairs(truth),
        alarms=pairs(wrong),
        positives=truth.sum(axis=0),
        num_alarms=wrong.sum(axis=0),
        negatives=pairs(false),
        num_negatives=false.sum(axis=0),
    )


def pair_table(found: Confusion, class_names: tuple[str, ...], limit: int = 100) -> Table:
    """Return the pairs of classes with the most false alarms beyond chance."""
    excess = found.excess
    order = np.argsort(-excess, axis=None, kind="stable")[:limit]
    rows = []
    for b, a in zip(*np.unravel_index(order, excess.shape)):
        if excess[b, a] <= 0:
            break
        rows.append(
            [class_names[b], class_names[a], int(found.alarms[b, a]), float(excess[b, a]),
             float(found.with_alarms[b, a]), float(found.cooccurrence[b, a])]
        )  # fmt: skip
    columns = [
        Column("given wrongly"),
        Column("in images of"),
        Column("false alarms", "count", "Images of the second class that get the first wrongly"),
        Column("beyond chance", "number", "More than its share of images without the first class"),
        Column("% of alarms", "percent", "Of the false alarms of the first class"),
        Column("% together", "percent", "Of the images that truly have the first class"),
    ]
    return Table("pairs", "False alarms and the true labels they go with", columns, rows)


def _shares(pairs: NDArray[np.intp], totals: NDArray[np.intp]) -> NDArray[np.float64]:
    shares = pairs / np.maximum(totals, 1)[:, None]
    np.fill_diagonal(shares, 0)
    return shares
