"""Parts of a loss: class vectors as buffers, and an epoch from which they are on."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

__all__ = ["Float32Fallback", "ScheduledPart"]


class Float32Fallback(nn.Module):
    """A module whose float64 buffers become float32 on a device that does not have float64."""

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Float32Fallback:
        # Class vectors are float64, so that float64 logits get all their digits. Apple's GPUs do
        # not have float64 and refuse such a buffer with a TypeError; float32 is right for them.
        try:
            return super()._apply(fn, recurse)
        except TypeError:
            return super()._apply(
                lambda t: fn(t.float() if t.dtype == torch.float64 else t), recurse
            )


class ScheduledPart(Float32Fallback):
    """A part of a loss that may start at an epoch: deferred re-weighting, a deferred margin.

    The epoch is a buffer, so a checkpoint of the loss resumes at the right one, and moving on to
    the next epoch recompiles nothing.

    Args:
        start_epoch: First epoch, counted from 0, in which the part is on; 0 for always.
    """

    epoch: Tensor

    num_columns: int | None = None
    """Length C of the class vectors; None if there are none."""

    def __init__(self, start_epoch: int = 0) -> None:
        super().__init__()
        self.start_epoch = start_epoch
        if start_epoch:
            self.register_buffer("epoch", torch.zeros((), dtype=torch.int64))

    def register_class_vector(self, name: str, vector: Tensor) -> None:
        """Register a buffer of one number per class, shape (C,)."""
        self.register_buffer(name, vector)
        self.num_columns = len(vector)

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch is being trained."""
        if self.start_epoch:
            self.epoch.fill_(epoch)

    def once_started(self, value: Tensor, before: float) -> Tensor:
        """Return ``value`` from the start epoch on, ``before`` until then."""
        if not self.start_epoch:
            return value
        return torch.where(self.epoch >= self.start_epoch, value, before)
