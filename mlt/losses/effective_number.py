"""Effective numbers and class-balanced weights of given counts over several betas, without torch.

They are those of the losses: the same clamped counts, the same N, the same `beta: auto`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mlt.class_counts import ClassCounts
from mlt.errors import ConfigError
from mlt.losses.class_weights import (
    EQUAL_WEIGHTS_RATIO,
    Array,
    effective_number_weights,
    effective_numbers,
    num_samples,
    resolve_beta,
    sum_to_classes,
)

__all__ = ["BETAS", "BetaWeights", "over_betas", "recommend_beta"]

BETAS = (0.9, 0.99, 0.999, 0.9999)
"""Among which Cui et al. chose."""


@dataclass(frozen=True)
class BetaWeights:
    """What one beta makes of the counts.

    Attributes:
        beta: In [0, 1).
        effective: (C,) effective numbers, (1 - beta^n) / (1 - beta).
        weights: (C,) class-balanced weights, which sum to C.
    """

    beta: float
    effective: Array
    weights: Array

    @property
    def ratio(self) -> float:
        """The largest weight over the smallest."""
        return float(self.weights.max() / self.weights.min())

    @property
    def is_equal(self) -> bool:
        """Whether the weights are so alike that re-weighting does nothing worth the name."""
        return self.ratio < EQUAL_WEIGHTS_RATIO


def over_betas(counts: ClassCounts, betas: Iterable[float] = BETAS) -> list[BetaWeights]:
    """Return effective numbers and weights for each beta and for the recommended one.

    Args:
        counts: Of at least two classes.
        betas: In [0, 1).

    Returns:
        By rising beta, each beta once.

    Raises:
        ConfigError: If a beta is out of range, there are fewer than two classes, or no class has
            an image.

    Example:
        >>> for row in over_betas(ClassCounts.from_counts([2, 1]), [0.5]):
        ...     print(round(row.beta, 4), row.effective.round(4), row.weights.round(4))
        0.5 [1.5 1. ] [0.8 1.2]
        0.6667 [1.6667 1.    ] [0.75 1.25]
    """
    recommended = recommend_beta(counts)[0]
    given = [resolve_beta(beta, num_samples(counts)) for beta in betas]
    return [_weights_of(counts, beta) for beta in sorted({*given, recommended})]


def recommend_beta(counts: ClassCounts) -> tuple[float, str]:
    """Return the beta that `beta: auto` of the losses is, and the reason for it.

    Args:
        counts: Of at least two classes.

    Raises:
        ConfigError: If there are fewer than two classes, or no class has an image.

    Example:
        >>> recommend_beta(ClassCounts.from_counts([900, 100]))[0]
        0.999
    """
    if counts.num_classes < 2:
        raise ConfigError(
            "Effective numbers weigh classes against each other; give the counts of at least two "
            f"classes, not of {counts.num_classes}."
        )
    if not counts.counts.any():
        raise ConfigError("No class has an image; give the counts of the training images.")
    total = num_samples(counts)
    found = _weights_of(counts, resolve_beta("auto", total))
    clamped = counts.clamped
    largest = int(clamped.argmax())
    by_frequency = clamped.max() / clamped.min()
    reason = (
        f"The paper's beta is (N - 1) / N for N prototypes, and `beta: auto` takes each of the "
        f"{total:,.0f} samples for one. No class can then saturate: the most frequent class, of "
        f"{clamped[largest]:,.0f}, has an effective number of {found.effective[largest]:,.0f}, and "
        f"classes differ by a factor of {found.ratio:.3g} (inverse frequency: {by_frequency:.3g}). "
        "It needs no validation images, but is near inverse frequency, and harsh in a short "
        "training. A smaller beta is milder; the paper chose among 0.9, 0.99, 0.999 and 0.9999 for "
        "each data set: where you have a validation part, compare them on it."
    )
    return found.beta, reason


def _weights_of(counts: ClassCounts, beta: float) -> BetaWeights:
    clamped = counts.clamped
    weights = sum_to_classes(effective_number_weights(clamped, beta))
    return BetaWeights(beta, effective_numbers(clamped, beta), weights)
