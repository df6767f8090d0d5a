"""Decisions beside the truth, counted by class, by image and over all: what rates are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlt.arrays import check_targets
from mlt.metrics.inputs import check_scores

__all__ = ["Counts", "Decided", "mean"]


@dataclass(frozen=True, eq=False)
class Counts:
    """Labels of M classes (or images), where each has a known positive.

    Attributes:
        right: (M,) labels that are there and were given.
        chosen: (M,) labels that were given.
        present: (M,) labels that are there; above 0.
    """

    right: NDArray[np.float64]
    chosen: NDArray[np.float64]
    present: NDArray[np.float64]

    @property
    def precision(self) -> NDArray[np.float64]:
        """(M,) share of the given labels that are there; 0 where none was given."""
        return np.divide(
            self.right, self.chosen, out=np.zeros(len(self.right)), where=self.chosen > 0
        )

    @property
    def recall(self) -> NDArray[np.float64]:
        """(M,) share of the labels that are there that were given."""
        return self.right / self.present

    def f(self, beta: float = 1.0) -> NDArray[np.float64]:
        """(M,) F-beta: recall counts beta times as much as precision."""
        return (1 + beta**2) * self.right / (beta**2 * self.present + self.chosen)


@dataclass(frozen=True, eq=False)
class Decided:
    """Known labels and decisions of N images and C classes.

    Attributes:
        truth: (N, C) booleans, the labels that are known to be there.
        chosen: (N, C) booleans, the known labels that were given.
        weight: (N,) weights of the images, or None if all are 1.
    """

    truth: NDArray[np.bool_]
    chosen: NDArray[np.bool_]
    weight: NDArray[np.float64] | None

    @classmethod
    def of(
        cls,
        targets: ArrayLike,
        decisions: ArrayLike,
        known: ArrayLike | None,
        sample_weight: ArrayLike | None,
    ) -> Decided:
        """Check the arrays.

        Raises:
            DataError: If shapes differ, a target or decision is neither 0 nor 1, or a weight is
                negative or not finite.
        """
        labels = check_scores(targets, decisions, known, sample_weight)
        chosen, _ = check_targets(labels.scores, labels.known, name="decisions")
        if labels.known is not None:
            chosen = chosen & labels.known
        return cls(labels.positives, chosen, labels.weight)

    @property
    def tested(self) -> NDArray[np.bool_]:
        """(C,) whether a class has a known positive image (of positive weight)."""
        return self._by_class(self.truth) > 0

    @property
    def image_weight(self) -> NDArray[np.float64] | None:
        """(M,) weights of the images in :meth:`by_image`."""
        return None if self.weight is None else self.weight[self.truth.any(axis=1)]

    def by_class(self) -> Counts:
        """Of each class, over the images."""
        return _counts(*map(self._by_class, self._arrays()))

    def by_image(self) -> Counts:
        """Of each image, over the classes."""
        return _counts(*(a.sum(axis=1) for a in self._arrays()))

    def overall(self) -> Counts:
        """Of all together: M is 1, or 0 if no label is there."""
        return _counts(*(self._by_class(a).sum(keepdims=True) for a in self._arrays()))

    def _arrays(self) -> tuple[NDArray[np.bool_], ...]:
        return self.truth & self.chosen, self.chosen, self.truth

    def _by_class(self, labels: NDArray[np.bool_]) -> NDArray[np.float64]:
        return labels.sum(axis=0) if self.weight is None else self.weight @ labels


def mean(values: NDArray[np.float64], weight: NDArray[np.float64] | None = None) -> float:
    """The (weighted) mean; NaN of nothing.

    Example:
        >>> mean(np.array([1.0, 3.0]), np.array([3.0, 1.0])), mean(np.array([]))
        (1.5, nan)
    """
    if not len(values) or (weight is not None and not weight.any()):
        return np.nan
    return float(values.mean() if weight is None else weight @ values / weight.sum())


def _counts(right: NDArray, chosen: NDArray, present: NDArray) -> Counts:
    keep = present > 0
    return Counts(*(a[keep].astype(np.float64) for a in (right, chosen, present)))
