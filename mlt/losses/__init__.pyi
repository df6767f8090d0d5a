from .base import Loss as Loss
from .build import build_loss as build_loss
from .coupled import TwoWayLoss as TwoWayLoss, ZLPRLoss as ZLPRLoss
from .create import create_loss as create_loss, list_losses as list_losses
from .elementwise import ElementwiseLoss as ElementwiseLoss
from .classes import (
    AsymmetricLoss as AsymmetricLoss,
    BinaryCrossEntropyLoss as BinaryCrossEntropyLoss,
    ClassBalancedFocalLoss as ClassBalancedFocalLoss,
    ClassBalancedLoss as ClassBalancedLoss,
    DistributionBalancedFocalLoss as DistributionBalancedFocalLoss,
    DistributionBalancedLoss as DistributionBalancedLoss,
    EqualizationLoss as EqualizationLoss,
    FocalLoss as FocalLoss,
    HillLoss as HillLoss,
    InverseFrequencyLoss as InverseFrequencyLoss,
    LDAMLoss as LDAMLoss,
    LogitAdjustedLoss as LogitAdjustedLoss,
    PolyLoss as PolyLoss,
    RebalancedFocalLoss as RebalancedFocalLoss,
    RebalancedLoss as RebalancedLoss,
    RobustAsymmetricLoss as RobustAsymmetricLoss,
)
from .single_label import (
    BalancedSoftmaxLoss as BalancedSoftmaxLoss,
    ClassBalancedSoftmaxLoss as ClassBalancedSoftmaxLoss,
    LDAMSoftmaxLoss as LDAMSoftmaxLoss,
    LogitAdjustedSoftmaxLoss as LogitAdjustedSoftmaxLoss,
    SeesawLoss as SeesawLoss,
)
from .stateful import EqualizationLossV2 as EqualizationLossV2, SelfPacedLoss as SelfPacedLoss
from .class_weights import ClassCounts as ClassCounts
