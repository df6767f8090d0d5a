"""Whether probabilities mean what they say: reliability curve, ECE, log loss, Brier score."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlt.errors import ConfigError, DataError
from mlt.metrics.inputs import ScoredLabels, check_scores

__all__ = ["Reliability", "ReliabilityCurve", "reliability", "reliability_curve"]

Scheme = Literal["width", "mass"]


@dataclass(frozen=True, eq=False)
class ReliabilityCurve:
    """Bins of labels by their probability; empty bins are left out.

    Attributes:
        predicted: Mean probability of the labels in each bin.
        observed: Share of them that is positive.
        counts: Labels in each bin.
    """

    predicted: NDArray[np.float64]
    observed: NDArray[np.float64]
    counts: NDArray[np.intp]

    @property
    def error(self) -> float:
        """Expected calibration error: the mean distance of the two, weighted by the counts."""
        if not len(self.counts):
            return math.nan
        gap = np.abs(self.predicted - self.observed)
        return float(gap @ self.counts / self.counts.sum())

    def to_json(self) -> dict[str, list[float]]:
        """Three lists."""
        return {name: getattr(self, name).tolist() for name in ("predicted", "observed", "counts")}


@dataclass(frozen=True)
class Reliability:
    """How far probabilities are from the truth; lower is better, NaN where undefined.

    Attributes:
        ece: Expected calibration error of all labels together, in bins of equal width.
        class_ece: Mean over classes of the same; a class counts if any of its labels is known.
        log_loss: Mean negative log-likelihood of a label.
        brier: Mean squared distance of probability and label.
    """

    ece: float
    class_ece: float
    log_loss: float
    brier: float

    def to_json(self) -> dict[str, float | None]:
        """Plain values, None where undefined."""
        return {k: None if math.isnan(v) else v for k, v in asdict(self).items()}


def reliability_curve(
    targets: ArrayLike,
    probabilities: ArrayLike,
    known: ArrayLike | None = None,
    *,
    column: int | None = None,
    bins: int = 15,
    scheme: Scheme = "width",
) -> ReliabilityCurve:
    """Predicted against observed frequency.

    Args:
        targets: (N, C) array of 0 and 1 or booleans.
        probabilities: (N, C) in [0, 1].
        known: (N, C) booleans. None: all are known.
        column: The class. None: all labels together.
        bins: At most so many bins.
        scheme: ``"width"`` for bins of equal width, each with its lower edge, ``"mass"`` for as
            many labels in each, which shows more where nearly all probabilities are close to 0.

    Raises:
        DataError: If a value is not a probability, or as for :func:`mlt.metrics.average_precision`.

    Example:
        >>> curve = reliability_curve([[0], [1]], [[0.2], [0.9]], bins=2)
        >>> curve.observed.tolist(), round(curve.error, 2)
        ([0.0, 1.0], 0.15)
    """
    labels = _checked(targets, probabilities, known)
    return _curve(labels, column, bins, scheme)


def reliability(
    targets: ArrayLike,
    probabilities: ArrayLike,
    known: ArrayLike | None = None,
    *,
    bins: int = 15,
) -> Reliability:
    """Calibration error, log loss and Brier score of probabilities.

    Args:
        targets: (N, C) array of 0 and 1 or booleans.
        probabilities: (N, C) in [0, 1].
        known: (N, C) booleans. None: all are known.
        bins: Bins of equal width of the calibration error.

    Raises:
        DataError: As for :func:`reliability_curve`.

    Example:
        >>> round(reliability([[0], [1]], [[0.2], [0.9]], bins=2).brier, 3)
        0.025
    """
    labels = _checked(targets, probabilities, known)
    y, p = labels.flat()
    if not len(y):
        return Reliability(math.nan, math.nan, math.nan, math.nan)
    of_classes = [_curve(labels, k, bins, "width").error for k in range(labels.targets.shape[1])]
    # A certain mistake costs as much as a probability at the end of single precision.
    right = np.clip(np.where(y, p, 1 - p), np.finfo(np.float32).tiny, 1)
    return Reliability(
        ece=_curve(labels, None, bins, "width").error,
        class_ece=float(np.nanmean(of_classes)),
        log_loss=float(-np.log(right).mean()),
        brier=float(np.mean((p - y) ** 2)),
    )


def _checked(targets: ArrayLike, probabilities: ArrayLike, known: ArrayLike | None) -> ScoredLabels:
    labels = check_scores(targets, probabilities, known)
    if labels.scores.size and not (labels.scores.min() >= 0 and labels.scores.max() <= 1):
        raise DataError(
            f"probabilities must be in [0, 1]; got values from {labels.scores.min()} to "
            f"{labels.scores.max()}, which look like logits"
        )
    return labels


def _curve(labels: ScoredLabels, column: int | None, bins: int, scheme: str) -> ReliabilityCurve:
    if bins < 1:
        raise ConfigError(f"bins must be at least 1; got {bins}")
    y, p = labels.flat(column)
    if scheme == "width":
        edges = _edges(bins, labels.scores.dtype)
    elif scheme == "mass":
        edges = np.quantile(p, np.arange(1, bins) / bins) if len(p) else np.array([])
    else:
        raise ConfigError(f"scheme must be width or mass; got {scheme!r}")
    index = np.searchsorted(edges, p, side="right")  # equal probabilities stay together
    counts = np.bincount(index, minlength=bins)
    full = counts > 0
    predicted = np.bincount(index, weights=p, minlength=bins)[full] / counts[full]
    observed = np.bincount(index, weights=y, minlength=bins)[full] / counts[full]
    return ReliabilityCurve(predicted, observed, counts[full])


def _edges(bins: int, dtype: np.dtype[Any]) -> NDArray[np.float64]:
    """The lower edges k / bins of all bins but the first, as the probabilities' type has them.

    A probability that was written as 0.29 is the number of its type that is nearest to 29 / 100,
    and so is the edge: it lies in bin 29 of 100. Times 100 it would be 28.999999999999996.
    """
    edges = np.arange(1, bins) / bins
    return edges.astype(dtype).astype(np.float64) if dtype.kind == "f" else edges
