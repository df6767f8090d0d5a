from .adjustment import Adjusted as Adjusted, Adjustment as Adjustment
from .balanced_classes import (
    ClassBalancedFocalLoss as ClassBalancedFocalLoss,
    ClassBalancedLoss as ClassBalancedLoss,
    EqualizationLoss as EqualizationLoss,
    InverseFrequencyLoss as InverseFrequencyLoss,
    LDAMLoss as LDAMLoss,
    LogitAdjustedLoss as LogitAdjustedLoss,
)
from .base import Loss as Loss
from .class_weights import ClassCounts as ClassCounts
from .classes import (
    AsymmetricLoss as AsymmetricLoss,
    BinaryCrossEntropyLoss as BinaryCrossEntropyLoss,
    FocalLoss as FocalLoss,
    HillLoss as HillLoss,
    PolyLoss as PolyLoss,
    RobustAsymmetricLoss as RobustAsymmetricLoss,
)
from .coupled import TwoWayLoss as TwoWayLoss, ZLPRLoss as ZLPRLoss
from .distribution_balanced_classes import (
    DistributionBalancedFocalLoss as DistributionBalancedFocalLoss,
    DistributionBalancedLoss as DistributionBalancedLoss,
    RebalancedFocalLoss as RebalancedFocalLoss,
    RebalancedLoss as RebalancedLoss,
)
from .elementwise import ElementwiseLoss as ElementwiseLoss, PerLabelLoss as PerLabelLoss
from .factory import (
    build_loss as build_loss,
    create_loss as create_loss,
    list_losses as list_losses,
)
from .focusing import Focusing as Focusing
from .loss_config import loss_options as loss_options
from .reweighting import Weighting as Weighting
from .seesaw import SeesawLoss as SeesawLoss
from .softmax_classes import (
    BalancedSoftmaxLoss as BalancedSoftmaxLoss,
    ClassBalancedSoftmaxLoss as ClassBalancedSoftmaxLoss,
    LDAMSoftmaxLoss as LDAMSoftmaxLoss,
    LogitAdjustedSoftmaxLoss as LogitAdjustedSoftmaxLoss,
    SoftmaxCrossEntropyLoss as SoftmaxCrossEntropyLoss,
)
from .stateful import EqualizationLossV2 as EqualizationLossV2, SelfPacedLoss as SelfPacedLoss
