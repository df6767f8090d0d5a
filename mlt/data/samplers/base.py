"""What all samplers share: an epoch's draws are a pure function of seed and epoch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from mlt.errors import ConfigError

__all__ = ["EpochSampler", "SequentialSampler", "ShuffleSampler"]


class EpochSampler(Sampler[int]):
    """Draws image rows for one epoch after another; the base of all samplers here.

    Every process computes the same draws of the whole epoch and takes every
    ``num_replicas``-th of them, so all together see exactly the draws of a single process: nothing
    is lost, nothing added as padding. The shares of two processes differ by one draw at most.

    Args:
        num_images: Images in the table, N.
        num_draws: Draws per epoch, over all processes.
        seed: Fixes the draws, together with the epoch.
        num_replicas: Processes that share an epoch.
        rank: Which of them this is, from 0.

    Raises:
        ConfigError: If there is nothing to draw, or rank and num_replicas contradict each other.
    """

    def __init__(
        self, num_images: int, num_draws: int, seed: int = 0, num_replicas: int = 1, rank: int = 0
    ) -> None:
        if num_images < 1 or num_draws < 1:
            raise ConfigError(
                f"There is nothing to sample: {num_images} images, {num_draws} draws per epoch."
            )
        if not 0 <= rank < num_replicas:
            raise ConfigError(
                f"rank must be in 0..num_replicas - 1, got rank {rank} of {num_replicas}"
            )
        self.num_images = num_images
        self.num_draws = num_draws
        self.seed = seed
        self.num_replicas = num_replicas
        self.rank = rank
        self.epoch = 0
        self.start = 0

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        """Choose what the next iteration gives.

        Args:
            epoch: The epoch, from 0.
            start: Draws of this process that are done already; the iteration goes on after them.
        """
        if epoch < 0 or start < 0:
            raise ConfigError(f"epoch and start must not be negative, got {epoch} and {start}")
        self.epoch = epoch
        self.start = start

    def draws(self, epoch: int) -> np.ndarray:
        """The draws of an epoch over all processes, (num_draws,) int64 image rows in order."""
        raise NotImplementedError

    def image_draws(self) -> np.ndarray:
        """How often an epoch draws each image on average, (N,) float64; sums to num_draws."""
        raise NotImplementedError

    def positions(self) -> np.ndarray:
        """Where in ``draws`` this process's remaining draws are, in order."""
        return np.arange(self.rank, self.num_draws, self.num_replicas)[self.start :]

    def __iter__(self) -> Iterator[int]:
        yield from self.draws(self.epoch)[self.positions()].tolist()

    def __len__(self) -> int:
        """Remaining draws of this process."""
        return len(self.positions())


class ShuffleSampler(EpochSampler):
    """Every image once per epoch, in random order.

    Args:
        num_images: Images in the table, N.
        seed: Fixes the order, together with the epoch.
        num_replicas: Processes that share an epoch.
        rank: Which of them this is.

    Example:
        >>> sorted(ShuffleSampler(4))
        [0, 1, 2, 3]
    """

    def __init__(
        self, num_images: int, seed: int = 0, num_replicas: int = 1, rank: int = 0
    ) -> None:
        super().__init__(num_images, num_images, seed, num_replicas, rank)

    def draws(self, epoch: int) -> np.ndarray:
        """A permutation of all images."""
        return np.random.default_rng([self.seed, epoch]).permutation(self.num_images)

    def image_draws(self) -> np.ndarray:
        """One each."""
        return np.ones(self.num_images)


class SequentialSampler(EpochSampler):
    """Every image once, in the order of the table; for evaluation.

    Args:
        num_images: Images in the table, N.
        num_replicas: Processes that share them.
        rank: Which of them this is.

    Example:
        >>> list(SequentialSampler(5, num_replicas=2, rank=1))
        [1, 3]
    """

    def __init__(self, num_images: int, num_replicas: int = 1, rank: int = 0) -> None:
        super().__init__(num_images, num_images, 0, num_replicas, rank)

    def draws(self, epoch: int) -> np.ndarray:
        """0, 1, 2, ..."""
        return np.arange(self.num_images)

    def image_draws(self) -> np.ndarray:
        """One each."""
        return np.ones(self.num_images)
