"""The arrays that every metric takes, checked once and in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlt.arrays import as_array, check_targets
from mlt.errors import DataError

__all__ = ["ScoredLabels", "check_scores"]

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

    def flat(self, column: int | None = None) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Known targets and their scores, of one class or (None) of all together, as vectors.

        Example:
            >>> labels = check_scores([[1, 0]], [[0.5, 2.0]], known=[[True, False]])
            >>> labels.flat()
            (array([ True]), array([0.5]))
        """
        part: Any = slice(None) if column is None else np.s_[:, column]
        keep = slice(None) if self.known is None else self.known[part]
        scores = self.scores[part][keep].reshape(-1).astype(np.float64)
        return self.targets[part][keep].reshape(-1), scores


def check_scores(
    targets: ArrayLike,
    scores: ArrayLike,
    known: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> ScoredLabels:
    """The four arrays in the form the metrics need: numpy, checked.

    Args:
        targets: (N, C) of 0 and 1 or booleans.
        scores: (N, C), higher is more likely.
        known: (N, C) booleans. None: all are known.
        sample_weight: (N,) weights of the images. None: all 1.

    Raises:
        DataError: If shapes differ, a score is NaN, a target is neither 0 nor 1, or a weight is
            negative or not finite. The message names the first place.

    Example:
        >>> check_scores([[1], [0]], [[0.3], [0.7]]).targets.tolist()
        [[True], [False]]
    """
    truth, values = as_array(targets), as_array(scores)
    if truth.ndim != 2 or truth.shape != values.shape:
        raise DataError(
            f"targets and scores must both be (N, C); got {truth.shape} and {values.shape}"
        )
    truth, mask = check_targets(truth, known)
    weight = None
    if sample_weight is not None:
        weight = as_array(sample_weight).astype(np.float64, copy=False)
        if weight.shape != (len(truth),):
            raise DataError(
                f"sample_weight must be ({len(truth)},), one per image; got {weight.shape}"
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
