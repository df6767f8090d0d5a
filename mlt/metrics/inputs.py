"""The arrays that every metric takes, checked once and in one place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlt.errors import DataError

__all__ = ["ScoredLabels", "check_scores", "check_targets"]

_ROWS = 4096  # images looked at together, so that a check needs no second array of (N, C)


@dataclass(frozen=True, eq=False)
class ScoredLabels:
    """Targets and scores of N images and C classes, as the metrics work on them.

    Attributes:
        targets: (N, C) booleans; what stands where a label is not known has no meaning.
        scores: (N, C) without NaN, as given.
        known: (N, C) booleans, or None if every label is known.
        weight: (N,) float64 weights of the images, or None if all are 1.
    """

    targets: NDArray[np.bool_]
    scores: NDArray[np.generic]
    known: NDArray[np.bool_] | None = None
    weight: NDArray[np.float64] | None = None

    @property
    def positives(self) -> NDArray[np.bool_]:
        """(N, C) booleans, True where the label is known and positive."""
        return self.targets if self.known is None else self.targets & self.known


def check_targets(
    targets: ArrayLike, known: ArrayLike | None = None
) -> tuple[NDArray[np.bool_], NDArray[np.bool_] | None]:
    """Targets and mask as booleans.

    Args:
        targets: (N, C) of 0 and 1 or booleans; anything where ``known`` is False.
        known: (N, C) booleans. None: all are known.

    Returns:
        The targets and the mask; the mask is None where none was given.

    Raises:
        DataError: If the shapes differ or a known target is neither 0 nor 1.
    """
    truth = np.asarray(targets)
    mask = None if known is None else np.asarray(known, dtype=bool)
    if truth.ndim != 2:
        raise DataError(f"targets must be (N, C), an image a row; got {truth.shape}")
    if mask is not None and mask.shape != truth.shape:
        raise DataError(f"known must be {truth.shape} like the targets; got {mask.shape}")
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
                f"targets must be 0 or 1; got {part[row, column]} "
                f"at image {start + row}, class {column}"
            )
    return result, mask


def check_scores(
    targets: ArrayLike,
    scores: ArrayLike,
    known: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> ScoredLabels:
    """The four arrays in the form the metrics need.

    Args:
        targets: (N, C) of 0 and 1 or booleans.
        scores: (N, C), higher is more likely.
        known: (N, C) booleans. None: all are known.
        sample_weight: (N,) weights of the images. None: all 1.

    Raises:
        DataError: If shapes differ, a score is NaN, a target is neither 0 nor 1, or a weight is
            negative or not finite. The message names the first place.
    """
    shape, values = np.shape(targets), np.asarray(scores)
    if len(shape) != 2 or shape != values.shape:
        raise DataError(f"targets and scores must both be (N, C); got {shape} and {values.shape}")
    truth, mask = check_targets(targets, known)
    weight = None
    if sample_weight is not None:
        weight = np.asarray(sample_weight, dtype=np.float64)
        if weight.shape != (len(truth),):
            raise DataError(
                f"sample_weight must be ({len(truth)},), one an image; got {weight.shape}"
            )
        if not (np.isfinite(weight).all() and (weight >= 0).all()):
            raise DataError("sample_weight must be finite and not negative")
    if values.dtype.kind == "f":
        for start in range(0, len(values), _ROWS):
            missing = np.isnan(values[start : start + _ROWS])
            if missing.any():
                row, column = np.argwhere(missing)[0]
                raise DataError(f"scores hold NaN, first at image {start + row}, class {column}")
    elif values.dtype.kind not in "iub":
        raise DataError(f"scores must be real numbers; got {values.dtype}")
    return ScoredLabels(truth, values, mask, weight)
