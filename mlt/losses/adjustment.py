"""Logit adjustments: where each half of a loss looks along the logit axis.

An adjustment gives the logit of the positive half, the logit of the negative half and a factor on
the negative half. All are affine, with one number a class.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mlt.class_counts import ClassCounts
from mlt.losses import part_settings as config
from mlt.losses.class_weights import class_margins, required
from mlt.losses.schedule import Part

__all__ = ["Adjusted", "Adjustment", "build_adjustment"]

Number = Tensor | float


class Adjusted(NamedTuple):
    """Both halves' logits, and how they move with the logit given."""

    positive: Tensor
    """Logit of the positive half."""
    negative: Tensor
    """Logit of the negative half; the same tensor where it is the same, the rates then being 1."""
    positive_rate: Number = 1.0
    """d positive / d logit."""
    negative_rate: Number = 1.0
    """d negative / d logit."""
    negative_factor: Number = 1.0
    """Factor on the cost of negatives."""


class Adjustment(Part):
    """No adjustment, and the base of the others."""

    def forward(self, logits: Tensor) -> Adjusted:
        """Give the logits of both halves."""
        return Adjusted(logits, logits)

    def undo(self, logits: Tensor) -> Tensor:
        """Give what the logits must be for the adjusted ones of the first epoch to be these.

        For what moves both halves alike: that is where training should start. Margins, which
        move one half, are left where they are.

        Args:
            logits: (..., C), what the loss is to see.
        """
        return logits


class PriorShift(Adjustment):
    """z + tau log(pi / (1 - pi))."""

    shift: Tensor

    def __init__(self, shift: Tensor, start_epoch: int = 0) -> None:
        super().__init__(start_epoch)
        self.register_buffer("shift", shift)

    def forward(self, logits: Tensor) -> Adjusted:
        """Shift both halves alike."""
        shifted = logits + self.once_started(self.shift.to(logits.dtype), 0.0)
        return Adjusted(shifted, shifted)

    def undo(self, logits: Tensor) -> Tensor:
        """Take the shift off."""
        return logits if self.start_epoch else logits - self.shift.to(logits.dtype)


class NegativeTolerant(Adjustment):
    """q = z + shift; positive half q, negative half neg_scale q, divided by neg_scale."""

    shift: Tensor

    def __init__(self, shift: Tensor, neg_scale: float, start_epoch: int = 0) -> None:
        super().__init__(start_epoch)
        self.register_buffer("shift", shift)
        self.neg_scale = neg_scale

    def forward(self, logits: Tensor) -> Adjusted:
        """Shift both halves, scale the negative one."""
        shifted = logits + self.once_started(self.shift.to(logits.dtype), 0.0)
        scale: Number = self.neg_scale
        if self.start_epoch:
            scale = self.once_started(torch.full_like(logits[..., :1], self.neg_scale), 1.0)
        return Adjusted(shifted, scale * shifted, 1.0, scale, 1.0 / scale)


class Margin(Adjustment):
    """Positive half scale (z - margin), negative half scale z."""

    margin: Tensor

    def __init__(self, margin: Tensor, scale: float = 1.0, start_epoch: int = 0) -> None:
        super().__init__(start_epoch)
        self.register_buffer("margin", margin)
        self.scale = scale

    def forward(self, logits: Tensor) -> Adjusted:
        """Subtract the margin from the positive half."""
        margin = self.once_started(self.margin.to(logits.dtype), 0.0)
        if self.scale == 1.0:
            return Adjusted(logits - margin, logits)
        scaled = self.scale * logits
        return Adjusted(scaled - self.scale * margin, scaled, self.scale, self.scale)

    def undo(self, logits: Tensor) -> Tensor:
        """Take the scale off."""
        return logits / self.scale


def build_adjustment(part: config.Adjustment, counts: ClassCounts | None) -> Adjustment:
    """Build the adjustment that a configuration describes.

    Raises:
        ConfigError: If it needs class counts or the number of images and they are missing.
    """
    match part:
        case config.NoAdjustment():
            return Adjustment()
        case config.Margin():
            return Margin(torch.tensor(part.margin, dtype=torch.float64), 1.0, part.start_epoch)
        case config.PriorShift():
            counts = required(counts, "A shift by the class prior")
            counts.examples("A shift by the class prior")
            return PriorShift(torch.from_numpy(part.tau * counts.log_odds), part.start_epoch)
        case config.NegativeTolerant():
            counts = required(counts, "The negative-tolerant shift")
            counts.examples("The negative-tolerant shift")
            shift = torch.from_numpy(part.init_bias / part.neg_scale * counts.log_odds)
            return NegativeTolerant(shift, part.neg_scale, part.start_epoch)
        case config.ClassMargin():
            counts = required(counts, "A margin by class")
            margins = torch.from_numpy(class_margins(counts.clamped, part.max_margin))
            return Margin(margins, part.scale, part.start_epoch)
