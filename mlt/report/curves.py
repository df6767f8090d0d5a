"""Precision-recall and reliability curves as paths for a browser, a few hundred bytes each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlt.metrics import reliability_curve
from mlt.report.svg import Plot, Scale, line_path

__all__ = ["SQUARE", "precision_recall", "precision_recall_path", "reliability_path"]

SQUARE = Plot(Scale(0, 1, 40, 392), Scale(0, 1, 310, 30))
"""Where both are drawn: shares from 0 to 1 on both axes."""

STEPS = 60
"""A curve of more positives than this is drawn with so many of them."""


def precision_recall(
    truth: NDArray[np.bool_], scores: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return recall and precision at every score that at least one positive has.

    Args:
        truth: (N,) booleans.
        scores: (N,), higher is more likely; labels with equal scores are found together.

    Returns:
        Recall, rising to 1, and precision, each (P,) for P different scores of positives. The sum
        of the rises of recall times precision is the average precision.

    Example:
        >>> recall, precision = precision_recall(np.array([1, 0, 1], bool), np.array([3, 2, 1]))
        >>> recall.tolist(), precision.round(3).tolist()
        ([0.5, 1.0], [1.0, 0.667])
    """
    order = np.argsort(-scores, kind="stable")
    truth, scores = truth[order], scores[order]
    last = np.flatnonzero(np.append(scores[1:] != scores[:-1], len(scores) > 0))
    found = np.cumsum(truth)[last]
    rises = np.diff(found, prepend=0) > 0
    found, given = found[rises], last[rises] + 1
    return found / max(truth.sum(), 1), found / given


def precision_recall_path(truth: NDArray[np.bool_], scores: NDArray[np.float32]) -> str:
    """Return the curve in steps, the area below which is the average precision; "" if undefined."""
    recall, precision = precision_recall(truth, scores)
    if not len(recall):
        return ""
    if len(recall) > STEPS:
        keep = np.linspace(0, len(recall) - 1, STEPS).round().astype(int)
        recall, precision = recall[keep], precision[keep]
    x, y = SQUARE.x, SQUARE.y
    steps = [f"V{y(p):g}H{x(r):g}" for r, p in zip(recall.tolist(), precision.tolist())]
    return f"M{x(0):g} {y(precision[0]):g}" + "".join(steps)


def reliability_path(
    truth: NDArray[np.bool_], probabilities: NDArray[np.float64]
) -> tuple[str, float]:
    """Return the reliability curve of labels in ten bins, and its expected calibration error.

    Args:
        truth: (N,) booleans.
        probabilities: (N,) in [0, 1].
    """
    curve = reliability_curve(truth[:, None], probabilities[:, None], bins=10)
    points = zip(curve.predicted.tolist(), curve.observed.tolist())
    return line_path([(SQUARE.x(p), SQUARE.y(o)) for p, o in points]), curve.error
