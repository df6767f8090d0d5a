"""From a configuration to a sampler, and what to expect of it."""

from __future__ import annotations

import numpy as np
import torch

from mlt.class_counts import ClassCounts
from mlt.data.labels import LabelTable
from mlt.data.samplers import settings as config
from mlt.data.samplers.base import EpochSampler, ShuffleSampler
from mlt.data.samplers.class_aware import ClassAwareSampler
from mlt.data.samplers.repeat_factor import RepeatFactorSampler
from mlt.data.samplers.weighted import WeightedSampler
from mlt.losses.class_weights import warn_of_clamped
from mlt.losses.reweighting import Weighting, build_weighting

__all__ = ["build_sampler", "expected_draws", "image_weights"]

_DENSE_ELEMENTS = 1 << 22


def build_sampler(
    settings: config.SamplerConfig,
    table: LabelTable,
    class_counts: ClassCounts,
    seed: int = 0,
    num_replicas: int = 1,
    rank: int = 0,
) -> EpochSampler:
    """Make the sampler of a configuration.

    Args:
        settings: The sampler section.
        table: The training images.
        class_counts: Their counts.
        seed: Fixes the draws, together with the epoch.
        num_replicas: Processes that share an epoch.
        rank: Which of them this is, from 0.

    Raises:
        ConfigError: If rank and num_replicas contradict each other.
        DataError: If the sampler needs labels and there are none.

    Example:
        >>> table = LabelTable.from_lists([1, 2], ["a", "b"], ["cat", "dog"], [[0], [0, 1]])
        >>> settings = config.ClassAwareSampler(name="class_aware")
        >>> len(build_sampler(settings, table, table.class_counts()))
        1
    """
    share = {"seed": seed, "num_replicas": num_replicas, "rank": rank}
    match settings:
        case config.ShuffleSampler():
            return ShuffleSampler(len(table), **share)
        case config.ClassAwareSampler():
            return ClassAwareSampler(
                table.labels,
                settings.images_per_class,
                settings.length_divisor,
                class_names=table.class_names,
                **share,
            )
        case config.RepeatFactorSampler():
            return RepeatFactorSampler(table.labels, settings.threshold, **share)
        case config.WeightedSampler():
            warn_of_clamped(class_counts)
            weighting = build_weighting(settings.weighting, class_counts)
            return WeightedSampler(image_weights(weighting, table), settings.draws, **share)


def image_weights(weighting: Weighting, table: LabelTable) -> np.ndarray:
    """The weight of each image under an instance weighting of the losses.

    Args:
        weighting: Gives one weight per row.
        table: N images.

    Returns:
        (N,) float64; 1 for an image without labels.

    Example:
        >>> table = LabelTable.from_lists([1, 2], ["a", "b"], ["cat", "dog"], [[0], [0, 1]])
        >>> counts = ClassCounts.from_counts([2, 1], num_images=4)
        >>> part = config.Inverse(name="inverse", scheme="instance", normalise=False)
        >>> image_weights(build_weighting(part, counts), table).tolist()
        [2.0, 3.0]
    """
    step = max(1, _DENSE_ELEMENTS // max(1, table.num_classes))
    parts = []
    for first in range(0, len(table), step):
        rows = np.arange(first, min(first + step, len(table)))
        weights, _ = weighting(torch.from_numpy(table.targets(rows)).double())
        assert weights is not None and weights.shape == (len(rows), 1)
        parts.append(weights[:, 0].numpy())
    return np.concatenate(parts) if parts else np.empty(0)


def expected_draws(sampler: EpochSampler, table: LabelTable) -> np.ndarray:
    """How often an epoch draws an image of each class on average, over all processes.

    Args:
        sampler: Of this table.
        table: N images, C classes.

    Returns:
        (C,) float64; an image counts for each of its classes. With plain shuffling these are the
        class counts.

    Example:
        >>> table = LabelTable.from_lists([1, 2], ["a", "b"], ["cat", "dog"], [[0], [0, 1]])
        >>> expected_draws(ShuffleSampler(2), table).tolist()
        [2.0, 1.0]
        >>> expected_draws(WeightedSampler([1, 3]), table).tolist()
        [2.0, 1.5]
    """
    return np.asarray(table.labels.T @ sampler.image_draws(), np.float64)
