"""Weightings: how much the positive half and the negative half of each element count.

A weighting is given the targets (unknown ones blanked to 0) and gives two weights that broadcast
to their shape. Where both halves weigh the same it gives the same tensor twice. No gradient passes
through weights.
"""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from mlt.losses import part_settings as config
from mlt.losses.class_weights import (
    Array,
    ClassCounts,
    effective_number_weights,
    inverse_frequency_weights,
    resolve_beta,
    sum_to_classes,
    warn_if_equal,
)
from mlt.losses.instance_weights import (
    effective_number_at,
    equalization_weights,
    instance_weights,
    rarest_class_weights,
    rebalance_weights,
)
from mlt.losses.schedule import Part

__all__ = ["Weighting", "build_weighting"]

Weights = tuple[Tensor | float, Tensor | float]


class Weighting(Part):
    """No weights, and the base of the others."""

    couples_rows = False
    """Whether a row's weights depend on other rows of the batch."""

    def forward(self, targets: Tensor, known: Tensor | None = None) -> Weights:
        """Give the weights of the positive and of the negative half."""
        return 1.0, 1.0


class ColumnWeighting(Weighting):
    """The class's weight on both halves."""

    weight: Tensor

    def __init__(self, weight: Tensor, start_epoch: int = 0) -> None:
        super().__init__(start_epoch)
        self.register_buffer("weight", weight)

    def forward(self, targets: Tensor, known: Tensor | None = None) -> Weights:
        """Give the class weights, shape (C,)."""
        weight = self.once_started(self.weight.to(targets.dtype), 1.0)
        return weight, weight


class PositiveWeighting(ColumnWeighting):
    """The class's weight on the positive half only."""

    def forward(self, targets: Tensor, known: Tensor | None = None) -> Weights:
        """Give the class weights, shape (C,), for positives."""
        return super().forward(targets, known)[0], 1.0


class InstanceWeighting(ColumnWeighting):
    """The mean weight of the row's own classes on the whole row; 1 for a row without positives."""

    def forward(self, targets: Tensor, known: Tensor | None = None) -> Weights:
        """Give one weight a row, shape (..., 1)."""
        weight = self.once_started(instance_weights(targets, self.weight), 1.0)
        return weight, weight


class RarestWeighting(ColumnWeighting):
    """The weight of the row's rarest class on the whole row; 1 for a row without positives."""

    counts: Tensor

    def __init__(self, weight: Tensor, counts: Tensor, start_epoch: int = 0) -> None:
        super().__init__(weight, start_epoch)
        self.register_buffer("counts", counts)

    def forward(self, targets: Tensor, known: Tensor | None = None) -> Weights:
        """Give one weight a row, shape (..., 1)."""
        weight = rarest_class_weights(targets, self.weight, self.counts)
        weight = self.once_started(weight, 1.0)
        return weight, weight


class MeanCountWeighting(Weighting):
    """factor (1 - beta) / (1 - beta^n) at the mean count n of the row's classes; 1 without any."""

    counts: Tensor

    def __init__(self, counts: Tensor, beta: float, factor: float, start_epoch: int = 0) -> None:
        super().__init__(start_epoch)
        self.register_buffer("counts", counts)
        self.beta = beta
        self.factor = factor

    def forward(self, targets: Tensor, known: Tensor | None = None) -> Weights:
        """Give one weight a row, shape (..., 1)."""
        mean = instance_weights(targets, self.counts)
        weight = self.factor * effective_number_at(mean, self.beta)
        weight = torch.where((targets > 0).any(-1, keepdim=True), weight, 1)
        weight = self.once_started(weight, 1.0)
        return weight, weight


class Rebalance(Weighting):
    """alpha + sigmoid(beta (r - mu)), r the class's share of the row's sum of 1 / n."""

    inverse_counts: Tensor

    def __init__(self, inverse_counts: Tensor, part: config.Rebalance) -> None:
        super().__init__(part.start_epoch)
        self.register_buffer("inverse_counts", inverse_counts)
        self.part = part

    def forward(self, targets: Tensor, known: Tensor | None = None) -> Weights:
        """Give the weight of each element; 1 + alpha on rows without positives."""
        part = self.part
        weight = rebalance_weights(targets, self.inverse_counts, part.alpha, part.beta, part.mu)
        if part.normalise_rows:
            largest = (weight if known is None else torch.where(known, weight, 0)).amax(
                -1, keepdim=True
            )
            weight = weight / torch.where(largest > 0, largest, 1)
        weight = self.once_started(weight, 1.0)
        return weight, weight


class Equalization(Weighting):
    """No weight on the negatives of rare classes, except on rows without positives (background)."""

    rare: Tensor

    def __init__(self, rare: Tensor, start_epoch: int = 0) -> None:
        super().__init__(start_epoch)
        self.register_buffer("rare", rare)

    def forward(self, targets: Tensor, known: Tensor | None = None) -> Weights:
        """Give weights of negatives: 0 for a rare class where the row has a positive, else 1."""
        weight = equalization_weights(targets, self.rare)
        return 1.0, self.once_started(weight, 1.0)


class Federated(Weighting):
    """Weight 1 on the batch's own classes and on a random draw of others, 0 on the rest.

    Args:
        sampling: Relative probability of each class to be drawn, shape (C,).
        num_classes: Classes kept in a batch.
        generator: Source of the draw; None for torch's own.
        start_epoch: First epoch in which classes are left out.
    """

    couples_rows = True
    sampling: Tensor

    def __init__(
        self,
        sampling: Tensor,
        num_classes: int,
        generator: torch.Generator | None = None,
        start_epoch: int = 0,
    ) -> None:
        super().__init__(start_epoch)
        self.register_buffer("sampling", sampling)
        self.num_classes = num_classes
        self.generator = generator

    def forward(self, targets: Tensor, known: Tensor | None = None) -> Weights:
        """Give the mask of the classes kept, shape (C,)."""
        present = (targets > 0).flatten(0, -2).any(0)
        others = min(self.num_classes - int(present.sum()), int((~present).sum()))
        kept = present.to(targets.dtype)
        if others > 0:
            odds = torch.where(present, 0, self.sampling)
            drawn = torch.multinomial(odds, others, generator=self.generator)
            kept = kept.index_fill(0, drawn, 1.0)
        kept = self.once_started(kept, 1.0)
        return kept, kept


def build_weighting(
    part: config.Weighting,
    counts: ClassCounts | None,
    generator: torch.Generator | None = None,
) -> Weighting:
    """Build the weighting that a configuration describes.

    Args:
        part: The configuration.
        counts: Positives a class; None is enough for no weighting.
        generator: Source of the federated draw.

    Raises:
        ConfigError: If it needs class counts or the number of images and they are missing.
    """
    if isinstance(part, config.NoWeighting):
        return Weighting()
    counts = ClassCounts.required(counts, f"The weighting {part.name!r}")
    match part:
        case config.Inverse():
            images = counts.images("Inverse frequency")
            weights = inverse_frequency_weights(counts.counts, images, part.power)
            weights = sum_to_classes(weights, counts.is_class) if part.normalise else weights
            return _by_scheme(part, weights + part.offset, counts)
        case config.EffectiveNumber():
            weights = effective_number_weights(counts.counts, part.beta, counts.num_samples)
            if part.beta != "auto":
                warn_if_equal(weights, counts.counts)
            classes = weights if counts.is_class is None else weights[counts.is_class]
            factor = len(classes) / classes.sum() if part.normalise else 1.0
            if part.scheme == "average_n":
                beta = resolve_beta(part.beta, counts.num_samples)
                return MeanCountWeighting(
                    torch.from_numpy(counts.counts), beta, factor, part.start_epoch
                )
            return _by_scheme(part, factor * weights, counts)
        case config.Rebalance():
            return Rebalance(torch.from_numpy(1 / counts.counts), part)
        case config.Equalization():
            share = counts.counts / counts.images("Equalization")
            if (share >= part.threshold).all():
                warnings.warn(
                    f"Equalization changes nothing: no class is rarer than the threshold of "
                    f"{part.threshold:g}; the rarest is {share.min():.3g} of what was counted. "
                    "Raise the threshold.",
                    UserWarning,
                    stacklevel=5,
                )
            return Equalization(torch.from_numpy(share < part.threshold), part.start_epoch)
        case config.Federated():
            if part.num_classes >= counts.num_classes:
                warnings.warn(
                    f"The federated weighting changes nothing: it keeps {part.num_classes} classes "
                    f"in a batch, and there are {counts.num_classes}. Lower num_classes.",
                    UserWarning,
                    stacklevel=5,
                )
            sampling = torch.from_numpy(counts.counts**part.power)
            return Federated(sampling, part.num_classes, generator, part.start_epoch)


def _by_scheme(
    part: config.Inverse | config.EffectiveNumber, weights: Array, counts: ClassCounts
) -> Weighting:
    tensor = torch.from_numpy(weights)
    match part.scheme:
        case "column" | "by_class":
            return ColumnWeighting(tensor, part.start_epoch)
        case "positive":
            return PositiveWeighting(tensor, part.start_epoch)
        case "instance" | "average_w":
            return InstanceWeighting(tensor, part.start_epoch)
        case _:
            return RarestWeighting(tensor, torch.from_numpy(counts.counts), part.start_epoch)
