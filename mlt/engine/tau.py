"""Tau-normalisation of the last layer, and which tau to take.

Kang et al., Decoupling Representation and Classifier for Long-Tailed Recognition, ICLR 2020
(1910.09217), section 4.2. The paper's classifiers are softmax over one label per image. Where each
class has a sigmoid of its own, a positive factor does not change the order of its scores: average
precision per class stays as it is, and what changes is how the classes of an image compare.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mlt.metrics.ranking import ranking_metrics

__all__ = ["TAUS", "choose_tau", "tau_factors"]

TAUS = tuple(k / 10 for k in range(11))
"""The exponents that :func:`choose_tau` tries, from 0 to 1 as in the paper."""


def tau_factors(norms: NDArray[np.floating], tau: float) -> NDArray[np.float64]:
    """What each class's weights are multiplied by so that their norms are to the power 1 - tau.

    The paper divides by the norm to the power tau. Here the geometric mean of the norms is kept,
    because a sigmoid, unlike the largest of several logits, depends on their common scale.

    Args:
        norms: (C,) Euclidean norms of the weights; a class of norm 0 keeps it.
        tau: 0 changes nothing, 1 makes all norms the same.

    Returns:
        (C,) factors.

    Example:
        >>> tau_factors(np.array([1.0, 4.0]), 1.0).tolist()
        [2.0, 0.5]
        >>> tau_factors(np.array([1.0, 4.0]), 0.0).tolist()
        [1.0, 1.0]
    """
    logs = np.log(np.where(norms > 0, norms, 1.0).astype(np.float64))
    center = logs[norms > 0].mean() if (norms > 0).any() else 0.0
    return np.where(norms > 0, np.exp(tau * (center - logs)), 1.0)


def choose_tau(
    logits: NDArray[np.floating],
    targets: NDArray[np.bool_],
    known: NDArray[np.bool_] | None,
    norms: NDArray[np.floating],
    bias: NDArray[np.floating],
    taus: Sequence[float] = TAUS,
) -> float:
    """The exponent with the best label ranking average precision, the smallest of equal ones.

    Average precision per class is the same for all of them; the ranking of the labels within an
    image is not.

    Args:
        logits: (N, C) of validation images, before normalisation.
        targets: (N, C) booleans.
        known: (N, C) booleans; None: all are known.
        norms: (C,) Euclidean norms of the last layer's weights.
        bias: (C,) of the last layer.
        taus: What to choose from.

    Example:
        >>> logits = np.array([[2.0, 1.0], [2.0, 0.1]])
        >>> targets = np.array([[False, True], [True, False]])
        >>> choose_tau(logits, targets, None, np.array([4.0, 1.0]), np.zeros(2))
        0.6
    """
    scores = [
        ranking_metrics(targets, (logits - bias) * tau_factors(norms, tau) + bias, known).lrap
        for tau in taus
    ]
    return taus[int(np.nanargmax(scores))] if not np.isnan(scores).all() else 0.0
