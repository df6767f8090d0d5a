"""The influence of each image on recall and precision of decisions, where images have one label.

The scores that these functions take are decisions, 1 where a label was given and 0 elsewhere.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlt.metrics.confidence.clusters import Clusters
from mlt.metrics.confidence.influence import ClassInfluence
from mlt.metrics.inputs import ScoredLabels

__all__ = ["precision_influence", "recall_influence"]


def recall_influence(
    labels: ScoredLabels, k: int, clusters: Clusters | None = None
) -> ClassInfluence | None:
    """Recall of column ``k`` and its influences; None without a known positive.

    Args:
        labels: Targets and decisions of N images and C classes.
        k: The column.
        clusters: Which images belong together; None: each is one of its own.

    Example:
        >>> from mlt.metrics.inputs import check_scores
        >>> found = recall_influence(check_scores([[1], [1], [0]], [[1], [0], [1]]), 0)
        >>> found.value, found.influence.tolist()
        (0.5, [0.25, -0.25, 0.0])
    """
    positive = labels.positives[:, k]
    return _share(labels.scores[:, k].astype(bool), positive, clusters) if positive.any() else None


def precision_influence(
    labels: ScoredLabels, k: int, clusters: Clusters | None = None
) -> ClassInfluence | None:
    """Precision of column ``k`` and its influences; None without a known positive.

    A class that is never given has precision 0, as it has in macro precision. How much that would
    vary is not known: it counts as if it had been given once.

    Args:
        labels: Targets and decisions of N images and C classes.
        k: The column.
        clusters: Which images belong together; None: each is one of its own.

    Example:
        >>> from mlt.metrics.inputs import check_scores
        >>> found = precision_influence(check_scores([[1], [1], [0]], [[1], [0], [1]]), 0)
        >>> found.value, found.influence.tolist()
        (0.5, [0.25, 0.0, -0.25])
    """
    positive = labels.positives[:, k]
    given = labels.scores[:, k].astype(bool)
    if not positive.any():
        return None
    if given.any():
        return _share(positive, given, clusters)
    return ClassInfluence(0.0, 0.0, np.zeros(clusters.size if clusters else len(given)), 1)


def _share(
    right: NDArray[np.bool_], among: NDArray[np.bool_], clusters: Clusters | None
) -> ClassInfluence:
    """The share of some images that are right, and its derivative by the weight of each."""
    count = int(among.sum())
    value = float(right[among].mean())
    influence = np.where(among, right - value, 0.0) / count
    found = ClassInfluence(value, value, influence, count)
    return found if clusters is None else found.of_clusters(clusters, among)
