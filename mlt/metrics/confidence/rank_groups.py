"""The ranking of one class, cut at its positive images: all that average precision depends on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlt.metrics.inputs import ScoredLabels

__all__ = ["RankGroups", "class_groups", "rank_groups"]


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
        >>> groups.group.tolist(), [sizes.tolist() for sizes in groups.sizes]
        ([0, 1, 1], [[1.0, 2.0], [1.0, 1.0]])
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


def class_groups(labels: ScoredLabels, k: int) -> RankGroups | None:
    """The groups of column ``k``; see :func:`rank_groups`.

    Example:
        >>> labels = ScoredLabels(np.array([[True, False]]), np.array([[0.5, 0.5]]))
        >>> class_groups(labels, 1) is None
        True
    """
    known = None if labels.known is None else labels.known[:, k]
    return rank_groups(labels.targets[:, k], labels.scores[:, k], known)
