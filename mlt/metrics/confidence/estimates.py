"""One pass over the classes of several models: their values, and variances of differences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlt.metrics.confidence.influence import ClassInfluence, MeanInfluence, class_influence
from mlt.metrics.confidence.rank_groups import class_groups
from mlt.metrics.inputs import check_scores

__all__ = ["Gathered", "Group", "Groups", "gather"]

Groups = Mapping[str, Sequence[int] | NDArray[np.intp]]
"""Class indices of named groups."""


@dataclass
class Group:
    """A group of classes.

    Attributes:
        columns: Its classes that are defined.
        mean: The mean over them.
    """

    columns: list[int] = field(default_factory=list)
    mean: MeanInfluence = field(default_factory=MeanInfluence)


@dataclass(frozen=True, eq=False)
class Gathered:
    """What :func:`gather` found.

    Attributes:
        values: (S, C) average precision of each model, NaN where undefined.
        variances: Of each class, the variance of the combination of models over test sets, and its
            degrees of freedom; NaN where undefined.
        positives: (C,) positive images of each class.
        groups: "total" and each named group.
    """

    values: NDArray[np.float64]
    variances: list[tuple[float, float]]
    positives: NDArray[np.intp]
    groups: dict[str, Group]


def gather(
    targets: ArrayLike,
    models: Sequence[ArrayLike],
    known: ArrayLike | None,
    groups: Groups | None,
    combine: Callable[[Sequence[ClassInfluence]], ClassInfluence],
) -> Gathered:
    """Expand every class of every model, holding the influences of one class at a time.

    Args:
        targets: (N, C) array of 0 and 1 or booleans.
        models: S times (N, C) scores.
        known: (N, C) booleans. None: all are known.
        groups: Class indices of each group.
        combine: What is made of the S expansions of a class: a mean, a difference.

    Raises:
        DataError: As for :func:`mlt.metrics.average_precision`.
    """
    rankings = [check_scores(targets, scores, known) for scores in models]
    c = rankings[0].targets.shape[1]
    members = {"total": np.ones(c, bool)}
    for name, indices in (groups or {}).items():
        members[name] = np.isin(np.arange(c), indices)
    result = Gathered(
        values=np.full((len(models), c), np.nan),
        variances=[],
        positives=np.zeros(c, np.intp),
        groups={name: Group() for name in members},
    )
    for k in range(c):
        cuts = [class_groups(ranking, k) for ranking in rankings]
        expansions = [class_influence(cut) for cut in cuts if cut is not None]
        if not expansions:
            result.variances.append((np.nan, np.nan))
            continue
        combined = combine(expansions)
        result.values[:, k] = [expansion.value for expansion in expansions]
        result.variances.append(MeanInfluence.of([combined]).variance())
        result.positives[k] = combined.positives
        for name, group in result.groups.items():
            if members[name][k]:
                group.columns.append(k)
                group.mean.add(combined)
    return result
