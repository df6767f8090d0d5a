"""Repeated augmentation: several copies of each drawn image in a row."""

from __future__ import annotations

import numpy as np

from mlt.data.samplers.base import EpochSampler

__all__ = ["RepeatedSampler"]


class RepeatedSampler(EpochSampler):
    """Repeats each draw of another sampler; the length of an epoch stays.

    Copies stand beside each other, so that a batch has all of them where its size is a multiple of
    their number; each is augmented by itself. An epoch has the first draws of the other sampler
    only: with 3 copies, a third of them. As ``RepeatAugSampler`` of DeiT and timm. (Berman et al.,
    MultiGrain, arXiv 1902.05509; Hoffer et al., Augment Your Batch, CVPR 2020.)

    Args:
        sampler: Whose draws are repeated.
        repeats: Copies of each.

    Example:
        >>> from mlt.data.samplers.base import SequentialSampler
        >>> list(RepeatedSampler(SequentialSampler(5), repeats=2))
        [0, 0, 1, 1, 2]
    """

    def __init__(self, sampler: EpochSampler, repeats: int) -> None:
        super().__init__(
            sampler.num_images,
            sampler.num_draws,
            sampler.seed,
            sampler.num_replicas,
            sampler.rank,
        )
        self.sampler = sampler
        self.repeats = repeats

    def draws(self, epoch: int) -> np.ndarray:
        """The first draws of the other sampler, each ``repeats`` times."""
        return np.repeat(self.sampler.draws(epoch), self.repeats)[: self.num_draws]

    def image_draws(self) -> np.ndarray:
        """Those of the other sampler, if its order is random."""
        return self.sampler.image_draws()
