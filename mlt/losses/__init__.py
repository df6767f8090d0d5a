"""Losses for long-tailed multi-label recognition: one algebra, one call.

``loss(logits, targets, known=None)`` for every one of them. By name: :func:`create_loss`. From a
configuration: :func:`build_loss`. For one's own training code: the functions of
`mlt.losses.functional`.
"""

from mlt.losses.build import build_loss
from mlt.losses.coupled import TwoWayLoss, ZLPRLoss
from mlt.losses.create import create_loss, list_losses
from mlt.losses.elementwise import ElementwiseLoss, Loss
from mlt.losses.named import (
    AsymmetricLoss,
    BinaryCrossEntropyLoss,
    ClassBalancedFocalLoss,
    ClassBalancedLoss,
    DistributionBalancedFocalLoss,
    DistributionBalancedLoss,
    EqualizationLoss,
    FocalLoss,
    HillLoss,
    InverseFrequencyLoss,
    LDAMLoss,
    LogitAdjustedLoss,
    PolyLoss,
    RebalancedFocalLoss,
    RebalancedLoss,
    RobustAsymmetricLoss,
)
from mlt.losses.single_label import (
    BalancedSoftmaxLoss,
    ClassBalancedSoftmaxLoss,
    LDAMSoftmaxLoss,
    LogitAdjustedSoftmaxLoss,
    SeesawLoss,
)
from mlt.losses.stateful import EqualizationLossV2, SelfPacedLoss

__all__ = [
    "AsymmetricLoss",
    "BalancedSoftmaxLoss",
    "BinaryCrossEntropyLoss",
    "ClassBalancedFocalLoss",
    "ClassBalancedLoss",
    "ClassBalancedSoftmaxLoss",
    "DistributionBalancedFocalLoss",
    "DistributionBalancedLoss",
    "ElementwiseLoss",
    "EqualizationLoss",
    "EqualizationLossV2",
    "FocalLoss",
    "HillLoss",
    "InverseFrequencyLoss",
    "LDAMLoss",
    "LDAMSoftmaxLoss",
    "LogitAdjustedLoss",
    "LogitAdjustedSoftmaxLoss",
    "Loss",
    "PolyLoss",
    "RebalancedFocalLoss",
    "RebalancedLoss",
    "RobustAsymmetricLoss",
    "SeesawLoss",
    "SelfPacedLoss",
    "TwoWayLoss",
    "ZLPRLoss",
    "build_loss",
    "create_loss",
    "list_losses",
]
