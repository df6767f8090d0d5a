"""The per-label loss: adjustment, focusing and weighting put together."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mlt.config.loss import Reduction
from mlt.losses.adjustment import Adjustment
from mlt.losses.focusing import Focusing
from mlt.losses.part import Part
from mlt.losses.reduce import check_reduction, prepare, reduce
from mlt.losses.terms import mix
from mlt.losses.weighting import Weighting

__all__ = ["ElementwiseLoss", "Loss"]


class Loss(nn.Module):
    """The base of all losses: one call, one reduction, one way to be told the epoch.

    Args:
        reduction: `none`, `mean`, `sum` or `batchmean`; see :func:`mlt.losses.reduce.reduce`.
    """

    def __init__(self, reduction: Reduction = "mean") -> None:
        super().__init__()
        self.reduction = check_reduction(reduction)

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch, counted from 0, is being trained; call it at the start of each.

        Parts with a ``start_epoch`` follow it. The epoch is part of the state dict.
        """
        for module in self.modules():
            if isinstance(module, Part):
                module.set_epoch(epoch)

    def forward(self, logits: Tensor, targets: Tensor, known: Tensor | None = None) -> Tensor:
        """Give the loss.

        Args:
            logits: Raw scores, shape (..., C), any float type; computed in float32 or better.
            targets: Same shape, in [0, 1]; 1 where the label applies.
            known: Same shape, True where the label is annotated; None if all are. The rest counts
                for nothing, in the value, the gradient and the divisor.
        """
        raise NotImplementedError


class ElementwiseLoss(Loss):
    """A loss of each label by itself, made of three parts.

    A label y in [0, 1] costs y w_pos positive(z_pos) + (1 - y) w_neg negative(z_neg): for a soft
    label the mean of the costs of its two readings.

    Args:
        adjustment: Gives z_pos and z_neg, and a factor on the negative half.
        focusing: Gives positive() and negative().
        weighting: Gives w_pos and w_neg from the targets.
        scale: Constant factor.
        reduction: `none`, `mean`, `sum` or `batchmean`.
    """

    def __init__(
        self,
        adjustment: Adjustment | None = None,
        focusing: Focusing | None = None,
        weighting: Weighting | None = None,
        scale: float = 1.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(reduction)
        self.adjustment = adjustment or Adjustment()
        self.focusing = focusing or Focusing()
        self.weighting = weighting or Weighting()
        self.scale = scale

    def elements(self, logits: Tensor, targets: Tensor, known: Tensor | None) -> Tensor:
        """Give the loss of each element, in working precision and with unknown ones blanked."""
        pos_logits, neg_logits, neg_factor = self.adjustment(logits)
        positive = self.focusing.positive(pos_logits)
        negative = self.focusing.negative(neg_logits)
        if isinstance(neg_factor, Tensor) or neg_factor != 1.0:
            negative = neg_factor * negative
        with torch.no_grad():
            pos_weight, neg_weight = self.weighting(targets, known)
        if pos_weight is neg_weight:
            loss = mix(targets, positive, negative)
            loss = loss if pos_weight is None else pos_weight * loss
        else:
            positive = positive if pos_weight is None else pos_weight * positive
            negative = negative if neg_weight is None else neg_weight * negative
            loss = mix(targets, positive, negative)
        return loss if self.scale == 1.0 else self.scale * loss

    def forward(self, logits: Tensor, targets: Tensor, known: Tensor | None = None) -> Tensor:
        """Give the loss; see :meth:`Loss.forward`."""
        z, y, known = prepare(logits, targets, known)
        return reduce(self.elements(z, y, known), self.reduction, known)
