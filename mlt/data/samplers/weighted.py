"""Draws with replacement, in proportion to a weight of each image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlt.data.samplers.base import EpochSampler
from mlt.errors import ConfigError

__all__ = ["WeightedSampler"]


class WeightedSampler(EpochSampler):
    """Draw images with replacement, with probability proportional to their weight.

    Args:
        weights: (N,) weights, not negative.
        num_draws: Draws per epoch; None for N.
        seed: Fixes the draws, together with the epoch.
        num_replicas: Processes that share an epoch.
        rank: Which of them this is.

    Raises:
        ConfigError: If a weight is negative or not finite, or all are 0.

    Example:
        >>> list(WeightedSampler([0.0, 1.0, 0.0]))
        [1, 1, 1]
    """

    def __init__(
        self,
        weights: np.ndarray | Sequence[float],
        num_draws: int | None = None,
        seed: int = 0,
        num_replicas: int = 1,
        rank: int = 0,
    ) -> None:
        weights = np.asarray(weights, np.float64)
        if weights.ndim != 1 or not np.isfinite(weights).all() or (weights < 0).any():
            raise ConfigError("Image weights must be a list of finite numbers, none negative.")
        if len(weights) and not weights.any():
            raise ConfigError("All image weights are 0: nothing could ever be drawn.")
        length = len(weights) if num_draws is None else num_draws
        super().__init__(len(weights), length, seed, num_replicas, rank)
        self._share = weights / weights.sum()

    def draws(self, epoch: int) -> np.ndarray:
        """The draws of an epoch, int64 image rows."""
        generator = np.random.default_rng([self.seed, epoch])
        return generator.choice(self.num_images, self.num_draws, p=self._share)

    def image_draws(self) -> np.ndarray:
        """num_draws times the image's share of all weight."""
        return self.num_draws * self._share
