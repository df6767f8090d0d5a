"""The base of all losses: how they are called, and what they say about themselves."""

from __future__ import annotations

from typing import Literal

import torch.distributed as dist
from torch import Tensor

from mlt.class_counts import ClassCounts
from mlt.losses.reduce import check_reduction
from mlt.losses.schedule import Float32Fallback, ScheduledPart
from mlt.losses.settings import Reduction

__all__ = ["Loss"]


class Loss(Float32Fallback):
    """The base of all losses: one call, one reduction, one way to be told the epoch.

    `gives`, `activation`, `takes_soft_targets` and `num_columns` describe a loss to those who have
    to choose how to call it: a training loop, a detector's adapter. Any ``nn.Module`` with these
    attributes describes itself in the same way.

    Args:
        reduction: `none`, `mean`, `sum` or `batchmean`; see :func:`mlt.losses.reduce.reduce`.
    """

    gives: Literal["element", "row", "batch"] = "element"
    """What reduction `none` leaves: `element`, one value per row and class; `row`, one value per
    row; `batch`: there is no such reduction, only one number for the whole batch."""

    activation: Literal["sigmoid", "softmax"] = "sigmoid"
    """How logits become probabilities: `sigmoid`, each class by itself; `softmax`, one class per
    row, which targets may give as class indices."""

    takes_soft_targets: bool = True
    """Whether targets between 0 and 1 have a cost of their own; False: it needs 0 or 1."""

    num_columns: int | None = None
    """Length C of the class axis that the loss was built for; None if it takes any."""

    class_counts: ClassCounts | None = None
    """The class counts that it was built from; None if it was built without."""

    sees_whole_batch: bool = False
    """Whether a call sees the whole batch where `torch.distributed` runs, as in `mlt.train`. False:
    it sees the share of its process, and what it counts is summed over all."""

    def __init__(self, reduction: Reduction = "mean") -> None:
        super().__init__()
        self.reduction = check_reduction(reduction)

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch, counted from 0, is being trained; call it at the start of each.

        Parts with a ``start_epoch`` follow it. The epoch is part of the state dict.
        """
        for module in self.modules():
            if isinstance(module, ScheduledPart):
                module.set_epoch(epoch)

    def sum_over_processes(self, counted: Tensor) -> Tensor:
        """What all processes counted together, in place; see `sees_whole_batch`."""
        if not self.sees_whole_batch and dist.is_available() and dist.is_initialized():
            dist.all_reduce(counted)
        return counted

    def forward(self, logits: Tensor, targets: Tensor, known: Tensor | None = None) -> Tensor:
        """Return the loss.

        Args:
            logits: Raw scores, shape (..., C), any float type; computed in float32 or better.
            targets: Same shape, in [0, 1]; 1 where the label applies.
            known: Same shape, True where the label is annotated; None if all are. The rest counts
                for nothing, in the value, the gradient and the divisor.
        """
        raise NotImplementedError
