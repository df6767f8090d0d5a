"""Softmax losses for data with exactly one label an image.

The long-tail literature states several of its losses for this case; here they are as published.
Their per-label analogues are compositions (`logit_adjusted`, `ldam`, `cb_bce`). Targets are class
indices of shape (...) or one-hot rows of shape (..., C); where soft rows make sense they may be
soft.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mlt.config.loss import Reduction
from mlt.errors import ConfigError
from mlt.losses.elementwise import Loss
from mlt.losses.reduce import blank_unknown, check_inputs, reduce_rows
from mlt.losses.weights import (
    ClassCounts,
    class_margins,
    effective_number_weights,
    sum_to_classes,
)

__all__ = [
    "BalancedSoftmaxLoss",
    "ClassBalancedSoftmaxLoss",
    "LDAMSoftmaxLoss",
    "LogitAdjustedSoftmaxLoss",
    "SeesawLoss",
    "seesaw",
    "softmax_cross_entropy",
]


def _one_hot(logits: Tensor, targets: Tensor) -> Tensor:
    if targets.shape == logits.shape:
        return targets
    if targets.shape != logits.shape[:-1] or targets.is_floating_point():
        raise ConfigError(
            f"Logits have shape {tuple(logits.shape)}; targets must be class indices of shape "
            f"{tuple(logits.shape[:-1])} or rows of the same shape, not {tuple(targets.shape)}."
        )
    return F.one_hot(targets.long(), logits.shape[-1])


def _ready(
    logits: Tensor, targets: Tensor, known: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Give logits and rows of one type, both 0 where unknown, and the mask."""
    y = _one_hot(logits, targets)
    z, known = check_inputs(logits, y, known)
    return *blank_unknown(z, y, known), known


def _leave_out_unknown(logits: Tensor, known: Tensor | None) -> Tensor:
    """Give logits whose softmax is over the known classes only."""
    if known is None:
        return logits
    empty = ~known.any(-1, keepdim=True)  # its softmax would be 0 / 0
    return torch.where(empty, 0, torch.where(known, logits, -torch.inf))


def softmax_cross_entropy(
    logits: Tensor,
    targets: Tensor,
    known: Tensor | None = None,
    shift: Tensor | float = 0.0,
    true_margin: Tensor | float = 0.0,
    scale: float = 1.0,
) -> Tensor:
    """Cross entropy of softmax(scale (z + shift - margin on the true class)), one number a row.

    Args:
        logits: Shape (..., C).
        targets: Class indices (...), or rows (..., C) that may be soft.
        known: Shape (..., C), False for classes that are left out of the row; None for none.
        shift: Added to the logits, shape (C,): tau log(pi) for logit adjustment, log(n) for
            balanced softmax.
        true_margin: Subtracted from the true class's logit, shape (C,), for LDAM.
        scale: Factor on the logits.

    Example:
        >>> softmax_cross_entropy(torch.zeros(1, 2), torch.tensor([0]))
        tensor([0.6931])
    """
    z, y, known = _ready(logits, targets, known)
    z = _leave_out_unknown(scale * (z + shift - true_margin * y), known)
    log_p = F.log_softmax(z, -1)
    return -torch.where(y > 0, y * log_p, 0).sum(-1)


def seesaw(
    logits: Tensor,
    targets: Tensor,
    counts: Tensor,
    known: Tensor | None = None,
    p: float = 0.8,
    q: float = 2.0,
    floor: float = 0.01,
) -> Tensor:
    """Seesaw loss of each row: cross entropy of z_j + log(M_ij S_ij) for every j but the true i.

    M_ij = min(1, (n_j / n_i)^p) spares rare classes; S_ij = max(1, (p_j / p_i)^q), without
    gradient, gives it back where they are mistaken for.

    Args:
        logits: Shape (..., C).
        targets: Class indices (...), or one-hot rows (..., C).
        counts: Images of each class seen so far, shape (C,).
        known: Shape (..., C), False for classes left out of the row; None for none.
        p: Strength of mitigation.
        q: Strength of compensation.
        floor: Least p_i to divide by.

    References:
        Wang et al., Seesaw Loss for Long-Tailed Instance Segmentation, CVPR 2021, eq. 3 to 6.

    Example:
        >>> seesaw(torch.zeros(1, 2), torch.tensor([0]), counts=torch.tensor([100.0, 1.0]))
        tensor([0.0248])
    """
    z, y, known = _ready(logits, targets, known)
    n = counts.to(y.dtype).clamp(min=1)
    own = (y * n).sum(-1, keepdim=True).clamp(min=1)
    log_factor = p * torch.log(n / own).clamp(max=0)
    with torch.no_grad():
        score = torch.softmax(_leave_out_unknown(z, known), -1)
        own_score = (y * score).sum(-1, keepdim=True).clamp(min=floor)
        smallest = torch.finfo(y.dtype).tiny  # its logarithm is far below the clamp at 0
        log_factor = log_factor + q * torch.log(score.clamp(min=smallest) / own_score).clamp(min=0)
    return softmax_cross_entropy(z, y, known, shift=(1 - y) * log_factor)


class _RowLoss(Loss):
    # `mean` and `batchmean` are both the mean over rows; `none` gives one loss a row.
    class_counts: ClassCounts

    def __init__(
        self, counts: Sequence[float], num_images: int | None = None, reduction: Reduction = "mean"
    ) -> None:
        super().__init__(reduction)
        self.class_counts = ClassCounts.from_counts(counts, num_images)

    def rows(self, logits: Tensor, targets: Tensor, known: Tensor | None) -> Tensor:
        raise NotImplementedError

    def forward(self, logits: Tensor, targets: Tensor, known: Tensor | None = None) -> Tensor:
        """Give the loss; targets are class indices (...) or rows (..., C)."""
        return reduce_rows(self.rows(logits, targets, known), self.reduction, known)


class ClassBalancedSoftmaxLoss(_RowLoss):
    """Softmax cross entropy weighted by the true class's effective number (Cui et al., 2019).

    Args:
        counts: Images of each class.
        beta: In [0, 1), or `auto`.
        num_images: For `auto`.
        reduction: `none` (a row each), `mean`, `sum` or `batchmean`.

    Example:
        >>> loss = ClassBalancedSoftmaxLoss([90, 10], beta=0.99)
        >>> loss(torch.zeros(2, 2), torch.tensor([0, 1]))
        tensor(0.6931)
    """

    weight: Tensor

    def __init__(
        self,
        counts: Sequence[float],
        beta: Any = 0.999,
        num_images: int | None = None,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(counts, num_images, reduction)
        weights = effective_number_weights(self.class_counts.counts, beta, num_images)
        self.register_buffer("weight", torch.from_numpy(sum_to_classes(weights)))

    def rows(self, logits: Tensor, targets: Tensor, known: Tensor | None) -> Tensor:
        """Give the loss of each row."""
        z, y, known = _ready(logits, targets, known)
        loss = softmax_cross_entropy(z, y, known)
        return (y * self.weight.to(loss.dtype)).sum(-1) * loss


class LogitAdjustedSoftmaxLoss(_RowLoss):
    """Softmax cross entropy of z + tau log(pi); predict with z (Menon et al., ICLR 2021).

    Args:
        counts: Images of each class; pi is their share.
        tau: Strength.
        reduction: `none` (a row each), `mean`, `sum` or `batchmean`.

    Example:
        >>> LogitAdjustedSoftmaxLoss([90, 10])(torch.zeros(1, 2), torch.tensor([1]))
        tensor(2.3026)
    """

    shift: Tensor

    def __init__(
        self, counts: Sequence[float], tau: float = 1.0, reduction: Reduction = "mean"
    ) -> None:
        super().__init__(counts, None, reduction)
        share = torch.from_numpy(self.class_counts.counts / self.class_counts.counts.sum())
        self.register_buffer("shift", tau * share.log())

    def rows(self, logits: Tensor, targets: Tensor, known: Tensor | None) -> Tensor:
        """Give the loss of each row."""
        shift = self.shift.to(torch.promote_types(logits.dtype, torch.float32))
        return softmax_cross_entropy(logits, targets, known, shift=shift)


class BalancedSoftmaxLoss(LogitAdjustedSoftmaxLoss):
    """Softmax cross entropy of z + log(n): logit adjustment with tau 1 (Ren et al., 2020).

    Args:
        counts: Images of each class.
        reduction: `none` (a row each), `mean`, `sum` or `batchmean`.

    Example:
        >>> BalancedSoftmaxLoss([90, 10])(torch.zeros(1, 2), torch.tensor([1]))
        tensor(2.3026)
    """

    def __init__(self, counts: Sequence[float], reduction: Reduction = "mean") -> None:
        super().__init__(counts, 1.0, reduction)


class LDAMSoftmaxLoss(_RowLoss):
    """Softmax cross entropy with a margin that grows as the class gets rarer (Cao et al., 2019).

    Args:
        counts: Images of each class.
        max_m: Margin of the rarest.
        s: Factor on the logits.
        reduction: `none` (a row each), `mean`, `sum` or `batchmean`.

    Example:
        >>> LDAMSoftmaxLoss([90, 10], s=1)(torch.zeros(1, 2), torch.tensor([1]))
        tensor(0.9741)
    """

    margin: Tensor

    def __init__(
        self,
        counts: Sequence[float],
        max_m: float = 0.5,
        s: float = 30.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(counts, None, reduction)
        self.register_buffer(
            "margin", torch.from_numpy(class_margins(self.class_counts.counts, max_m))
        )
        self.scale = s

    def rows(self, logits: Tensor, targets: Tensor, known: Tensor | None) -> Tensor:
        """Give the loss of each row."""
        margin = self.margin.to(torch.promote_types(logits.dtype, torch.float32))
        return softmax_cross_entropy(logits, targets, known, true_margin=margin, scale=self.scale)


class SeesawLoss(Loss):
    """Seesaw loss with its running count of the classes seen; see :func:`seesaw`.

    In training mode a call first adds its known targets to the count (summed over processes where
    ``torch.distributed`` runs). The count is in the state dict.

    Args:
        num_classes: Number of classes C.
        p: Strength of mitigation.
        q: Strength of compensation.
        floor: Least p_i to divide by.
        reduction: `none` (a row each), `mean`, `sum` or `batchmean`.

    Example:
        >>> loss = SeesawLoss(num_classes=2)
        >>> _ = loss(torch.zeros(3, 2), torch.tensor([0, 0, 1]))
        >>> loss.counts
        tensor([2., 1.], dtype=torch.float64)
    """

    counts: Tensor

    def __init__(
        self,
        num_classes: int,
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
        self.register_buffer("counts", torch.zeros(num_classes, dtype=torch.float64))
        self.p = p
        self.q = q
        self.floor = floor

    def forward(self, logits: Tensor, targets: Tensor, known: Tensor | None = None) -> Tensor:
        """Give the loss; targets are class indices (...) or one-hot rows (..., C)."""
        if self.training:
            _, rows, _ = _ready(logits, targets, known)
            seen = rows.double().flatten(0, -2).sum(0)
            if torch.distributed.is_available() and torch.distributed.is_initialized():
                torch.distributed.all_reduce(seen)
            self.counts = self.counts + seen
        rows = seesaw(logits, targets, self.counts, known, self.p, self.q, self.floor)
        return reduce_rows(rows, self.reduction, known)
