"""Differences on which images agree: how sure a sign test of them would be."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from mlt.metrics.confidence.clusters import Clusters
from mlt.metrics.confidence.influence import ClassInfluence, Estimate

__all__ = ["ROUNDING", "no_surer", "of_signs"]

ROUNDING = 1e-12
"""Differences up to this are none."""

_SMALLEST = 1e-100
"""Student's quantiles are exact for tails down to this."""


def of_signs(
    difference: ClassInfluence, positives: NDArray[np.bool_], clusters: Clusters | None
) -> ClassInfluence:
    """A difference with the influences that its images would have if they all showed it alike.

    Such images have no spread among them, and two of them would be proof. But if neither model were
    better, n images would all speak for the same one with probability 2 / 2^n (McNemar,
    Psychometrika 12, 1947). With these influences Student's test has that p-value. A single image
    counts as two here, since one has no test.

    Args:
        difference: Of two models on one class.
        positives: (N,) booleans, the images of the class.
        clusters: Which images belong together.

    Example:
        >>> two_images = ClassInfluence(1.0, 1.0, np.zeros(3), positives=2)
        >>> found = of_signs(two_images, np.array([True, True, False]), None)
        >>> found.influence.round(3).tolist()
        [0.5, 0.5, 0.0]
    """
    n = max(difference.positives, 2.0)
    value = difference.value if abs(difference.value) > ROUNDING else 0.0
    quantile = -float(stdtrit(n - 1, max(2.0**-n, _SMALLEST)))
    own = positives.astype(np.float64)
    if clusters is not None:
        own = clusters.sums(own)
    size = value / quantile * math.sqrt((n - 1) / n) / float(np.linalg.norm(own))
    return replace(difference, influence=own * size, positives=n)


def no_surer(estimate: Estimate, signs: Estimate) -> Estimate:
    """An estimate of a difference, with the variance of the signs alone if it has less.

    Example:
        >>> sure = Estimate(1.0, 1.0, 0.0, 1.0, positives=2.0, steps=2.0, images=9)
        >>> no_surer(sure, replace(sure, variance=1.0)).variance
        1.0
    """
    if signs.variance > estimate.variance:  # not where it is not known
        return replace(estimate, variance=signs.variance, freedom=signs.freedom)
    return estimate
