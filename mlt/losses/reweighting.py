"""Weightings: how much the positive half and the negative half of each element count.

A weighting is given the targets (unknown ones blanked to 0) and returns two weights that broadcast
to their shape. Where both halves weigh the same it returns the same tensor twice. No gradient
passes through weights.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor

from mlt.class_counts import ClassCounts
from mlt.losses import part_settings
from mlt.losses.class_weights import (
    Array,
    effective_number_weights,
    inverse_frequency_weights,
    num_samples,
    positive_weights,
    required,
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
from mlt.losses.one_pass import belongs
from mlt.losses.schedule import ScheduledPart

__all__ = ["Weighting", "build_weighting"]

Weights = tuple[Tensor | float, Tensor | float]


class Weighting(ScheduledPart):
    """No weights, and the base of the others.

    Override `forward`. A class whose weights of a row depend on that row alone should say so with
    ``couples_rows = False`` beside it, and is evaluated faster.

    Example:
        >>> from mlt.losses import ElementwiseLoss
        >>> class HalfNegatives(Weighting):
        ...     couples_rows = False
        ...
        ...     def forward(self, targets, known=None):
        ...         return 1.0, 0.5
        >>> loss = ElementwiseLoss(weighting=HalfNegatives(), reduction="none")
        >>> loss(torch.zeros(1, 2), torch.tensor([[1, 0]]))
        tensor([[0.6931, 0.3466]])
    """

    couples_rows = False
    """Whether a row's weights may depend on other rows of the batch; True for a subclass that
    overrides `forward` without a word about it."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not belongs(cls, "couples_rows", to="forward"):
            cls.couples_rows = True

    def forward(self, targets: Tensor, known: Tensor | None = None) -> Weights:
        """Return the weights of the positive and of the negative half.

        Args:
            targets: Shape (..., C), in the type of the logits; 0 where unknown.
            known: Same shape, True where the label is annotated; None if all are.
        """
        return 1.0, 1.0


class ColumnWeighting(Weighting):
    """The class's weight on both halves."""

    couples_rows = False
    weight: Tensor

    def __init__(self, weight: Tensor, start_epoch: int = 0) -> None:
        super().__init__(start_epoch)
        self.register_class_vector("weight", weight)

    def forward(self, targets: Tensor, known: Tensor | None = None) -> Weights:
        """Return the class weights, shape (C,)."""
        weight = self.once_started(self.weight.to(targets.dtype), 1.0)
        return weight, weight


class PositiveWeighting(ColumnWeighting):
    """The class's weight on the positive half only."""

    couples_rows = False

    def forward(self, targets: Tensor, known: Tensor | None = None) -> Weights:
        """Return the class weights, shape (C,), for positives."""
        return super().forward(targets, known)[0], 1.0


class InstanceWeighting(ColumnWeighting):
    """The mean weight of the row's own classes on the whole row; 1 for a row without positives."""

    couples_rows = False

    def forward(self, targets: Tensor, known: Tensor | None = None) -> Weights:
        """Return one weight per row, shape (..., 1)."""
        weight = self.once_started(instance_weights(targets, self.weight), 1.0)
        return weight, weight


class RarestWeighting(ColumnWeighting):
    """The weight of the row's rarest class on the whole row; 1 for a row without positives."""

    couples_rows = False
    counts: Tensor

    def __init__(self, weight: Tensor, counts: Tensor, start_epoch: int = 0) -> None:
        super().__init__(weight, start_epoch)
        self.register_class_vector("counts", counts)

    def forward(self, targets: Tensor, known: Tensor | None = None) -> Weights:
        """Return one weight per row, shape (..., 1)."""
        weight = rarest_class_weights(targets, self.weight, self.counts)
        weight = self.once_started(weight, 1.0)
        return weight, weight


class MeanCountWeighting(Weighting):
    """factor (1 - beta) / (1 - beta^n) at the mean count n of the row's classes; 1 without any."""

    couples_rows = False
    counts: Tensor

    def __init__(self, counts: Tensor, beta: float, factor: float, start_epoch: int = 0) -> None:
        super().__init__(start_epoch)
        self.register_class_vector("counts", counts)
        self.beta = beta
        self.factor = factor

    def forward(self, targets: Tensor, known: Tensor | None = None) -> Weights:
        """Return one weight per row, shape (..., 1)."""
        mean = instance_weights(targets, self.counts)
        weight = self.factor * effective_number_at(mean, self.beta)
        weight = torch.where((targets > 0).any(-1, keepdim=True), weight, 1)
        weight = self.once_started(weight, 1.0)
        return weight, weight


class Rebalance(Weighting):
    """alpha + sigmoid(beta (r - mu)), r the class's share of the row's sum of 1 / n."""

    couples_rows = False
    inverse_counts: Tensor

    def __init__(self, inverse_counts: Tensor, part: part_settings.Rebalance) -> None:
        super().__init__(part.start_epoch)
        self.register_class_vector("inverse_counts", inverse_counts)
        self.part = part

    def forward(self, targets: Tensor, known: Tensor | None = None) -> Weights:
        """Return the weight of each element; 1 + alpha on rows without positives."""
        part = self.part
        weight = rebalance_weights(
            targets, self.inverse_counts, alpha=part.alpha, beta=part.beta, mu=part.mu
        )
        if part.normalise_rows:
            largest = (weight if known is None else torch.where(known, weight, 0)).amax(
                -1, keepdim=True
            )
            weight = weight / torch.where(largest > 0, largest, 1)
        weight = self.once_started(weight, 1.0)
        return weight, weight


class Equalization(Weighting):
    """No weight on the negatives of rare classes, except on rows without positives (background)."""

    couples_rows = False
    rare: Tensor

    def __init__(self, rare: Tensor, start_epoch: int = 0) -> None:
        super().__init__(start_epoch)
        self.register_class_vector("rare", rare)

    def forward(self, targets: Tensor, known: Tensor | None = None) -> Weights:
        """Return weights of negatives: 0 for a rare class where the row has a positive, else 1."""
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
        self.register_class_vector("sampling", sampling)
        self.num_classes = num_classes
        self.generator = generator

    def forward(self, targets: Tensor, known: Tensor | None = None) -> Weights:
        """Return the mask of the classes kept, shape (C,)."""
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
    part: part_settings.Weighting,
    counts: ClassCounts | None,
    generator: torch.Generator | None = None,
    asked_for: str | None = None,
) -> Weighting:
    """Build the weighting that a configuration describes.

    Args:
        part: The configuration.
        counts: Positives per class; None is enough for no weighting.
        generator: Source of the federated draw.
        asked_for: What an error should say needs counts, if not the weighting.

    Raises:
        ConfigError: If it needs class counts or the number of images and they are missing.
    """
    if isinstance(part, part_settings.NoWeighting):
        return Weighting()
    needing = asked_for or f"The weighting {part.name!r}"
    counts = required(counts, needing)
    match part:
        case part_settings.Inverse():
            images = counts.examples(needing)
            weights = inverse_frequency_weights(counts.clamped, images, part.power)
            weights = sum_to_classes(weights, counts.is_class) if part.normalise else weights
            return _by_scheme(part, weights + part.offset, counts)
        case part_settings.PositiveWeight():
            weights = positive_weights(
                counts.clamped, counts.examples(needing), part.power, part.max_weight
            )
            return PositiveWeighting(torch.from_numpy(weights), part.start_epoch)
        case part_settings.EffectiveNumber():
            weights = effective_number_weights(counts.clamped, part.beta, num_samples(counts))
            if part.beta != "auto":
                warn_if_equal(weights, counts.clamped)
            classes = weights if counts.is_class is None else weights[counts.is_class]
            factor = len(classes) / classes.sum() if part.normalise else 1.0
            if part.scheme == "average_n":
                beta = resolve_beta(part.beta, num_samples(counts))
                return MeanCountWeighting(
                    torch.from_numpy(counts.clamped), beta, factor, part.start_epoch
                )
            return _by_scheme(part, factor * weights, counts)
        case part_settings.Rebalance():
            return Rebalance(torch.from_numpy(1 / counts.clamped), part)
        case part_settings.Equalization():
            share = counts.clamped / counts.examples(needing)
            if (share >= part.threshold).all():
                warnings.warn(
                    f"Equalization changes nothing: no class is rarer than the threshold of "
                    f"{part.threshold:g}; the rarest is {share.min():.3g} of what was counted. "
                    "Raise the threshold.",
                    UserWarning,
                    stacklevel=6,
                )
            return Equalization(torch.from_numpy(share < part.threshold), part.start_epoch)
        case part_settings.Federated():
            if part.num_classes >= counts.num_classes:
                warnings.warn(
                    f"The federated weighting changes nothing: it keeps {part.num_classes} classes "
                    f"in a batch, and there are {counts.num_classes}. Lower num_classes.",
                    UserWarning,
                    stacklevel=6,
                )
            sampling = torch.from_numpy(counts.clamped**part.power)
            return Federated(sampling, part.num_classes, generator, part.start_epoch)


def _by_scheme(
    part: part_settings.Inverse | part_settings.EffectiveNumber, weights: Array, counts: ClassCounts
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
            return RarestWeighting(tensor, torch.from_numpy(counts.clamped), part.start_epoch)
