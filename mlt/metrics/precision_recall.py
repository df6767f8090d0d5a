"""Precision, recall and F1 of decisions: by class, overall and by image."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlt.arrays import as_array
from mlt.errors import ConfigError
from mlt.metrics.decided import Decided, mean

__all__ = ["PrecisionRecallF1", "decide", "precision_recall_f1", "top_k"]

TOP = 3
"""Labels per image that the field reports the rates of."""

_CELLS = 4_000_000


@dataclass(frozen=True)
class PrecisionRecallF1:
    """Precision, recall and F1 in [0, 1], NaN where nothing is defined.

    The names are those of the field (Wang et al., CNN-RNN, CVPR 2016).

    Attributes:
        cp: Mean over classes of precision.
        cr: Mean over classes of recall.
        cf1: Harmonic mean of the two, as papers have it.
        macro_f1: Mean over classes of F1, as scikit-learn has it.
        op: Precision over all decisions together.
        or_: Recall over all of them.
        of1: F1 over all of them.
        sample_precision: Mean over images of precision.
        sample_recall: Mean over images of recall.
        sample_f1: Mean over images of F1.
        never_predicted: Classes in the means that were never decided for; their precision is 0.
    """

    cp: float
    cr: float
    cf1: float
    macro_f1: float
    op: float
    or_: float
    of1: float
    sample_precision: float
    sample_recall: float
    sample_f1: float
    never_predicted: int

    def to_json(self) -> dict[str, Any]:
        """The values under the names that papers print, None where undefined."""
        names = {"or_": "OR"} | {n: n.upper() for n in ("cp", "cr", "cf1", "op", "of1")}
        return {
            names.get(name, name): None if np.isnan(value) else value
            for name, value in asdict(self).items()
        }


def decide(scores: ArrayLike, thresholds: ArrayLike) -> NDArray[np.bool_]:
    """Decide for a label where its score is at least the threshold.

    Args:
        scores: (N, C).
        thresholds: One for all classes, or (C,); infinity decides for nothing.

    Returns:
        (N, C) booleans.

    Raises:
        ConfigError: If there is not one threshold per class, or one is NaN.

    Example:
        >>> decide([[0.2, 0.6], [0.5, 0.4]], [0.5, 0.6]).tolist()
        [[False, True], [True, False]]
    """
    values, limits = as_array(scores), as_array(thresholds).astype(np.float64, copy=False)
    if limits.shape not in ((), values.shape[1:]):
        raise ConfigError(
            f"thresholds must be one number or {values.shape[1:]}, one per class; "
            f"got {limits.shape}"
        )
    if np.isnan(limits).any():
        raise ConfigError(f"thresholds must be numbers, not NaN; got {limits.tolist()}")
    return values >= limits


def top_k(scores: ArrayLike, k: int = 3, known: ArrayLike | None = None) -> NDArray[np.bool_]:
    """Decide for the k labels with the highest scores of each image.

    Args:
        scores: (N, C). Of tied labels, the first in column order are taken.
        k: How many; all if there are fewer.
        known: (N, C) booleans; a label that is not known is not chosen. None: all are known.

    Returns:
        (N, C) booleans.

    Example:
        >>> top_k([[0.2, 0.6, 0.4]], k=2).tolist()
        [[False, True, True]]
    """
    values = as_array(scores)
    if k < 1:
        raise ConfigError(f"k must be at least 1; got {k}")
    chosen = np.zeros(values.shape, bool)
    step = max(_CELLS // max(values.shape[1], 1), 1)
    for start in range(0, len(values), step):
        rows = slice(start, start + step)
        first = np.argsort(-values[rows].astype(np.float64), axis=1, kind="stable")[:, :k]
        if known is None:
            np.put_along_axis(chosen[rows], first, True, axis=1)
            continue
        # Known labels first, each part still in order of score.
        mask = as_array(known).astype(bool, copy=False)[rows]
        order = np.argsort(-values[rows].astype(np.float64), axis=1, kind="stable")
        unknown = ~np.take_along_axis(mask, order, axis=1)
        first = np.take_along_axis(order, np.argsort(unknown, axis=1, kind="stable"), axis=1)[:, :k]
        np.put_along_axis(chosen[rows], first, True, axis=1)
        chosen[rows] &= mask
    return chosen


def precision_recall_f1(
    targets: ArrayLike,
    decisions: ArrayLike,
    known: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> PrecisionRecallF1:
    """Precision, recall and F1 of decisions.

    The means over classes are over those with a known positive image, the means over images over
    those with a known positive label; whatever is undefined is left out and never counts as 0. A
    class or image in a mean for which nothing was decided has precision 0, as it finds nothing. A
    label that is not known counts nowhere.

    Args:
        targets: (N, C) of 0 and 1 or booleans.
        decisions: (N, C) of 0 and 1 or booleans, not scores: see :func:`decide`.
        known: (N, C) booleans. None: all are known.
        sample_weight: (N,) weights of the images. None: all 1.

    Raises:
        DataError: If shapes differ, a target or decision is neither 0 nor 1, or a weight is
            negative or not finite.

    Example:
        >>> rates = precision_recall_f1([[1, 0], [1, 1]], [[True, True], [True, False]])
        >>> rates.cp, rates.cr, round(rates.of1, 3), rates.never_predicted
        (0.5, 0.5, 0.667, 0)
    """
    decided = Decided.of(targets, decisions, known, sample_weight)
    by_class, by_image, overall = decided.by_class(), decided.by_image(), decided.overall()
    cp, cr = mean(by_class.precision), mean(by_class.recall)
    weight = decided.image_weight
    return PrecisionRecallF1(
        cp=cp,
        cr=cr,
        cf1=2 * cp * cr / (cp + cr) if cp + cr > 0 else cp + cr,
        macro_f1=mean(by_class.f()),
        op=mean(overall.precision),
        or_=mean(overall.recall),
        of1=mean(overall.f()),
        sample_precision=mean(by_image.precision, weight),
        sample_recall=mean(by_image.recall, weight),
        sample_f1=mean(by_image.f(), weight),
        never_predicted=int(np.sum(decided.tested & ~decided.chosen.any(axis=0))),
    )
