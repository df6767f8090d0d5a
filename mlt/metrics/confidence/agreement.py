"""Differences of a class: no surer than a sign test of its images."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from mlt.metrics.confidence.clusters import Clusters
from mlt.metrics.confidence.influence import ClassInfluence

__all__ = ["ROUNDING", "no_surer_than_signs"]

ROUNDING = 1e-12
"""Differences up to this are none."""

_SMALLEST = 1e-100
"""Student's quantiles are exact for tails down to this."""


def no_surer_than_signs(
    difference: ClassInfluence, positives: NDArray[np.bool_], clusters: Clusters | None
) -> ClassInfluence:
    """The same, with the spread of a sign test if the images of the class show less.

    Images that all differ alike have no spread among them, and two of them would be proof. But if
    neither model were better, n images would all speak for the same one with probability 2 / 2^n
    (McNemar, Psychometrika 12, 1947). Where Student's test of the class would have a smaller
    p-value, the images of the class get the influences by which it has this one. As influences of
    images they also count what classes share.

    Args:
        difference: Of two models on one class.
        positives: (N,) booleans, the images of the class.
        clusters: Which images belong together.

    Example:
        >>> two_images = ClassInfluence(1.0, 1.0, np.zeros(3), positives=2)
        >>> found = no_surer_than_signs(two_images, np.array([True, True, False]), None)
        >>> found.influence.round(3).tolist()
        [0.5, 0.5, 0.0]
    """
    n, value = difference.positives, abs(difference.value)
    if n < 2 or value <= ROUNDING:
        return difference
    quantile = -float(stdtrit(n - 1, max(2.0**-n, _SMALLEST)))
    least = value / quantile * math.sqrt((n - 1) / n)
    if np.linalg.norm(difference.influence) >= least:
        return difference
    own = positives.astype(np.float64)
    if clusters is not None:
        own = clusters.sums(own)
    size = math.copysign(least, difference.value) / np.linalg.norm(own)
    return replace(difference, influence=own * size)
