"""The influence of each image on the AUROC of one class: the components of DeLong et al. (1988)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlt.metrics.confidence.clusters import Clusters
from mlt.metrics.confidence.influence import ClassInfluence
from mlt.metrics.inputs import ScoredLabels

__all__ = ["auroc_influence"]


def auroc_influence(
    labels: ScoredLabels, k: int, clusters: Clusters | None = None
) -> ClassInfluence | None:
    """AUROC of column ``k``, and its derivative by the weight of each image.

    A positive image moves it by how far its own share of negatives that are scored lower is from
    the AUROC, over the number of positives; a negative one likewise. The sum of their squares is
    the variance of DeLong, DeLong and Clarke-Pearson (Biometrics 44, 1988) but for the factors
    n / (n - 1), which are added later. An AUROC is a mean over pairs and has no bias.

    Args:
        labels: Targets and scores of N images and C classes.
        k: The column.
        clusters: Which images belong together; None: each is one of its own.

    Returns:
        The AUROC and its influences; None without a known positive or without a known negative.

    Example:
        >>> from mlt.metrics.inputs import check_scores
        >>> found = auroc_influence(check_scores([[1], [0], [1]], [[3], [2], [1]]), 0)
        >>> found.value, found.influence.tolist()
        (0.5, [0.25, 0.0, -0.25])
    """
    positive = labels.positives[:, k]
    negative = ~positive if labels.known is None else labels.known[:, k] & ~positive
    m, n = int(positive.sum()), int(negative.sum())
    if not m or not n:
        return None
    scores = labels.scores[:, k]
    won = _share_below(scores[negative], scores[positive])
    lost = 1 - _share_below(scores[positive], scores[negative])
    value = float(won.mean())
    influence = np.zeros(len(scores))
    influence[positive] = (won - value) / m
    influence[negative] = (lost - value) / n
    found = ClassInfluence(value, value, influence, positives=min(m, n), steps=m * n)
    return found if clusters is None else found.of_clusters(clusters, positive, negative)


def _share_below(others: NDArray[np.generic], scores: NDArray[np.generic]) -> NDArray[np.float64]:
    """For each score the share of the others that are lower; those with the same count one half."""
    in_order = np.sort(others)
    twice = np.searchsorted(in_order, scores, "left") + np.searchsorted(in_order, scores, "right")
    return twice / (2 * len(others))
