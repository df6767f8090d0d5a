"""Average precision or AUROC of classes and their means with its variance, in one pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlt.metrics.confidence.agreement import no_surer, of_signs
from mlt.metrics.confidence.clusters import Clusters
from mlt.metrics.confidence.influence import (
    ClassInfluence,
    Estimate,
    MeanInfluence,
    class_influence,
    without_own_cluster,
)
from mlt.metrics.confidence.rank_groups import class_groups
from mlt.metrics.inputs import ScoredLabels, check_scores

__all__ = ["Combine", "Estimates", "Groups", "InfluenceOf", "ap_influence", "estimate"]

Groups = Mapping[str, Sequence[int] | NDArray[np.intp]]
"""Class indices of named groups."""

Combine = Callable[[Sequence[ClassInfluence]], ClassInfluence]
"""What is made of several models on one class: their mean, a difference of means."""

InfluenceOf = Callable[[ScoredLabels, int, Clusters | None], ClassInfluence | None]
"""The metric of one class (by its column) and the influences of images or, if given, of clusters;
None where it is undefined."""


def ap_influence(
    labels: ScoredLabels, k: int, clusters: Clusters | None = None
) -> ClassInfluence | None:
    """Average precision of column ``k`` and its influences; None without a known positive.

    Example:
        >>> found = ap_influence(check_scores([[1], [0], [1]], [[3], [2], [1]]), 0)
        >>> round(found.value, 4)
        0.8333
    """
    groups = class_groups(labels, k)
    if groups is None:
        return None
    found = class_influence(groups)
    if clusters is None:
        return found
    unbiased = without_own_cluster(groups, clusters)
    return replace(found.of_clusters(clusters, labels.positives[:, k]), unbiased=unbiased)


@dataclass(frozen=True, eq=False)
class Estimates:
    """What :func:`estimate` found.

    Attributes:
        values: (S, C) average precision (or AUROC) of each model, NaN where undefined.
        per_class: The combination of the models for each class, in column order.
        means: The mean of these over "total" and over each named group.
        columns: The classes in each mean: those of the group that are defined.
    """

    values: NDArray[np.float64]
    per_class: tuple[Estimate, ...]
    means: dict[str, Estimate]
    columns: dict[str, list[int]]

    def model_means(self, name: str) -> NDArray[np.float64]:
        """(S,) mean of each model over a group; NaN if it has no class."""
        columns = self.columns[name]
        if not columns:
            return np.full(len(self.values), np.nan)
        return self.values[:, columns].mean(axis=1)


def estimate(
    targets: ArrayLike,
    models: Sequence[ArrayLike],
    known: ArrayLike | None,
    groups: Groups | None,
    combine: Combine,
    influence_of: InfluenceOf = ap_influence,
    image_groups: ArrayLike | None = None,
    paired: bool = False,
) -> Estimates:
    """Estimate each class and each mean, holding the influences of one class at a time.

    Args:
        targets: (N, C) array of 0 and 1 or booleans.
        models: S times (N, C) scores.
        known: (N, C) booleans. None: all are known.
        groups: Class indices of each group. A class that is undefined is left out of the means.
        combine: What is made of the S models of a class.
        influence_of: The metric.
        image_groups: (N,) names of what the images belong to; None: to nothing.
        paired: Whether the combination is a difference of models on the same images.

    Raises:
        DataError: As for :func:`mlt.metrics.average_precision`, or if there is not one image group
            per image.

    Example:
        >>> models = [[[3], [2], [1]]]
        >>> found = estimate([[1], [0], [1]], models, None, None, lambda models: models[0])
        >>> round(found.means["total"].value, 4), found.columns
        (0.8333, {'total': [0]})
    """
    labels = [check_scores(targets, scores, known) for scores in models]
    c = labels[0].targets.shape[1]
    n = len(labels[0].targets)
    clusters = None if image_groups is None else Clusters.of(image_groups, n)
    members = {"total": np.ones(c, bool)}
    for name, indices in (groups or {}).items():
        members[name] = np.isin(np.arange(c), indices)
    values = np.full((len(models), c), np.nan)
    per_class = []
    sums = {name: MeanInfluence() for name in members}
    signs = {name: MeanInfluence() for name in members}
    columns: dict[str, list[int]] = {name: [] for name in members}
    for k in range(c):
        found = [influence_of(of_model, k, clusters) for of_model in labels]
        influences = [influence for influence in found if influence is not None]
        if not influences:
            per_class.append(MeanInfluence().estimate())
            continue
        values[:, k] = [influence.value for influence in influences]
        combined = combine(influences)
        agreed = [of_signs(combined, labels[0].positives[:, k], clusters)] if paired else []
        per_class.append(_estimate(MeanInfluence.of([combined]), MeanInfluence.of(agreed), n))
        for name, mean in sums.items():
            if members[name][k]:
                columns[name].append(k)
                mean.add(combined)
                for sign in agreed:
                    signs[name].add(sign)
    means = {name: _estimate(mean, signs[name], n) for name, mean in sums.items()}
    return Estimates(values, tuple(per_class), means, columns)


def _estimate(mean: MeanInfluence, signs: MeanInfluence, images: int) -> Estimate:
    """The mean; of differences, no surer than their signs."""
    return replace(no_surer(mean.estimate(), signs.estimate()), images=images)
