"""Losses that remember: SPLC the epoch, EQLv2 the gradients it has given out."""

from __future__ import annotations

import torch
from torch import Tensor

from mlt.losses import gradients
from mlt.losses.base import Loss
from mlt.losses.elementwise import PerLabelLoss
from mlt.losses.formulas import cross_entropy, focal, mix
from mlt.losses.logistic import Logistic
from mlt.losses.reduce import (
    blank_unknown,
    check_inputs,
    check_label_smoothing,
    only_known,
    reduce,
    smooth,
)
from mlt.losses.schedule import ScheduledPart
from mlt.losses.settings import Reduction

__all__ = ["EqualizationLossV2", "SelfPacedLoss", "equalization_v2_weights", "self_paced_targets"]


def self_paced_targets(logits: Tensor, targets: Tensor, *, tau: float = 0.6) -> Tensor:
    """Return targets with each negative of a probability above tau turned into a positive.

    Args:
        logits: Shape (..., C).
        targets: Same shape, in [0, 1].
        tau: Probability above which a negative is taken to be a missed label.

    References:
        Zhang et al., Simple and Robust Loss Design for Multi-Label Learning with Missing Labels,
        arXiv 2112.07368, section 3.3 (SPLC).

    Example:
        >>> self_paced_targets(torch.tensor([3.0, 0.1]), torch.tensor([0.0, 0.0]))
        tensor([1., 0.])
    """
    return torch.where(torch.sigmoid(logits) > tau, torch.ones_like(targets), targets)


class SelfPacedLoss(PerLabelLoss):
    """SPLC: focal loss, positives shifted by a margin, likely negatives corrected to positives.

    A corrected negative counts as a positive without the margin, as in the published code. Tell the
    loss the epoch with :meth:`set_epoch`.

    Args:
        tau: Probability above which a negative is taken to be a missed label.
        change_epoch: First epoch, counted from 0, of the correction.
        margin: Subtracted from the logits of given positives.
        gamma: Focusing parameter.
        scale: Constant factor.
        label_smoothing: e in [0, 1): costs are taken at y (1 - e) + e / 2.
        reduction: `none`, `mean`, `sum` or `batchmean`.

    Example:
        >>> loss = SelfPacedLoss(change_epoch=1)
        >>> before = loss(torch.tensor([[3.0]]), torch.tensor([[0.0]]))
        >>> loss.set_epoch(1)
        >>> bool(loss(torch.tensor([[3.0]]), torch.tensor([[0.0]])) < before)
        True
    """

    def __init__(
        self,
        *,
        tau: float = 0.6,
        change_epoch: int = 1,
        margin: float = 1.0,
        gamma: float = 2.0,
        scale: float = 1.0,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(reduction)
        self.tau = tau
        self.margin = margin
        self.gamma = gamma
        self.scale = scale
        self.label_smoothing = check_label_smoothing(label_smoothing)
        self.correction = ScheduledPart(change_epoch)

    def elements(self, logits: Tensor, targets: Tensor, known: Tensor | None) -> Tensor:
        """Return the loss of each element; see `PerLabelLoss`."""
        positive = focal(logits - self.margin, self.gamma)
        signed, _ = self._negative_half(logits)
        y = smooth(targets, self.label_smoothing)
        return self.scale * mix(y, positive, focal(signed, self.gamma))

    def elements_and_slopes(
        self, logits: Tensor, targets: Tensor, known: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return losses and slopes; see `PerLabelLoss`."""
        z, y = blank_unknown(logits, targets, known)
        y = smooth(y, self.label_smoothing)
        signed, sign = self._negative_half(z)
        negative, along_signed = gradients.focal(Logistic.of(signed), self.gamma)
        positive, along_shifted = gradients.focal(Logistic.of(z - self.margin), self.gamma)
        loss = self.scale * mix(y, positive, negative)
        slope = self.scale * mix(y, along_shifted, along_signed.mul_(sign))
        return only_known(loss, known), only_known(slope, known)

    def _negative_half(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        # What a negative is taken for: itself at -z, or where corrected a positive at z.
        corrected = self.correction.once_started(torch.sigmoid(logits) > self.tau, False)
        sign = torch.where(corrected, 1.0, -1.0).to(logits.dtype)
        return sign * logits, sign


def equalization_v2_weights(
    ratio: Tensor, *, gamma: float = 12.0, mu: float = 0.8, alpha: float = 4.0
) -> tuple[Tensor, Tensor]:
    """Return EQLv2's weights of positives and of negatives, each of the shape of ``ratio``.

    Negatives weigh f = sigmoid(gamma (ratio - mu)), positives 1 + alpha (1 - f).

    Args:
        ratio: Accumulated gradient of positives over that of negatives, one per class.
        gamma: Steepness.
        mu: Ratio at which negatives weigh one half.
        alpha: Largest extra weight of positives.

    References:
        Tan et al., Equalization Loss v2, CVPR 2021, eq. 6 to 8.

    Example:
        >>> positive, negative = equalization_v2_weights(torch.tensor([100.0, 0.8]))
        >>> positive, negative
        (tensor([1., 3.]), tensor([1.0000, 0.5000]))
    """
    negative = torch.sigmoid(gamma * (ratio - mu))
    return 1 + alpha * (1 - negative), negative


class EqualizationLossV2(Loss):
    """EQLv2: cross entropy weighted by the ratio of gradients each class has received so far.

    In training mode a call also adds its gradients to the account (summed over processes where
    ``torch.distributed`` runs and `sees_whole_batch` is False); in eval mode the account stands
    still. The account is in the state dict.

    Args:
        num_classes: Number of classes C.
        gamma: Steepness of the map from ratio to weight.
        mu: Its centre.
        alpha: Largest extra weight of positives.
        start_ratio: Ratio before anything was seen.
        background: Whether the last column is a background class, which keeps weight 1.
        label_smoothing: e in [0, 1): costs and the account are taken at y (1 - e) + e / 2.
        reduction: `none`, `mean`, `sum` or `batchmean`.

    Example:
        >>> loss = EqualizationLossV2(num_classes=2)
        >>> value = loss(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]))
        >>> loss.ratio
        tensor([5.0000e+09, 0.0000e+00], dtype=torch.float64)
    """

    positive_gradient: Tensor
    negative_gradient: Tensor
    ratio: Tensor

    def __init__(
        self,
        num_classes: int,
        *,
        gamma: float = 12.0,
        mu: float = 0.8,
        alpha: float = 4.0,
        start_ratio: float = 100.0,
        background: bool = False,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(reduction)
        self.num_columns = num_classes
        self.gamma = gamma
        self.mu = mu
        self.alpha = alpha
        self.background = background
        self.label_smoothing = check_label_smoothing(label_smoothing)
        tracked = num_classes - background
        self.register_buffer("positive_gradient", torch.zeros(tracked, dtype=torch.float64))
        self.register_buffer("negative_gradient", torch.zeros(tracked, dtype=torch.float64))
        self.register_buffer("ratio", torch.full((tracked,), start_ratio, dtype=torch.float64))

    def forward(self, logits: Tensor, targets: Tensor, known: Tensor | None = None) -> Tensor:
        """Return the loss; see :meth:`Loss.forward`."""
        z, known = check_inputs(logits, targets, known, self.num_columns)
        z, y = blank_unknown(z, targets, known)
        y = smooth(y, self.label_smoothing)
        ratio = self.ratio.to(z.dtype)
        pos_weight, neg_weight = equalization_v2_weights(
            ratio, gamma=self.gamma, mu=self.mu, alpha=self.alpha
        )
        if self.background:
            one = ratio.new_ones(1)
            pos_weight, neg_weight = torch.cat([pos_weight, one]), torch.cat([neg_weight, one])
        loss = mix(y, pos_weight * cross_entropy(z), neg_weight * cross_entropy(-z))
        if self.training:
            self._account(z.detach(), y, known, pos_weight, neg_weight)
        return reduce(loss, self.reduction, known)

    @torch.no_grad()
    def _account(
        self,
        logits: Tensor,
        targets: Tensor,
        known: Tensor | None,
        pos_weight: Tensor,
        neg_weight: Tensor,
    ) -> None:
        probability = torch.sigmoid(logits)
        positive = only_known(pos_weight * targets * torch.sigmoid(-logits), known)
        negative = only_known(neg_weight * (1 - targets) * probability, known)
        received = torch.stack([positive, negative]).to(self.ratio.dtype).flatten(1, -2).sum(1)
        self.sum_over_processes(received)
        tracked = len(self.ratio)
        # Not in place: the weights of this call may still be needed by its backward pass.
        self.positive_gradient = self.positive_gradient + received[0, :tracked]
        self.negative_gradient = self.negative_gradient + received[1, :tracked]
        self.ratio = self.positive_gradient / (self.negative_gradient + 1e-10)
