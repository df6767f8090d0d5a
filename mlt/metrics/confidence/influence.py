"""The influence of each image on an average precision or AUROC, and how much chance raises it.

Both come from one look at the ranking, without resampling. See ``docs/intervals.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mlt.metrics.confidence.clusters import Clusters
from mlt.metrics.confidence.rank_groups import RankGroups

__all__ = [
    "ClassInfluence",
    "Estimate",
    "MeanInfluence",
    "class_influence",
    "mean_over_models",
    "without_own_cluster",
]


@dataclass(frozen=True, eq=False)
class ClassInfluence:
    """Average precision of one class as a function of the weights of the N images, near weight 1.

    Or its AUROC, which has no bias: see ``auroc_influence``.

    Attributes:
        value: The average precision.
        unbiased: The same with each positive image left out of the precision at its own rank. A
            positive always counts itself there, which raises the average precision of n positives
            above that of the population by something of the order of 1 / n; without itself, it does
            not. At the very top of the ranking, where no other image is left, precision counts as
            1.
        influence: (N,) derivative of the value by the weight of each image; their sum is 0 and the
            sum of their squares is the variance of the value over test sets (the infinitesimal
            jackknife). After :meth:`of_clusters`: (G,) by the weight of each group of images.
        positives: n, the positive images; of an AUROC the negative ones if these are fewer; of a
            precision the images that the class was chosen for. After :meth:`of_clusters`: the
            groups that these are worth.
        steps: In how many steps the value goes from 0 to 1; None: in n.
    """

    value: float
    unbiased: float
    influence: NDArray[np.float64]
    positives: float
    steps: float | None = None

    def of_clusters(self, clusters: Clusters, *counted: NDArray[np.bool_]) -> ClassInfluence:
        """The same with groups of images in place of images as what a test set is drawn of.

        The weight of a group is that of all its images, so that its influence is the sum of theirs
        and the variance the cluster-robust one (Liang and Zeger, Biometrika 73, 1986).

        Args:
            clusters: Which images belong together.
            counted: (N,) booleans: the images that ``positives`` counts. Of several such kinds
                the one that is worth the fewest groups decides.
        """
        return ClassInfluence(
            self.value,
            self.unbiased,
            clusters.sums(self.influence),
            min(clusters.effective(images) for images in counted),
            self.steps or int(self.positives),
        )

    def minus(self, other: ClassInfluence) -> ClassInfluence:
        """The difference of two models on one class of the same images."""
        return ClassInfluence(
            self.value - other.value,
            self.unbiased - other.unbiased,
            self.influence - other.influence,
            *_sample_sizes([self, other]),
        )


def mean_over_models(models: Sequence[ClassInfluence]) -> ClassInfluence:
    """The mean of several models on one class of the same images.

    Example:
        >>> first = ClassInfluence(0.5, 0.5, np.array([0.1, -0.1]), positives=1)
        >>> mean_over_models([first, ClassInfluence(1.0, 1.0, np.zeros(2), positives=1)]).value
        0.75
    """
    return ClassInfluence(
        float(np.mean([m.value for m in models])),
        float(np.mean([m.unbiased for m in models])),
        np.mean([m.influence for m in models], axis=0),
        *_sample_sizes(models),
    )


def _sample_sizes(models: Sequence[ClassInfluence]) -> tuple[float, float | None]:
    """Positives and steps of several models: their means, since precision has as many as it chose.

    Those of the other metrics are of the images, and so the same in all models.
    """
    steps = [m.steps for m in models if m.steps is not None]
    return float(np.mean([m.positives for m in models])), float(np.mean(steps)) if steps else None


@dataclass(frozen=True)
class Estimate:
    """A mean of average precisions, and how far it may be from that of other test images.

    Attributes:
        value: The mean over the classes; NaN without a class.
        unbiased: The same without self-counting.
        variance: Of the mean over test sets; NaN if no class has several positives.
        freedom: Degrees of freedom of the variance.
        positives: Positives that one class would need for the same spread of its average precision.
        steps: In how many steps the mean goes from 0 to 1, roughly.
        images: N.
    """

    value: float
    unbiased: float
    variance: float
    freedom: float
    positives: float
    steps: float
    images: int


@dataclass(eq=False)
class MeanInfluence:
    """The mean over some classes, summed class by class so that no (N, C) array is needed.

    Attributes:
        values: The value of each class.
        unbiased: The same without self-counting.
        positives: Positive images of each class, or the groups that they are worth.
        steps: Steps of the value of each class.
        squares: Sum of the squared influences of each class.
        influence: (N,), or (G,) of groups, sum over the classes of several positives; None before
            the first.
    """

    values: list[float] = field(default_factory=list)
    unbiased: list[float] = field(default_factory=list)
    positives: list[float] = field(default_factory=list)
    steps: list[float] = field(default_factory=list)
    squares: list[float] = field(default_factory=list)
    influence: NDArray[np.float64] | None = None

    @classmethod
    def of(cls, classes: Iterable[ClassInfluence]) -> MeanInfluence:
        """The mean over these classes."""
        mean = cls()
        for expansion in classes:
            mean.add(expansion)
        return mean

    def __len__(self) -> int:
        return len(self.values)

    def add(self, expansion: ClassInfluence) -> None:
        """Take one more class into the mean."""
        self.values.append(expansion.value)
        self.unbiased.append(expansion.unbiased)
        self.positives.append(expansion.positives)
        self.steps.append(expansion.steps or expansion.positives)
        self.squares.append(float(np.sum(expansion.influence**2)))
        if self.influence is None:
            self.influence = np.zeros(len(expansion.influence))
        if expansion.positives >= 2:
            self.influence += expansion.influence

    def estimate(self) -> Estimate:
        """The mean and its variance, which need no array of the images."""
        if self.influence is None:
            return Estimate(np.nan, np.nan, np.nan, np.nan, 0.0, 0.0, 0)
        variance, freedom = self.variance()
        return Estimate(
            value=float(np.mean(self.values)),
            unbiased=sum(self.unbiased) / len(self),
            variance=variance,
            freedom=freedom,
            positives=float(len(self) ** 2 / np.sum(1 / np.array(self.positives))),
            steps=float(len(self) ** 2 / np.sum(1 / np.array(self.steps))),
            images=len(self.influence),
        )

    def variance(self) -> tuple[float, float]:
        """Variance of the mean over test sets, and its degrees of freedom.

        The infinitesimal jackknife, with the factor n / (n - 1) for the small sample that the
        positives of a class are. A class of a single positive (or of positives that are worth less
        than two groups) says nothing about its own spread; it is given the average spread that a
        positive of the other classes has. The degrees of freedom are those of Welch and
        Satterthwaite, n - 1 for one class.

        Returns:
            Both, NaN if no class has several positives.
        """
        n, squares = np.array(self.positives), np.array(self.squares)
        several = n >= 2
        if self.influence is None or not several.any():
            return np.nan, np.nan
        scaled = squares[several] * n[several] / (n[several] - 1)
        singles = np.count_nonzero(~several)
        of_single = float(np.mean(n[several] * scaled))
        total = float(squares[several].sum())
        # The squared sum over images carries what the classes of one image have in common.
        common = float(np.sum(self.influence**2)) * (scaled.sum() / total if total > 0 else 1.0)
        variance = (common + singles * of_single) / len(self) ** 2
        parts = np.sum(scaled**2 / (n[several] - 1)) + singles * of_single**2
        if parts == 0:
            return variance, float(np.sum(n[several] - 1))
        return variance, float((scaled.sum() + singles * of_single) ** 2 / parts)


def class_influence(groups: RankGroups) -> ClassInfluence:
    """Derivatives of the average precision of one class by the weights of the images.

    With T positives and A images scored at least as high as a positive, average precision is the
    mean of T / A over the n positives. An image takes part in the T and A of every positive that is
    scored no higher, and a positive is a term of its own.

    Args:
        groups: The ranking of the class.

    Returns:
        Value, value without self-counting, and the influence of each image.

    Example:
        >>> from mlt.metrics.confidence.rank_groups import rank_groups
        >>> groups = rank_groups(np.array([True, False, True]), np.array([3, 2, 1]))
        >>> expansion = class_influence(groups)
        >>> round(expansion.value, 4), expansion.unbiased, expansion.influence.round(4).tolist()
        (0.8333, 0.75, [0.1389, -0.1111, -0.0278])
    """
    sizes, hits = groups.sizes
    images, found = np.cumsum(sizes), np.cumsum(hits)
    n = found[-1]
    precision = found / images
    value = float(hits @ precision / n)
    others = np.divide(found - 1, images - 1, out=np.ones_like(images), where=images > 1)
    # Sums over the positives that an image stands above, its own group included.
    gain = np.cumsum((hits / images)[::-1])[::-1]
    loss = np.cumsum((hits * precision / images)[::-1])[::-1]
    of_positive = (precision + gain - loss - value) / n
    of_negative = -loss / n
    influence = np.where(
        groups.targets,
        np.append(of_positive, 0.0)[groups.group],
        np.append(of_negative, 0.0)[groups.group],
    )
    return ClassInfluence(value, float(hits @ others / n), influence, int(n))


def without_own_cluster(groups: RankGroups, clusters: Clusters) -> float:
    """Average precision with the images of its own cluster left out at the rank of each positive.

    The other images of a patient who has the class mostly have it too, and similar scores: they
    raise the precision at each other's rank as a positive does at its own.

    Args:
        groups: The ranking of the class.
        clusters: Which images belong together.

    Example:
        >>> from mlt.metrics.confidence.rank_groups import rank_groups
        >>> groups = rank_groups(np.array([True, True, False, True]), np.array([4, 3, 2, 1]))
        >>> round(without_own_cluster(groups, Clusters.of(["a", "b", "c", "b"], 4)), 4)
        0.8333
    """
    sizes, hits = groups.sizes
    rank, step = groups.group[groups.targets], groups.size + 1
    code = clusters.codes[groups.targets] * step

    def own(chosen: NDArray[np.bool_]) -> NDArray[np.intp]:
        """Of each positive the chosen images of its cluster that are scored no lower."""
        keys = np.sort(clusters.codes[chosen] * step + groups.group[chosen])
        return np.searchsorted(keys, code + rank, "right") - np.searchsorted(keys, code, "left")

    images = np.cumsum(sizes)[rank] - own(groups.group < groups.size)
    found = np.cumsum(hits)[rank] - own(groups.targets)
    return float(np.mean(np.divide(found, images, out=np.ones_like(images), where=images > 0)))
