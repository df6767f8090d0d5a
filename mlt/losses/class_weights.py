"""From class counts to class weights, in float64 numpy; no gradient passes here.

Losses take their counts through :class:`ClassCounts`, which applies the two rules for classes that
would divide by zero: a count is at least 1 and at most one less than the number of images.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from mlt.errors import ConfigError

if TYPE_CHECKING:
    from mlt.data.stats import ClassStats

__all__ = [
    "ClassCounts",
    "class_margins",
    "effective_number_weights",
    "inverse_frequency_weights",
    "log_odds",
    "positive_weights",
    "resolve_beta",
    "sum_to_classes",
    "warn_if_equal",
]

Array = npt.NDArray[np.float64]

EQUAL_WEIGHTS_RATIO = 1.05
"""Below this ratio of largest to smallest weight, re-weighting does nothing worth the name."""


@dataclass(frozen=True, eq=False)
class ClassCounts:
    """Positives a class, ready to divide by.

    Build it with :meth:`from_counts`, which checks and clamps.
    """

    counts: Array
    """Positives of each class, shape (C,), at least 1."""
    known: Array | None
    """Images (or boxes) on which each class is annotated, shape (C,); None if nobody said."""
    num_images: int | None
    unit: str | None = None
    """What was counted, `images` or `boxes`; None if nobody said."""
    is_class: npt.NDArray[np.bool_] | None = None
    """Which of the C entries are classes at all, if not all; see :meth:`from_counts`."""

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.counts)

    @property
    def num_samples(self) -> float:
        """Images that were counted; the sum of the counts where nobody said how many."""
        if self.num_images is not None:
            return self.num_images
        return float((self.counts if self.is_class is None else self.counts[self.is_class]).sum())

    @classmethod
    def from_counts(
        cls,
        counts: Sequence[float] | npt.ArrayLike,
        num_images: int | None = None,
        known_counts: npt.ArrayLike | None = None,
        class_names: Sequence[str] | None = None,
    ) -> ClassCounts:
        """Check counts and clamp them to [1, M - 1], warning once with the classes concerned.

        Args:
            counts: Positives of each class, shape (C,). `mlt.detection.BoxCounts` also say which
                entries are no class (the background, unused category ids); these are taken to be
                as frequent as the median class, and do not enter the scale of the weights.
            num_images: Images M the counts were taken over (boxes, for a detector's counts).
            known_counts: Images on which each class is annotated, if not all, shape (C,).
            class_names: Names for the warning; indices if not given.

        Raises:
            ConfigError: If a count is negative, not finite or above M, or a length does not fit.

        Example:
            >>> ClassCounts.from_counts([80, 20, 4], num_images=100).counts
            array([80., 20.,  4.])
        """
        plain = counts.tolist() if hasattr(counts, "tolist") else counts
        try:
            values = np.array(plain, dtype=np.float64)
        except (TypeError, ValueError):
            raise ConfigError(
                "Class counts must be a list of one number a class, in the order of the columns, "
                f"not {type(counts).__name__}: {str(counts)[:60]}"
            ) from None
        if values.ndim != 1 or not len(values):
            raise ConfigError(
                f"Class counts must be a list of one number a class, not of shape {values.shape}."
            )
        if not np.isfinite(values).all() or (values < 0).any():
            raise ConfigError("Class counts must be finite and not negative; check the list given.")
        if num_images is not None and num_images < 2:
            raise ConfigError(f"num_images must be at least 2, not {num_images}.")
        known = None if num_images is None else np.full(len(values), float(num_images))
        if known_counts is not None:
            known = np.maximum(np.array(known_counts, dtype=np.float64), 2.0)
            if known.shape != values.shape:
                raise ConfigError(
                    f"{len(values)} class counts but known counts of shape {known.shape}."
                )
        if known is not None and (values > known).any():
            worst = int(np.argmax(values - known))
            raise ConfigError(
                f"Class {_name(worst, class_names)} has {values[worst]:g} positives among "
                f"{known[worst]:g} images. num_images is what the counts were taken over; for "
                "counts of boxes give the number of boxes."
            )
        unit: str | None = getattr(counts, "unit", None)
        is_class = getattr(counts, "is_class", None)
        if is_class is not None:
            values[~is_class] = np.median(values[is_class])
        upper = np.inf if known is None else known - 1
        clamped = np.clip(values, 1.0, upper)
        if (changed := np.flatnonzero(clamped != values)).size:
            names = ", ".join(_name(i, class_names) for i in changed[:10])
            more = f" and {changed.size - 10} more" if changed.size > 10 else ""
            one, many = ("box", "boxes") if unit == "boxes" else ("image", "images")
            hint = ""
            if unit is None and class_names is None:
                hint = (
                    " In a detector, give mlt.detection.BoxCounts: they know which columns are no "
                    "class (the background, unused ids), and must not weigh as the rarest one."
                )
            warnings.warn(
                f"No positive or no negative training {one} for {names}{more}: the loss takes the "
                f"count of such a class to be 1, or one less than the number of {many}.{hint}",
                UserWarning,
                stacklevel=3,
            )
        return cls(clamped, known, num_images, unit, is_class)

    @classmethod
    def of(
        cls, counts: ClassCounts | Sequence[float], num_images: int | None = None
    ) -> ClassCounts:
        """Return class counts as they are, or check those that were given as numbers."""
        return counts if isinstance(counts, ClassCounts) else cls.from_counts(counts, num_images)

    @classmethod
    def from_stats(cls, stats: ClassStats) -> ClassCounts:
        """Take the counts from the statistics of a training split.

        Args:
            stats: `mlt.data.stats.ClassStats` (or anything with its counts, num_images,
                known_counts and class_names).
        """
        counts = cls.from_counts(
            stats.counts, stats.num_images, stats.known_counts, stats.class_names
        )
        return replace(counts, unit="images")

    @staticmethod
    def required(counts: ClassCounts | None, what_for: str) -> ClassCounts:
        """Return ``counts``, or raise an error saying which part of the loss cannot do without.

        Raises:
            ConfigError: If ``counts`` is None.
        """
        if counts is None:
            raise ConfigError(
                f"{what_for} needs class_counts, the number of positives of each class in the "
                "training split, such as class_counts=[90, 30, 4] (and mostly num_images, the "
                "number of images behind them)."
            )
        return counts

    def images(self, what_for: str) -> Array:
        """Images on which each class is annotated, shape (C,), or an error saying who needs it.

        Raises:
            ConfigError: If the number of images was not given.
        """
        if self.known is None:
            raise ConfigError(
                f"{what_for} needs num_images, the number of training images behind the counts."
            )
        return self.known


def _name(index: int, class_names: Sequence[str] | None) -> str:
    return str(index) if class_names is None else repr(class_names[index])


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
    counts: Array, beta: float | Literal["auto"], num_samples: float | None = None
) -> Array:
    """Return (1 - beta) / (1 - beta^n) for each class, not scaled.

    beta 0 weighs all classes alike; towards 1 the weights become 1 / n. expm1 keeps all digits for
    beta next to 1, where the formula as written loses them.

    Args:
        counts: Positives per class (or an image's mean count), at least 1.
        beta: In [0, 1), or `auto`; see :func:`resolve_beta`.
        num_samples: N, for `auto`; None for the sum of the counts.

    Raises:
        ConfigError: If beta is out of range.

    References:
        Cui et al., Class-Balanced Loss Based on Effective Number of Samples, CVPR 2019, eq. 8.

    Example:
        >>> effective_number_weights(np.array([1.0, 2.0, 1000.0]), beta=0.9).round(4)
        array([1.    , 0.5263, 0.1   ])
    """
    beta = resolve_beta(beta, counts.sum() if num_samples is None else num_samples)
    if beta == 0:
        return np.ones_like(counts)
    return (beta - 1) / np.expm1(counts * np.log(beta))


def resolve_beta(beta: float | Literal["auto"], num_samples: float) -> float:
    """Return beta as a number; `auto` is (N - 1) / N.

    The paper's beta is (N - 1) / N for N prototypes; `auto` takes every sample for one. No class
    has more than N samples, so 1 - beta^n does not saturate whatever the size of the data: a class
    of n << N samples weighs 1 / n, one that is on every sample about 1.6 / N.

    Args:
        beta: In [0, 1), or `auto`.
        num_samples: N: the images behind the counts, or the sum of the counts where nobody said
            how many images there are. For boxes, and for one label per image, the two are the same.

    Raises:
        ConfigError: If beta is out of range.

    References:
        Cui et al., Class-Balanced Loss Based on Effective Number of Samples, CVPR 2019.

    Example:
        >>> resolve_beta("auto", 1000)
        0.999
    """
    if beta == "auto":
        return float((num_samples - 1) / num_samples)
    if not 0 <= beta < 1:
        raise ConfigError(f"beta must be in [0, 1) or 'auto', not {beta}.")
    return beta


def inverse_frequency_weights(counts: Array, images: Array | float, power: float = 1.0) -> Array:
    """Give (M / n)^power for each class, not scaled.

    Args:
        counts: Positives a class, at least 1.
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


def log_odds(counts: Array, images: Array | float) -> Array:
    """Give log(n / (M - n)), the logit of each class's prior.

    Example:
        >>> log_odds(np.array([50.0, 1.0]), 100).round(3)
        array([ 0.   , -4.595])
    """
    return np.log(counts) - np.log(images - counts)


def class_margins(counts: Array, max_margin: float) -> Array:
    """Give LDAM's margins: max_margin (n_min / n)^(1/4).

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
