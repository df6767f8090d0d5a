"""Softmax losses for data with exactly one label per image, as modules.

The long-tail literature states several of its losses for this case; here they are as published.
Their per-label analogues are compositions (`logit_adjusted`, `ldam`, `cb_bce`). Targets are class
indices of shape (...) or one-hot rows of shape (..., C); where soft rows make sense they may be
soft.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from mlt.class_counts import ClassCounts
from mlt.losses.base import Loss
from mlt.losses.class_weights import (
    class_margins,
    effective_number_weights,
    num_samples,
    sum_to_classes,
    warn_if_equal,
    warn_of_clamped,
)
from mlt.losses.part_settings import Beta
from mlt.losses.reduce import check_columns, check_label_smoothing, reduce_rows
from mlt.losses.reweighting import ColumnWeighting
from mlt.losses.settings import Reduction
from mlt.losses.softmax_functional import (
    row_cross_entropy,
    smooth_rows,
    softmax_cross_entropy,
    softmax_inputs,
)

__all__ = [
    "BalancedSoftmaxLoss",
    "ClassBalancedSoftmaxLoss",
    "LDAMSoftmaxLoss",
    "LogitAdjustedSoftmaxLoss",
    "SoftmaxCrossEntropyLoss",
]


Counts: TypeAlias = Sequence[float] | ClassCounts


class _RowLoss(Loss):
    # `mean` and `batchmean` are both the mean over rows; `none` keeps one loss per row.
    gives = "row"
    activation = "softmax"

    def __init__(self, label_smoothing: float, reduction: Reduction) -> None:
        super().__init__(reduction)
        self.label_smoothing = check_label_smoothing(label_smoothing)

    def rows(self, logits: Tensor, targets: Tensor, known: Tensor | None) -> Tensor:
        raise NotImplementedError

    def forward(self, logits: Tensor, targets: Tensor, known: Tensor | None = None) -> Tensor:
        """Return the loss; targets are class indices (...) or rows (..., C)."""
        check_columns(logits, self.num_columns)
        return reduce_rows(self.rows(logits, targets, known), self.reduction, known)


class SoftmaxCrossEntropyLoss(_RowLoss):
    """Softmax cross entropy.

    Args:
        label_smoothing: e: the target of the true class is 1 - e + e / C, of each other e / C.
        reduction: `none` (one per row), `mean`, `sum` or `batchmean`.

    Example:
        >>> SoftmaxCrossEntropyLoss()(torch.zeros(1, 2), torch.tensor([1]))
        tensor(0.6931)
    """

    def __init__(self, *, label_smoothing: float = 0.0, reduction: Reduction = "mean") -> None:
        super().__init__(label_smoothing, reduction)

    def rows(self, logits: Tensor, targets: Tensor, known: Tensor | None) -> Tensor:
        """Return the loss of each row."""
        return softmax_cross_entropy(logits, targets, known, label_smoothing=self.label_smoothing)


class _CountedRowLoss(_RowLoss):
    # Of losses that take the class counts.
    class_counts: ClassCounts

    def __init__(
        self,
        class_counts: Counts,
        num_images: int | None,
        label_smoothing: float,
        reduction: Reduction,
    ) -> None:
        super().__init__(label_smoothing, reduction)
        self.class_counts = ClassCounts.from_counts(class_counts, num_images)
        warn_of_clamped(self.class_counts)
        self.num_columns = self.class_counts.num_classes

    def balanced(self, beta: Beta, start_epoch: int) -> ColumnWeighting:
        """The weights of the effective numbers, which sum to the number of classes."""
        weights = effective_number_weights(
            self.class_counts.clamped, beta, num_samples(self.class_counts)
        )
        if beta != "auto":
            warn_if_equal(weights, self.class_counts.clamped)
        return ColumnWeighting(torch.from_numpy(sum_to_classes(weights)), start_epoch)


class ClassBalancedSoftmaxLoss(_CountedRowLoss):
    """Softmax cross entropy weighted by the true class's effective number (Cui et al., 2019).

    Args:
        class_counts: Images of each class.
        num_images: For beta `auto`; the sum of the counts if not given.
        beta: In [0, 1), or `auto`; see :func:`mlt.losses.class_weights.resolve_beta`.
        start_epoch: Epoch, counted from 0, from which the weights are on.
        label_smoothing: As for :class:`SoftmaxCrossEntropyLoss`; the weight is the true class's.
        reduction: `none` (one per row), `mean`, `sum` or `batchmean`.

    Example:
        >>> loss = ClassBalancedSoftmaxLoss([90, 10], beta=0.99)
        >>> loss(torch.zeros(2, 2), torch.tensor([0, 1]))
        tensor(0.6931)
    """

    def __init__(
        self,
        class_counts: Counts,
        num_images: int | None = None,
        *,
        beta: Beta = "auto",
        start_epoch: int = 0,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(class_counts, num_images, label_smoothing, reduction)
        self.weighting = self.balanced(beta, start_epoch)

    @property
    def weight(self) -> Tensor:
        """The weight of each class, shape (C,)."""
        return self.weighting.weight

    def rows(self, logits: Tensor, targets: Tensor, known: Tensor | None) -> Tensor:
        """Return the loss of each row."""
        z, y, known = softmax_inputs(logits, targets, known)
        loss = row_cross_entropy(z, smooth_rows(y, self.label_smoothing, known), known)
        return _own_class(y, self.weighting) * loss


class LogitAdjustedSoftmaxLoss(_CountedRowLoss):
    """Softmax cross entropy of z + tau log(pi); predict with z (Menon et al., ICLR 2021).

    Args:
        class_counts: Images of each class; pi is their share.
        tau: Strength.
        label_smoothing: As for :class:`SoftmaxCrossEntropyLoss`.
        reduction: `none` (one per row), `mean`, `sum` or `batchmean`.

    Example:
        >>> LogitAdjustedSoftmaxLoss([90, 10])(torch.zeros(1, 2), torch.tensor([1]))
        tensor(2.3026)
    """

    shift: Tensor

    def __init__(
        self,
        class_counts: Counts,
        *,
        tau: float = 1.0,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(class_counts, None, label_smoothing, reduction)
        share = torch.from_numpy(self.class_counts.clamped / self.class_counts.clamped.sum())
        self.register_buffer("shift", tau * share.log())

    def rows(self, logits: Tensor, targets: Tensor, known: Tensor | None) -> Tensor:
        """Return the loss of each row."""
        shift = self.shift.to(torch.promote_types(logits.dtype, torch.float32))
        return softmax_cross_entropy(
            logits, targets, known, shift=shift, label_smoothing=self.label_smoothing
        )


class BalancedSoftmaxLoss(LogitAdjustedSoftmaxLoss):
    """Softmax cross entropy of z + log(n): logit adjustment with tau 1 (Ren et al., 2020).

    Args:
        class_counts: Images of each class.
        label_smoothing: As for :class:`SoftmaxCrossEntropyLoss`.
        reduction: `none` (one per row), `mean`, `sum` or `batchmean`.

    Example:
        >>> BalancedSoftmaxLoss([90, 10])(torch.zeros(1, 2), torch.tensor([1]))
        tensor(2.3026)
    """

    def __init__(
        self,
        class_counts: Counts,
        *,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(
            class_counts, tau=1.0, label_smoothing=label_smoothing, reduction=reduction
        )


class LDAMSoftmaxLoss(_CountedRowLoss):
    """Softmax cross entropy with a margin that grows as the class gets rarer (Cao et al., 2019).

    With deferred re-weighting, `drw_epoch`, a row weighs as the effective number of its class says
    from that epoch on. The mean is over rows; the authors' code divides by the sum of the
    weights of the batch's rows instead, as `torch.nn.functional.cross_entropy` does.

    Args:
        class_counts: Images of each class.
        max_m: Margin of the rarest.
        s: Factor on the logits.
        drw_epoch: Epoch, counted from 0, from which rows are weighted; None: never.
        beta: Of the weights; see :func:`mlt.losses.class_weights.resolve_beta`.
        label_smoothing: As for :class:`SoftmaxCrossEntropyLoss`; the margin is the true class's.
        reduction: `none` (one per row), `mean`, `sum` or `batchmean`.

    Example:
        >>> LDAMSoftmaxLoss([90, 10], s=1)(torch.zeros(1, 2), torch.tensor([1]))
        tensor(0.9741)
    """

    margin: Tensor

    def __init__(
        self,
        class_counts: Counts,
        *,
        max_m: float = 0.5,
        s: float = 30.0,
        drw_epoch: int | None = None,
        beta: Beta = 0.9999,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(class_counts, None, label_smoothing, reduction)
        self.register_buffer(
            "margin", torch.from_numpy(class_margins(self.class_counts.clamped, max_m))
        )
        self.scale = s
        self.weighting = None if drw_epoch is None else self.balanced(beta, drw_epoch)

    def rows(self, logits: Tensor, targets: Tensor, known: Tensor | None) -> Tensor:
        """Return the loss of each row."""
        margin = self.margin.to(torch.promote_types(logits.dtype, torch.float32))
        loss = softmax_cross_entropy(
            logits,
            targets,
            known,
            true_margin=margin,
            scale=self.scale,
            label_smoothing=self.label_smoothing,
        )
        if self.weighting is None:
            return loss
        _, y, _ = softmax_inputs(logits, targets, known)
        return _own_class(y, self.weighting) * loss


def _own_class(rows: Tensor, weighting: ColumnWeighting) -> Tensor:
    """The weight of each row's own class, shape (...)."""
    weight, _ = weighting(rows)
    return (rows * weight).sum(-1)
