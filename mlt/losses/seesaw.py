"""Seesaw loss, which counts the classes that it has seen (Wang et al., CVPR 2021)."""

from __future__ import annotations

import torch
from torch import Tensor

from mlt.errors import ConfigError
from mlt.losses.base import Loss
from mlt.losses.reduce import check_columns, reduce_rows
from mlt.losses.settings import Reduction
from mlt.losses.softmax_functional import seesaw, softmax_inputs

__all__ = ["SeesawLoss"]


class SeesawLoss(Loss):
    """Seesaw loss with its running count of the classes seen; see `mlt.losses.softmax_functional`.

    In training mode a call first adds its known targets to the count (summed over processes where
    ``torch.distributed`` runs and `sees_whole_batch` is False). The count is in the state dict.

    Args:
        num_classes: Number of classes C.
        p: Strength of mitigation.
        q: Strength of compensation.
        floor: Least p_i to divide by.
        reduction: `none` (one per row), `mean`, `sum` or `batchmean`.

    Example:
        >>> loss = SeesawLoss(num_classes=2)
        >>> _ = loss(torch.zeros(3, 2), torch.tensor([0, 0, 1]))
        >>> loss.counts
        tensor([2., 1.], dtype=torch.float64)
    """

    gives = "row"
    activation = "softmax"
    takes_soft_targets = False
    counts: Tensor

    def __init__(
        self,
        num_classes: int,
        *,
        p: float = 0.8,
        q: float = 2.0,
        floor: float = 0.01,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(reduction)
        if not isinstance(num_classes, int) or num_classes < 1:
            raise ConfigError(
                f"SeesawLoss takes the number of classes, an integer, not {num_classes!r}; it "
                "counts them itself."
            )
        self.num_columns = num_classes
        self.register_buffer("counts", torch.zeros(num_classes, dtype=torch.float64))
        self.p = p
        self.q = q
        self.floor = floor

    def forward(self, logits: Tensor, targets: Tensor, known: Tensor | None = None) -> Tensor:
        """Return the loss; targets are class indices (...) or one-hot rows (..., C)."""
        check_columns(logits, self.num_columns)
        if self.training:
            _, rows, _ = softmax_inputs(logits, targets, known)
            seen = rows.double().flatten(0, -2).sum(0)
            self.counts = self.counts + self.sum_over_processes(seen)
        rows = seesaw(logits, targets, self.counts, known, p=self.p, q=self.q, floor=self.floor)
        return reduce_rows(rows, self.reduction, known)
