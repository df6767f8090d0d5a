"""How well the labels of one image are ordered: ranking loss, coverage, one-error, LRAP."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlt.metrics.decided import mean
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
        num_images: Images with a known positive label, which coverage, one-error and LRAP are over.
        lrap: Label ranking average precision: mean over the present labels of an image of the share
            of present ones among those scored at least as high; over images that have one. 1 is
            best.
    """

    ranking_loss: float
    coverage: float
    one_error: float
    num_images: int
    lrap: float = np.nan

    def to_json(self) -> dict[str, Any]:
        """Plain values, None where undefined."""
        return {k: None if np.isnan(v) else v for k, v in asdict(self).items()}


def ranking_metrics(
    targets: ArrayLike,
    scores: ArrayLike,
    known: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> RankingMetrics:
    """Ranking loss, coverage, one-error and LRAP (Tsoumakas et al., Mining multi-label data, 2010).

    scikit-learn's ``label_ranking_loss``, ``coverage_error`` and
    ``label_ranking_average_precision_score``, but that an image for which they are undefined is
    left out, where scikit-learn counts it as 0 (LRAP: as 1). All four compare scores of different
    classes.

    Args:
        targets: (N, C) array of 0 and 1 or booleans.
        scores: (N, C) array, higher is more likely.
        known: (N, C) booleans; a label that is not known is not in the order. None: all are known.
        sample_weight: (N,) weights of the images. None: all 1.

    Example:
        >>> found = ranking_metrics([[1, 0, 1], [0, 0, 0]], [[3, 2, 1], [1, 2, 3]])
        >>> found.ranking_loss, found.coverage, found.one_error, round(found.lrap, 3)
        (0.5, 3.0, 0.0, 0.833)
    """
    labels = check_scores(targets, scores, known, sample_weight)
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
    loss, coverage, error, lrap = (
        np.concatenate([part[i] for part in parts]) if parts else np.array([]) for i in range(4)
    )
    weight = np.ones(len(rows)) if labels.weight is None else labels.weight[rows]
    defined = ~np.isnan(loss)
    return RankingMetrics(
        ranking_loss=mean(loss[defined], weight[defined]),
        coverage=mean(coverage, weight),
        one_error=mean(error, weight),
        num_images=len(rows),
        lrap=mean(lrap, weight),
    )


def _of_rows(
    present: NDArray[np.bool_], scores: NDArray[np.float64], known: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], ...]:
    """Ranking loss, coverage, one-error and LRAP of images that have a label."""
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
    present_first = np.take_along_axis(present, order, axis=1)
    absent_above = np.cumsum(np.take_along_axis(absent, order, axis=1), axis=1)
    wrong = np.sum(absent_above, axis=1, where=present_first)
    pairs = present.sum(axis=1) * absent.sum(axis=1)
    loss = np.full(len(pairs), np.nan)
    np.divide(wrong, pairs, out=loss, where=pairs > 0)
    # All absent ones of a tie stand above its present ones, so only these are still to be counted.
    present_above = _at_end_of_tie(
        np.cumsum(present_first, axis=1), np.take_along_axis(scores, order, axis=1)
    )
    precision = present_above / np.maximum(present_above + absent_above, 1)
    lrap = np.mean(precision, axis=1, where=present_first)
    return loss, coverage.astype(np.float64), error, lrap


def _at_end_of_tie(values: NDArray[np.intp], scores: NDArray[np.float64]) -> NDArray[np.intp]:
    """The (N, C) values at the last place of each run of equal scores in a row."""
    last = np.ones(scores.shape, bool)
    last[:, :-1] = scores[:, 1:] != scores[:, :-1]
    c = scores.shape[1]
    places = np.where(last, np.arange(c), c - 1)
    places = np.minimum.accumulate(places[:, ::-1], axis=1)[:, ::-1]
    return np.take_along_axis(values, places, axis=1)
