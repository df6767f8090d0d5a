"""Measurements of batches and updates that are still on the device.

Reading a number from an accelerator waits for everything that was queued on it before, so losses
and norms are read several at a time: the device computes on while the next batches are prepared.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mlt.engine.position import Position
from mlt.errors import TrainingError

__all__ = ["Pending"]

_TOGETHER = 16
"""Batches of an accelerator that are read together; a loss that is not finite is found as late."""


@dataclass
class _BatchLoss:
    epoch: int
    batch: int
    loss: Tensor
    images: int
    rows: Tensor
    logits: tuple[Tensor, Tensor]


@dataclass
class _Gradient:
    norm: Tensor
    images: int
    part_norm: Tensor | None
    part_images: int


@dataclass
class Pending:
    """Losses and gradient norms that were not read yet, in their order."""

    _losses: list[_BatchLoss] = field(default_factory=list)
    _gradients: list[_Gradient] = field(default_factory=list)
    _images: int = 0
    _part: tuple[Tensor, int] | None = None

    def add_loss(
        self, position: Position, loss: Tensor, images: int, rows: Tensor, logits: Tensor
    ) -> None:
        """Note the loss of a batch.

        Args:
            position: Where the batch is in the training.
            loss: One number.
            images: Images of the batch.
            rows: (images,) their rows in the training split.
            logits: (images, C), which tell more about a loss that is not finite.
        """
        low, high = torch.aminmax(logits.detach())
        found = loss.detach().reshape(())
        self._losses.append(
            _BatchLoss(position.epoch, position.batch, found, images, rows, (low, high))
        )
        self._images += images

    def add_part(self, norm: Tensor) -> None:
        """Note the norm of the gradient of the batches so far, of those of the next update."""
        self._part = norm, self._images

    def add_gradient(self, norm: Tensor) -> None:
        """Note the norm of the gradient of an update; what follows belongs to the next one."""
        part_norm, part_images = self._part or (None, 0)
        self._gradients.append(_Gradient(norm.detach(), self._images, part_norm, part_images))

    def next_update(self) -> None:
        """The update is done, with or without a gradient."""
        self._images, self._part = 0, None

    def are_due(self, device: torch.device) -> bool:
        """Whether to read now: always where that costs nothing, else once several wait."""
        return device.type == "cpu" or len(self._losses) >= _TOGETHER

    def read_into(self, position: Position) -> None:
        """Add everything that was noted to the sums of the position, in order.

        Raises:
            TrainingError: If a loss is not finite; names the batch and its images.
        """
        losses, self._losses = self._losses, []
        for one, value in zip(losses, _numbers([one.loss for one in losses]), strict=True):
            if not math.isfinite(value):
                raise TrainingError(_not_finite(one, value))
            position.loss_sum += value * one.images
            position.images += one.images
        gradients, self._gradients = self._gradients, []
        norms = _numbers([one.norm for one in gradients])
        parts = iter(_numbers([one.part_norm for one in gradients if one.part_norm is not None]))
        for one_gradient, norm in zip(gradients, norms, strict=True):
            position.add_gradient(norm)
            if one_gradient.part_norm is not None:
                part = next(parts)
                position.add_noise(norm, one_gradient.images, part, one_gradient.part_images)


def _numbers(values: list[Tensor]) -> list[float]:
    """The numbers of 0-d tensors, with one wait for the device."""
    return torch.stack(values).tolist() if values else []


def _not_finite(one: _BatchLoss, value: float) -> str:
    low, high = (limit.item() for limit in one.logits)
    return (
        f"the loss is {value} in epoch {one.epoch + 1}, batch {one.batch + 1} "
        f"(rows {one.rows.tolist()} of the training split; logits from "
        f"{low:.4g} to {high:.4g}). A lower optimizer.lr, a "
        "longer schedule.warmup_updates or training.clip_grad_norm usually helps; the checkpoints "
        "of earlier epochs are in the run folder"
    )
