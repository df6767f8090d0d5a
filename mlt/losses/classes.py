"""Losses without class counts, by the class names that people search for.

Each is the composition of the preset of the same name (`mlt.losses.presets`), with its options and
defaults; what an option means is said at its part (`mlt.losses.part_settings`). All take a constant
factor `scale`, `label_smoothing` and `reduction` as well; see :class:`mlt.losses.ElementwiseLoss`.
"""

from __future__ import annotations

from mlt.losses.part_settings import SoftTargets
from mlt.losses.preset_loss import PublishedLoss
from mlt.losses.settings import Reduction

__all__ = [
    "AsymmetricLoss",
    "BinaryCrossEntropyLoss",
    "FocalLoss",
    "HillLoss",
    "PolyLoss",
    "RobustAsymmetricLoss",
]


class BinaryCrossEntropyLoss(PublishedLoss):
    """Sigmoid cross entropy; preset `bce`."""

    preset = "bce"

    def __init__(
        self,
        *,
        scale: float = 1.0,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(
            scale=scale,
            label_smoothing=label_smoothing,
            reduction=reduction,
        )


class FocalLoss(PublishedLoss):
    """Focal loss (Lin et al., ICCV 2017); preset `focal`.

    Example:
        >>> import torch
        >>> FocalLoss(gamma=2)(torch.zeros(1, 2), torch.tensor([[1, 0]]))
        tensor(0.1733)
    """

    preset = "focal"

    def __init__(
        self,
        *,
        gamma: float = 2.0,
        alpha: float | None = None,
        soft_targets: SoftTargets = "mean",
        scale: float = 1.0,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(
            gamma=gamma,
            alpha=alpha,
            soft_targets=soft_targets,
            scale=scale,
            label_smoothing=label_smoothing,
            reduction=reduction,
        )


class AsymmetricLoss(PublishedLoss):
    """Asymmetric loss, ASL (Ridnik et al., ICCV 2021); preset `asl`."""

    preset = "asl"

    def __init__(
        self,
        *,
        gamma_pos: float = 1.0,
        gamma_neg: float = 4.0,
        clip: float = 0.05,
        detached: bool = False,
        soft_targets: SoftTargets = "mean",
        scale: float = 1.0,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(
            gamma_pos=gamma_pos,
            gamma_neg=gamma_neg,
            clip=clip,
            detached=detached,
            soft_targets=soft_targets,
            scale=scale,
            label_smoothing=label_smoothing,
            reduction=reduction,
        )


class RobustAsymmetricLoss(PublishedLoss):
    """Robust asymmetric loss (Park et al., ICCV workshops 2023); preset `ral`."""

    preset = "ral"

    def __init__(
        self,
        *,
        gamma_pos: float = 0.0,
        gamma_neg: float = 4.0,
        clip: float = 0.05,
        lamb: float = 1.5,
        epsilon_pos: float = 1.0,
        epsilon_pos_pow: float = -2.5,
        scale: float = 1.0,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(
            gamma_pos=gamma_pos,
            gamma_neg=gamma_neg,
            clip=clip,
            lamb=lamb,
            epsilon_pos=epsilon_pos,
            epsilon_pos_pow=epsilon_pos_pow,
            scale=scale,
            label_smoothing=label_smoothing,
            reduction=reduction,
        )


class HillLoss(PublishedLoss):
    """Hill loss (Zhang et al., arXiv 2112.07368); preset `hill`."""

    preset = "hill"

    def __init__(
        self,
        *,
        lamb: float = 1.5,
        margin: float = 1.0,
        gamma: float = 2.0,
        scale: float = 1.0,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(
            lamb=lamb,
            margin=margin,
            gamma=gamma,
            scale=scale,
            label_smoothing=label_smoothing,
            reduction=reduction,
        )


class PolyLoss(PublishedLoss):
    """Poly-1 loss (Leng et al., ICLR 2022); preset `poly`."""

    preset = "poly"

    def __init__(
        self,
        *,
        epsilon: float = 2.0,
        gamma: float = 0.0,
        alpha: float | None = None,
        scale: float = 1.0,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(
            epsilon=epsilon,
            gamma=gamma,
            alpha=alpha,
            scale=scale,
            label_smoothing=label_smoothing,
            reduction=reduction,
        )
