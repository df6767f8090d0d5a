"""How well the labels of one image are ordered: ranking loss, coverage, one-error."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlt.metrics.inputs import check_scores

__all__ = ["RankingMetrics", "ranking_metrics"]

_CELLS = 4_000_000


@dataclass(frozen=True)
class RankingMetrics:
    """Means over images of how their labels are ordered, NaN where no image counts.

    Attributes:
        ranking_loss: Share of the (present, absent) pairs of labels where the absent one is scored
            at least as high; over images that have both. 0 is best.
        coverage: Labels to go through from the top until all present ones were seen; over images
            that have one. The mean number of labels of an image is best.
        one_error: Share of images whose highest label is absent; over images that have a label.
            Where several labels share the highest score, the share of them that is absent.
        num_images: Images with a known positive label, which coverage and one-error are over.
    """

    ranking_loss: float
    coverage: float
    one_error: float
    num_images: int

    def to_json(self) -> dict[str, Any]:
        """Plain values, None where undefined."""
        return {k: None if np.isnan(v) else v for k, v in asdict(self).items()}


def ranking_metrics(
    targets: ArrayLike, scores: ArrayLike, known: ArrayLike | None = None
) -> RankingMetrics:
    """Ranking loss, coverage and one-error (Tsoumakas et al., Mining multi-label data, 2010).

    Ranking loss and coverage are scikit-learn's ``label_ranking_loss`` and ``coverage_error``, but
    that an image for which they are undefined is left out, where scikit-learn counts it as 0. All
    three compare scores of different classes.

    Args:
        targets: (N, C) array of 0 and 1 or booleans.
        scores: (N, C) array, higher is more likely.
        known: (N, C) booleans; a label that is not known is not in the order. None: all are known.

    Example:
        >>> ranking_metrics([[1, 0, 1], [0, 0, 0]], [[3, 2, 1], [1, 2, 3]])
        RankingMetrics(ranking_loss=0.5, coverage=3.0, one_error=0.0, num_images=1)
    """
    labels = check_scores(targets, scores, known)
    positives, c = labels.positives, labels.targets.shape[1]
    rows = np.flatnonzero(positives.any(axis=1))
    step = max(_CELLS // max(c, 1), 1)
    parts = [
        _of_rows(
            positives[chunk],
            labels.scores[chunk].astype(np.float64),
            np.ones((len(chunk), c), bool) if labels.known is None else labels.known[chunk],
        )
        for chunk in (rows[i : i + step] for i in range(0, len(rows), step))
    ]
    loss, coverage, error = (
        np.concatenate([part[i] for part in parts]) if parts else np.array([]) for i in range(3)
    )
    loss = loss[~np.isnan(loss)]
    return RankingMetrics(_mean(loss), _mean(coverage), _mean(error), len(rows))


def _of_rows(
    present: NDArray[np.bool_], scores: NDArray[np.float64], known: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    absent = known & ~present
    lowest = np.min(scores, axis=1, where=present, initial=np.inf, keepdims=True)
    coverage = np.sum(known & (scores >= lowest), axis=1)
    highest = np.max(scores, axis=1, where=known, initial=-np.inf, keepdims=True)
    top = known & (scores == highest)
    error = np.sum(top & absent, axis=1) / np.sum(top, axis=1)
    # Present labels last among ties, so that an absent one with the same score stands above.
    first = np.argsort(present, axis=1, kind="stable")
    by_score = np.argsort(-np.take_along_axis(scores, first, axis=1), axis=1, kind="stable")
    order = np.take_along_axis(first, by_score, axis=1)
    absent_above = np.cumsum(np.take_along_axis(absent, order, axis=1), axis=1)
    wrong = np.sum(absent_above, axis=1, where=np.take_along_axis(present, order, axis=1))
    pairs = present.sum(axis=1) * absent.sum(axis=1)
    loss = np.full(len(pairs), np.nan)
    np.divide(wrong, pairs, out=loss, where=pairs > 0)
    return loss, coverage.astype(np.float64), error


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else np.nan
