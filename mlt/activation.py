"""From logits to probabilities: a sigmoid per class, or one softmax over the classes."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlt.arrays import as_array

__all__ = ["Activation", "log_odds", "log_probabilities"]

Activation: TypeAlias = Literal["sigmoid", "softmax"]
"""How logits become probabilities: each class by itself, or one class per row."""

_CELLS = 4_000_000


def log_odds(logits: ArrayLike, activation: Activation) -> NDArray[Any]:
    """Log odds of each class, log(p / (1 - p)): what a sigmoid turns into its probability.

    For a sigmoid these are the logits themselves. For a softmax they are z_c - log(sum of exp(z_j)
    over the others), which keep the order of probabilities that would round to 0 or 1.

    Args:
        logits: (N, C); for a softmax C is at least 2.
        activation: How the logits become probabilities.

    Returns:
        (N, C) in the type of the logits; of a softmax at least float32.

    Example:
        >>> log_odds([[0.5, -1.0]], "sigmoid").tolist()
        [[0.5, -1.0]]
        >>> log_odds([[0.5, -1.0]], "softmax").tolist()
        [[1.5, -1.5]]
    """
    values = as_array(logits)
    if activation == "sigmoid":
        return values
    result = np.empty(values.shape, np.result_type(values.dtype, np.float32))
    step = max(_CELLS // max(values.shape[1], 1), 1)
    for start in range(0, len(values), step):
        rows = slice(start, start + step)
        result[rows] = _softmax_log_odds(values[rows].astype(np.float64))
    return result


def _softmax_log_odds(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log odds of a softmax; the largest class apart, whose odds a difference would round."""
    if not len(z):
        return z
    rows, first = np.arange(len(z)), z.argmax(axis=1)
    top = z[rows, first]
    powers = np.exp(z - top[:, None])
    total = powers.sum(axis=1, keepdims=True)
    # Of all but `first` at least 1: the largest class is among the others.
    result = z - top[:, None] - np.log(np.maximum(total - powers, 0.5))
    others = z.copy()
    others[rows, first] = -np.inf
    result[rows, first] = top - np.logaddexp.reduce(others, axis=1)
    return result


def log_probabilities(logits: ArrayLike) -> NDArray[np.float64]:
    """Logarithms of the probabilities of a softmax.

    Args:
        logits: (N, C).

    Returns:
        (N, C), at most 0.

    Example:
        >>> np.exp(log_probabilities([[1.0, 1.0]])).round(3).tolist()
        [[0.5, 0.5]]
    """
    values = as_array(logits).astype(np.float64, copy=False)
    return values - np.logaddexp.reduce(values, axis=-1, keepdims=True)
