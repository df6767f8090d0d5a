"""LVIS's repeat-factor sampler: every image at least once, rare classes more often."""

from __future__ import annotations

import warnings

import numpy as np
from scipy.sparse import csr_array

from mlt.data.samplers.base import EpochSampler
from mlt.data.sparse import canonical
from mlt.errors import ConfigError

__all__ = ["RepeatFactorSampler", "repeat_factors"]


class RepeatFactorSampler(EpochSampler):
    """Repeat each image by the factor of its rarest class, in random order.

    A factor's fraction is rounded up or down at random each epoch, as in LVIS, but not for each
    image by itself: with systematic sampling, which gives each image the same chance of the extra
    draw and yet every epoch the same length. To that end the factors are scaled by less than
    1 + 1 / N, to sum to a whole number.

    Args:
        labels: (N, C) labels.
        threshold: Classes in fewer than this share of the images are repeated.
        seed: Fixes rounding and order, together with the epoch.
        num_replicas: Processes that share an epoch.
        rank: Which of them this is.

    References:
        Gupta, Dollar, Girshick, LVIS, CVPR 2019, arXiv 1908.03195.

    Example:
        >>> labels = csr_array(np.array([[1, 0]] * 9 + [[0, 1]], dtype=bool))
        >>> sampler = RepeatFactorSampler(labels, threshold=0.4)  # sqrt(0.4 / 0.1) = 2
        >>> sorted(sampler)
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9]
    """

    def __init__(
        self,
        labels: csr_array,
        threshold: float = 1e-3,
        seed: int = 0,
        num_replicas: int = 1,
        rank: int = 0,
    ) -> None:
        factors = repeat_factors(labels, threshold)
        if len(factors) and factors.max() == 1:
            warnings.warn(
                "Repeat-factor sampling repeats nothing: no class is on less than "
                f"{threshold:g} of the images. Raise the threshold.",
                UserWarning,
                stacklevel=2,
            )
        # A sum such as 11.000000000000002 is 11.
        length = int(np.ceil(factors.sum() * (1 - 1e-12)))
        super().__init__(len(factors), length, seed, num_replicas, rank)
        self._factors = factors * (length / factors.sum()) if length else factors

    def draws(self, epoch: int) -> np.ndarray:
        """The draws of an epoch, int64 image rows."""
        generator = np.random.default_rng([self.seed, epoch])
        order = generator.permutation(self.num_images)
        # Along a line on which each image has a stretch as long as its factor, take a point every
        # unit: a stretch holds the factor's floor or ceiling of them.
        ends = np.cumsum(self._factors[order])
        ends *= self.num_draws / ends[-1]
        points = generator.random() + np.arange(self.num_draws)
        drawn = order[np.searchsorted(ends, points, side="right").clip(max=len(ends) - 1)]
        return generator.permutation(drawn)

    def image_draws(self) -> np.ndarray:
        """The factors."""
        return self._factors


def repeat_factors(labels: csr_array, threshold: float = 1e-3) -> np.ndarray:
    """LVIS's repeat factor of each image.

    A class on the share f of the images has the factor max(1, sqrt(threshold / f)), an image the
    largest factor of its classes, or 1 without any.

    Args:
        labels: (N, C) labels.
        threshold: t of the paper, in (0, 1].

    Returns:
        (N,) float64, at least 1.

    Raises:
        ConfigError: If the threshold is out of range.

    Example:
        >>> labels = csr_array(np.array([[1, 0], [1, 0], [1, 0], [1, 1]], dtype=bool))
        >>> repeat_factors(labels, threshold=1.0).tolist()
        [1.0, 1.0, 1.0, 2.0]
    """
    if not 0 < threshold <= 1:
        raise ConfigError(f"threshold must be in (0, 1], got {threshold}")
    num_images, num_classes = labels.shape
    labels = canonical(labels, labels.shape, "labels")  # a stored 0 is not a label
    counts = np.bincount(labels.indices, minlength=num_classes)
    of_class = np.sqrt(np.maximum(1, threshold * num_images / np.maximum(counts, 1)))
    factors = np.ones(num_images)
    rows = np.repeat(np.arange(num_images), np.diff(labels.indptr))
    np.maximum.at(factors, rows, of_class[labels.indices])
    return factors
