"""Arrays, lists and tensors as numpy arrays, without importing the library they come from."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlt.errors import DataError

__all__ = ["as_array", "check_targets"]

_ROWS = 4096  # images looked at together, so that a check needs no second array of (N, C)


def as_array(values: ArrayLike) -> NDArray[Any]:
    """A numpy array of the values: of a list, an array, or a tensor on any device.

    A PyTorch tensor is detached from its graph and copied to the CPU if it is elsewhere; a type
    that numpy does not have (bfloat16) becomes float32, which holds each of its values exactly.

    Args:
        values: Anything that numpy takes, or a tensor.

    Example:
        >>> as_array([[1, 2]]).shape
        (1, 2)
    """
    if not hasattr(values, "detach"):
        return np.asarray(values)
    tensor: Any = values.detach().cpu()
    try:
        return np.asarray(tensor)
    except TypeError:
        return np.asarray(tensor.float())


def check_targets(
    targets: ArrayLike, known: ArrayLike | None = None, *, name: str = "targets"
) -> tuple[NDArray[np.bool_], NDArray[np.bool_] | None]:
    """Targets and mask as booleans.

    Args:
        targets: (N, C) of 0 and 1 or booleans; anything where ``known`` is False.
        known: (N, C) booleans. None: all are known.
        name: What the targets are called in messages.

    Returns:
        The targets and the mask; the mask is None where none was given.

    Raises:
        DataError: If the shapes differ or a known target is neither 0 nor 1.

    Example:
        >>> check_targets([[1, -1]], known=[[True, False]])
        (array([[ True, False]]), array([[ True, False]]))
    """
    truth = as_array(targets)
    mask = None if known is None else as_array(known).astype(bool, copy=False)
    if truth.ndim != 2:
        raise DataError(f"{name} must be (N, C), one row per image; got {truth.shape}")
    if mask is not None and mask.shape != truth.shape:
        raise DataError(f"known must be {truth.shape} like the {name}; got {mask.shape}")
    if truth.dtype == bool:
        return truth, mask
    result = np.empty(truth.shape, bool)
    for start in range(0, len(truth), _ROWS):
        rows = slice(start, start + _ROWS)
        part = truth[rows]
        np.equal(part, 1, out=result[rows])
        wrong = ~result[rows] & (part != 0)
        if mask is not None:
            wrong &= mask[rows]
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            raise DataError(
                f"{name} must be 0 or 1; got {part[row, column]} "
                f"at image {start + row}, class {column}"
            )
    return result, mask
