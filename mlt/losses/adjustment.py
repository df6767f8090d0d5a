"""Logit adjustments: where each half of a loss looks along the logit axis.

An adjustment returns the logit of the positive half, the logit of the negative half and a factor
on the negative half. Those here are affine, with one number per class.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from mlt.class_counts import ClassCounts
from mlt.losses import part_settings
from mlt.losses.class_weights import class_margins, required
from mlt.losses.one_pass import belongs
from mlt.losses.schedule import ScheduledPart

__all__ = ["Adjusted", "Adjustment", "build_adjustment"]

Number = Tensor | float


class Adjusted(NamedTuple):
    """The logits of both halves."""

    positive: Tensor
    """Logit of the positive half."""
    negative: Tensor
    """Logit of the negative half; the same tensor where it is the same, which saves work."""
    negative_factor: Number = 1.0
    """Factor on the cost of negatives."""


class Adjustment(ScheduledPart):
    """No adjustment, and the base of the others.

    Override `forward`; autograd does the rest. To be evaluated as fast as those of this package, a
    class may add `rates`, if each logit is adjusted by itself.

    Example:
        >>> from mlt.losses import ElementwiseLoss
        >>> class Temperature(Adjustment):
        ...     def forward(self, logits):
        ...         return Adjusted(logits / 2, logits / 2)
        >>> ElementwiseLoss(adjustment=Temperature())(torch.tensor([[2.0]]), torch.tensor([[1]]))
        tensor(0.3133)
    """

    written_out = True
    """Whether `rates` are those of `forward`."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.written_out = belongs(cls, "rates", to="forward")

    def forward(self, logits: Tensor) -> Adjusted:
        """Return the logits of both halves, each of the shape (..., C) of the logits given."""
        return Adjusted(logits, logits)

    def rates(self, logits: Tensor) -> tuple[Number, Number]:
        """Return the derivatives of the logits of both halves along the logits given."""
        return 1.0, 1.0

    def undo(self, logits: Tensor) -> Tensor:
        """Return what the logits must be for the adjusted ones of the first epoch to be these.

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
        self.register_class_vector("shift", shift)

    def forward(self, logits: Tensor) -> Adjusted:
        """Shift both halves alike."""
        shifted = logits + self.once_started(self.shift.to(logits.dtype), 0.0)
        return Adjusted(shifted, shifted)

    def rates(self, logits: Tensor) -> tuple[Number, Number]:
        """Both halves move with the logit."""
        return 1.0, 1.0

    def undo(self, logits: Tensor) -> Tensor:
        """Take the shift off."""
        return logits if self.start_epoch else logits - self.shift.to(logits.dtype)


class NegativeTolerant(Adjustment):
    """q = z + shift; positive half q, negative half neg_scale q, divided by neg_scale."""

    shift: Tensor

    def __init__(self, shift: Tensor, neg_scale: float, start_epoch: int = 0) -> None:
        super().__init__(start_epoch)
        self.register_class_vector("shift", shift)
        self.neg_scale = neg_scale

    def forward(self, logits: Tensor) -> Adjusted:
        """Shift both halves, scale the negative one."""
        shifted = logits + self.once_started(self.shift.to(logits.dtype), 0.0)
        scale = self._scale(logits)
        return Adjusted(shifted, scale * shifted, 1.0 / scale)

    def rates(self, logits: Tensor) -> tuple[Number, Number]:
        """The negative half moves by its scale."""
        return 1.0, self._scale(logits)

    def _scale(self, logits: Tensor) -> Number:
        if not self.start_epoch:
            return self.neg_scale
        return self.once_started(torch.full_like(logits[..., :1], self.neg_scale), 1.0)


class Margin(Adjustment):
    """Positive half scale (z - margin), negative half scale z; one margin, or one per class."""

    margin: Tensor

    def __init__(self, margin: Tensor, scale: float = 1.0, start_epoch: int = 0) -> None:
        super().__init__(start_epoch)
        if margin.ndim:
            self.register_class_vector("margin", margin)
        else:
            self.register_buffer("margin", margin)
        self.scale = scale

    def forward(self, logits: Tensor) -> Adjusted:
        """Subtract the margin from the positive half."""
        margin = self.once_started(self.margin.to(logits.dtype), 0.0)
        if self.scale == 1.0:
            return Adjusted(logits - margin, logits)
        scaled = self.scale * logits
        return Adjusted(scaled - self.scale * margin, scaled)

    def rates(self, logits: Tensor) -> tuple[Number, Number]:
        """Both halves move by the scale."""
        return self.scale, self.scale

    def undo(self, logits: Tensor) -> Tensor:
        """Take the scale off."""
        return logits / self.scale


def build_adjustment(
    part: part_settings.Adjustment,
    counts: ClassCounts | None,
    asked_for: str | None = None,
) -> Adjustment:
    """Build the adjustment that a configuration describes.

    Args:
        part: The configuration.
        counts: Positives per class; None is enough for no adjustment, or one margin for all.
        asked_for: What an error should say needs counts, if not the adjustment.

    Raises:
        ConfigError: If it needs class counts or the number of images and they are missing.
    """
    needing = asked_for or f"The adjustment {part.name!r}"
    match part:
        case part_settings.NoAdjustment():
            return Adjustment()
        case part_settings.Margin():
            return Margin(torch.tensor(part.margin, dtype=torch.float64), 1.0, part.start_epoch)
    counts = required(counts, needing)
    match part:
        case part_settings.PriorShift():
            counts.examples(needing)
            return PriorShift(torch.from_numpy(part.tau * counts.log_odds), part.start_epoch)
        case part_settings.NegativeTolerant():
            counts.examples(needing)
            shift = torch.from_numpy(part.init_bias / part.neg_scale * counts.log_odds)
            return NegativeTolerant(shift, part.neg_scale, part.start_epoch)
        case part_settings.ClassMargin():
            margins = torch.from_numpy(class_margins(counts.clamped, part.max_margin))
            return Margin(margins, part.scale, part.start_epoch)
