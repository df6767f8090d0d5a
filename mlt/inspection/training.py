"""What loss and sampler a configuration makes of the class counts."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from mlt.class_counts import ClassCounts
from mlt.data.labels import LabelTable
from mlt.data.samplers.settings import SamplerConfig, ShuffleSampler
from mlt.errors import UserError
from mlt.losses.class_weights import effective_number_weights, sum_to_classes
from mlt.losses.loss_config import LossConfig
from mlt.losses.part_settings import NoWeighting

__all__ = ["Rebalancing", "rebalancing"]

MOST_CLASSES = 5000
"""The weights of a loss are read from an image of each class alone, a (C, C) array."""


@dataclass(frozen=True)
class Rebalancing:
    """Weights and draws by class.

    Attributes:
        class_balanced: The class-balanced weights of these counts, (1 - beta) / (1 - beta^n) with
            beta = (N - 1) / N and mean 1, whatever the configuration has.
        loss_weights: What the configured loss multiplies a positive of the class by, on an image
            that has no other class; None where that does not depend on class counts alone.
        draws: Images of the class in an epoch of the configured sampler, on average; None without a
            configuration.
        draws_per_epoch: All draws of an epoch.
        problem: Why one of them could not be computed; empty if they could.
    """

    class_balanced: dict[str, float]
    loss_weights: dict[str, float] | None
    draws: dict[str, float] | None
    draws_per_epoch: int | None
    problem: str = ""


def rebalancing(
    table: LabelTable,
    counts: ClassCounts,
    loss: LossConfig | None = None,
    sampler: SamplerConfig | None = None,
) -> Rebalancing:
    """Compute the weights and draws of a training split.

    Args:
        table: The training images.
        counts: Their counts.
        loss: The loss section of a configuration.
        sampler: The sampler section.

    Example:
        >>> lists = [[0], [0, 1], []]
        >>> table = LabelTable.from_lists([1, 2, 3], "abc", ["cat", "dog"], lists)
        >>> found = rebalancing(table, table.class_counts(), sampler=ShuffleSampler())
        >>> {name: round(weight, 2) for name, weight in found.class_balanced.items()}
        {'cat': 0.75, 'dog': 1.25}
        >>> found.draws
        {'cat': 2.0, 'dog': 1.0}
    """
    weights = sum_to_classes(effective_number_weights(counts.clamped, "auto", max(len(table), 2)))
    loss_weights = draws = total = None
    problem = ""
    with warnings.catch_warnings():
        # They are of classes without training images, which the inspection names by itself.
        warnings.simplefilter("ignore", UserWarning)
        try:
            loss_weights = None if loss is None else _loss_weights(loss, counts)
            if sampler is not None:
                draws, total = _draws(sampler, table, counts)
        except UserError as error:
            problem = str(error)

    def by_name(values: np.ndarray | None) -> dict[str, float] | None:
        return None if values is None else dict(zip(counts.names, values.tolist()))

    balanced = by_name(weights)
    assert balanced is not None
    return Rebalancing(balanced, by_name(loss_weights), by_name(draws), total, problem)


# torch, which takes seconds to import, is only needed for what is weighted.


def _loss_weights(loss: LossConfig, counts: ClassCounts) -> np.ndarray | None:
    weighting = getattr(loss, "weighting", None)
    if weighting is None or counts.num_classes > MOST_CLASSES:
        return None
    if isinstance(weighting, NoWeighting):
        return np.ones(counts.num_classes)
    import torch

    from mlt.losses.reweighting import build_weighting

    started = weighting
    if getattr(weighting, "start_epoch", 0):
        started = weighting.model_copy(update={"start_epoch": 0})
    module = build_weighting(started, counts)
    if module.couples_rows:
        return None
    each_class_alone = torch.eye(counts.num_classes, dtype=torch.float64)
    positive, _ = module(each_class_alone)
    return torch.as_tensor(positive).broadcast_to(each_class_alone.shape).diagonal().numpy()


def _draws(
    sampler: SamplerConfig, table: LabelTable, counts: ClassCounts
) -> tuple[np.ndarray, int]:
    if isinstance(sampler, ShuffleSampler):
        return counts.counts.astype(np.float64), len(table)
    from mlt.data.samplers import build_sampler, expected_draws

    built = build_sampler(sampler, table, counts)
    return expected_draws(built, table), built.num_draws
