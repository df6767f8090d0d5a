"""From class counts to class weights, in float64 numpy; no gradient passes here.

The counts are :attr:`mlt.class_counts.ClassCounts.clamped`, which applies the two rules for classes
that would divide by zero: a count is at least 1 and at most one less than the number of images.
"""

from __future__ import annotations

import warnings
from typing import Literal

import numpy as np
import numpy.typing as npt

from mlt.class_counts import ClassCounts
from mlt.errors import ConfigError

__all__ = [
    "ClassCounts",
    "class_margins",
    "effective_number_weights",
    "effective_numbers",
    "inverse_frequency_weights",
    "num_samples",
    "positive_weights",
    "required",
    "resolve_beta",
    "sum_to_classes",
    "warn_if_equal",
    "warn_of_clamped",
]

Array = npt.NDArray[np.float64]

EQUAL_WEIGHTS_RATIO = 1.05
"""Below this ratio of largest to smallest weight, re-weighting does nothing worth the name."""


def warn_of_clamped(counts: ClassCounts) -> None:
    """Warn, once, of classes that have no positive or no negative image.

    Raises:
        ConfigError: If there are fewer than two images.
    """
    if counts.total is not None and counts.total < 2:
        raise ConfigError(
            f"num_images must be at least 2, not {counts.total}: count training images."
        )
    moved = counts.clamped != counts.counts
    if counts.is_class is not None:
        moved &= counts.is_class
    if counts.unit == "boxes":  # to have every box is not remarkable: anchors are negatives too
        moved &= counts.counts < 1
    if not moved.any():
        return
    classes = np.flatnonzero(moved)
    names = ", ".join(counts.label(int(c)) for c in classes[:10])
    more = f" and {len(classes) - 10} more" if len(classes) > 10 else ""
    one, many = ("box", "boxes") if counts.unit == "boxes" else ("image", "images")
    hint = ""
    if counts.unit is None and not counts.is_named:
        hint = (
            " In a detector, take the counts from mlt.detection.class_counts_from_coco or "
            "ClassCounts.at_columns: they know which columns are not a class (the background, "
            "unused ids), and must not weigh as the rarest one."
        )
    warnings.warn(
        f"No positive or no negative training {one} for {names}{more}: the loss takes the "
        f"count of such a class to be 1, or one less than the number of {many}.{hint}",
        UserWarning,
        stacklevel=4,
    )


def required(counts: ClassCounts | None, what_for: str) -> ClassCounts:
    """Return ``counts``, or raise an error saying which part of the loss cannot do without.

    Raises:
        ConfigError: If ``counts`` is None.
    """
    if counts is None:
        raise ConfigError(
            f"{what_for} needs class_counts, the number of positives of each class in the training "
            "split, such as class_counts=[90, 30, 4] (and mostly num_images, the number of images "
            "behind them)."
        )
    return counts


def num_samples(counts: ClassCounts) -> float:
    """Return N for beta `auto`: the images or boxes counted, else the sum of the counts.

    For boxes, and for one label per image, the two are the same.

    Example:
        >>> num_samples(ClassCounts.from_counts([3, 1]))
        4.0
    """
    return float(counts.counts.sum() if counts.total is None else counts.total)


def sum_to_classes(weights: Array, is_class: npt.NDArray[np.bool_] | None = None) -> Array:
    """Scale weights to sum to their number (mean 1), as the class-balanced paper does.

    Args:
        weights: Shape (C,).
        is_class: Which of them the sum is over; None for all.

    Example:
        >>> sum_to_classes(np.array([1.0, 3.0]))
        array([0.5, 1.5])
    """
    summed = weights if is_class is None else weights[is_class]
    return weights * (len(summed) / summed.sum())


def effective_number_weights(
    counts: Array, beta: float | Literal["auto"], num_samples: float = 1.0
) -> Array:
    """Return (1 - beta) / (1 - beta^n) for each class, not scaled.

    beta 0 weighs all classes alike; towards 1 the weights become 1 / n. expm1 keeps all digits for
    beta next to 1, where the formula as written loses them.

    Args:
        counts: Positives per class (or an image's mean count), at least 1.
        beta: In [0, 1), or `auto`; see :func:`resolve_beta`.
        num_samples: N, for `auto`.

    Raises:
        ConfigError: If beta is out of range, or there is less than one sample.

    References:
        Cui et al., Class-Balanced Loss Based on Effective Number of Samples, CVPR 2019, eq. 8.

    Example:
        >>> effective_number_weights(np.array([1.0, 2.0, 1000.0]), beta=0.9).round(4)
        array([1.    , 0.5263, 0.1   ])
    """
    beta = resolve_beta(beta, num_samples)
    if beta == 0:
        return np.ones_like(counts)
    return (beta - 1) / np.expm1(counts * np.log(beta))


def effective_numbers(
    counts: Array, beta: float | Literal["auto"], num_samples: float = 1.0
) -> Array:
    """Return the effective number of samples of each class, (1 - beta^n) / (1 - beta).

    Args:
        counts: As for :func:`effective_number_weights`.
        beta: In [0, 1), or `auto`; see :func:`resolve_beta`.
        num_samples: N, for `auto`.

    Raises:
        ConfigError: If beta is out of range.

    References:
        Cui et al., Class-Balanced Loss Based on Effective Number of Samples, CVPR 2019, eq. 1.

    Example:
        >>> effective_numbers(np.array([1.0, 2.0, 1000.0]), beta=0.9).round(4)
        array([ 1. ,  1.9, 10. ])
    """
    return 1 / effective_number_weights(counts, beta, num_samples)


def resolve_beta(beta: float | Literal["auto"], num_samples: float) -> float:
    """Return beta as a number; `auto` is (N - 1) / N.

    The paper's beta is (N - 1) / N for N prototypes; `auto` takes every sample for one. No class
    has more than N samples, so 1 - beta^n does not saturate whatever the size of the data: a class
    of n << N samples weighs 1 / n, one that is on every sample about 1.6 / N.

    Args:
        beta: In [0, 1), or `auto`.
        num_samples: N; see :func:`num_samples`.

    Raises:
        ConfigError: If beta is out of range.

    References:
        Cui et al., Class-Balanced Loss Based on Effective Number of Samples, CVPR 2019.

    Example:
        >>> resolve_beta("auto", 1000)
        0.999
    """
    if beta == "auto":
        if num_samples < 1:
            raise ConfigError(
                f"beta 'auto' needs numbers of images, not shares: {num_samples:g} in all"
            )
        return float((num_samples - 1) / num_samples)
    if not 0 <= beta < 1:
        raise ConfigError(f"beta must be in [0, 1) or 'auto', not {beta}.")
    return beta


def inverse_frequency_weights(counts: Array, images: Array | float, power: float = 1.0) -> Array:
    """Return (M / n)^power for each class, not scaled.

    Args:
        counts: Positives per class, at least 1.
        images: M, the images on which the class is annotated.
        power: 1 for inverse frequency, 0.5 for its root, 0 for equal weights.

    Example:
        >>> inverse_frequency_weights(np.array([50.0, 2.0]), 100, power=0.5).round(3)
        array([1.414, 7.071])
    """
    return (images / counts) ** power


def positive_weights(
    counts: Array, images: Array | float, power: float = 1.0, max_weight: float | None = None
) -> Array:
    """Return ((M - n) / n)^power for each class, at most ``max_weight``.

    Args:
        counts: Positives per class, at least 1 and less than M.
        images: M, the images on which the class is annotated.
        power: 1 lets positives and negatives of a class weigh the same in all.
        max_weight: Largest weight; None for none.

    Example:
        >>> positive_weights(np.array([50.0, 2.0]), 100, max_weight=10)
        array([ 1., 10.])
    """
    return np.minimum(((images - counts) / counts) ** power, max_weight or np.inf)


def class_margins(counts: Array, max_margin: float) -> Array:
    """Return LDAM's margins: max_margin (n_min / n)^(1/4).

    References:
        Cao et al., Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss,
        NeurIPS 2019, eq. 13.

    Example:
        >>> class_margins(np.array([16.0, 1.0]), 0.5)
        array([0.25, 0.5 ])
    """
    return max_margin * (counts.min() / counts) ** 0.25


def warn_if_equal(weights: Array, counts: Array) -> None:
    """Warn when weights hardly differ although the counts do.

    The usual cause is a beta too small for the counts: 0.9^n is 0 for every class of 50 images.
    """
    differ = counts.max() > EQUAL_WEIGHTS_RATIO * counts.min()
    if differ and weights.max() < EQUAL_WEIGHTS_RATIO * weights.min():
        warnings.warn(
            f"All class weights are within {weights.max() / weights.min() - 1:.1%} of each other: "
            "re-weighting does nothing here. Choose a beta nearer to 1, or 'auto'.",
            UserWarning,
            stacklevel=7,
        )
