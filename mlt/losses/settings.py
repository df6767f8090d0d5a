"""The loss section of a configuration: one algebra of named parts.

A per-label loss is put together from three parts, each visible in the YAML::

    loss:
      adjustment: {name: negative_tolerant, neg_scale: 2, init_bias: 0.05}
      focusing: {name: focal, gamma: 2}
      weighting: {name: rebalance, alpha: 0.1, beta: 10, mu: 0.2}
      scale: 2
      reduction: mean

Losses that couple the labels of a row or carry state have a name of their own: ``loss: {name:
zlpr}``. Published losses by their names are in `mlt.losses.presets`.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat

from mlt.activation import Activation
from mlt.losses.part_settings import (
    Adjustment,
    Beta,
    Focusing,
    NoAdjustment,
    NoFocusing,
    NoWeighting,
    Probability,
    StartEpoch,
    Weighting,
)
from mlt.settings import Settings

__all__ = [
    "Activation",
    "AnyLoss",
    "BalancedSoftmax",
    "ClassBalancedSoftmax",
    "Composition",
    "CrossEntropy",
    "EqualizationV2",
    "LDAMSoftmax",
    "LogitAdjustedSoftmax",
    "Reduction",
    "Seesaw",
    "SelfPaced",
    "SigmoidLoss",
    "SoftmaxLoss",
    "TwoWay",
    "Zlpr",
]

Reduction: TypeAlias = Literal["none", "mean", "sum", "batchmean"]
"""How elements become one number: kept; mean over known elements; sum; sum over number of rows."""

_Reduced: TypeAlias = Annotated[
    Reduction,
    Field(description="How elements become a number: mean, sum, or batchmean, sum over rows."),
]


LabelSmoothing: TypeAlias = Annotated[float, Field(ge=0, lt=1)]


class _SigmoidLoss(Settings):
    activation: ClassVar[Activation] = "sigmoid"
    takes_soft_targets: ClassVar[bool] = True


class Composition(_SigmoidLoss):
    """A per-label loss put together from an adjustment, a focusing and a weighting."""

    name: Literal["composition"] = "composition"
    adjustment: Adjustment = NoAdjustment()
    focusing: Focusing = NoFocusing()
    weighting: Weighting = NoWeighting()
    scale: PositiveFloat = 1.0
    """Constant factor on the loss."""
    label_smoothing: LabelSmoothing = 0.0
    """e: costs are taken at the target y (1 - e) + e / 2; weights are those of y."""
    reduction: _Reduced = "mean"


class TwoWay(_SigmoidLoss):
    """Two-way multi-label loss (Kobayashi, CVPR 2023): couples rows and columns of the batch."""

    takes_soft_targets: ClassVar[bool] = False

    name: Literal["two_way"]
    tp: PositiveFloat = 4.0
    """Temperature of the positives."""
    tn: PositiveFloat = 1.0
    """Temperature of the negatives."""
    reduction: _Reduced = "mean"


class Zlpr(_SigmoidLoss):
    """Zero-bounded log-sum-exp loss (2208.02955): couples the labels of a row."""

    takes_soft_targets: ClassVar[bool] = False

    name: Literal["zlpr"]
    reduction: _Reduced = "mean"


class SelfPaced(_SigmoidLoss):
    """SPLC (2112.07368): likely negatives count as positives from an epoch on."""

    name: Literal["splc"]
    tau: Probability = 0.6
    """A negative of a larger probability than this is taken to be a missed label."""
    change_epoch: NonNegativeInt = 1
    """Epoch from which the correction is on."""
    margin: float = 1.0
    """Subtracted from the logit of a positive."""
    gamma: NonNegativeFloat = 2.0
    """Focusing of positives and negatives."""
    scale: PositiveFloat = 1.0
    """Constant factor on the loss."""
    label_smoothing: LabelSmoothing = 0.0
    """e: costs are taken at the target y (1 - e) + e / 2."""
    reduction: _Reduced = "mean"


class EqualizationV2(_SigmoidLoss):
    """EQLv2 (Tan et al., CVPR 2021): weights follow the accumulated gradient ratio."""

    name: Literal["eqlv2"]
    gamma: float = 12.0
    """Steepness of the map from gradient ratio to weight."""
    mu: float = 0.8
    """Gradient ratio at which a negative weighs one half."""
    alpha: NonNegativeFloat = 4.0
    """How much more the positives of a class with few gradients weigh."""
    start_ratio: NonNegativeFloat = 100.0
    """Ratio of positive to negative gradient before anything was seen."""
    label_smoothing: LabelSmoothing = 0.0
    """e: costs are taken at the target y (1 - e) + e / 2."""
    reduction: _Reduced = "mean"


class _SoftmaxLoss(Settings):
    activation: ClassVar[Activation] = "softmax"
    takes_soft_targets: ClassVar[bool] = True


class _SmoothedSoftmaxLoss(_SoftmaxLoss):
    label_smoothing: LabelSmoothing = 0.0
    """e: the target of the true class is 1 - e + e / C, that of each other e / C; weights and
    margins are those of the true class."""
    reduction: _Reduced = "mean"


class CrossEntropy(_SmoothedSoftmaxLoss):
    """Softmax cross entropy."""

    name: Literal["ce"]


class ClassBalancedSoftmax(_SmoothedSoftmaxLoss):
    """Softmax cross entropy weighted by effective number (Cui et al., CVPR 2019)."""

    name: Literal["cb_softmax"]
    beta: Beta = "auto"
    """0 weighs all classes alike, near 1 is inverse frequency; auto is (N - 1) / N of N images."""
    start_epoch: StartEpoch = 0


class LogitAdjustedSoftmax(_SmoothedSoftmaxLoss):
    """Softmax cross entropy of z + tau log(pi) (Menon et al., ICLR 2021)."""

    name: Literal["logit_adjusted_softmax"]
    tau: float = 1.0
    """Strength of the shift."""


class BalancedSoftmax(_SmoothedSoftmaxLoss):
    """Softmax cross entropy of z + log(n) (Ren et al., NeurIPS 2020)."""

    name: Literal["balanced_softmax"]


class LDAMSoftmax(_SmoothedSoftmaxLoss):
    """Softmax cross entropy with a margin by class (Cao et al., NeurIPS 2019)."""

    name: Literal["ldam_softmax"]
    max_m: float = 0.5
    """Margin of the rarest class."""
    s: PositiveFloat = 30.0
    """Factor on the logits."""
    drw_epoch: NonNegativeInt | None = None
    """Epoch, counted from 0, from which rows are weighted by effective number, too (DRW); null:
    never."""
    beta: Beta = 0.9999
    """Of these weights."""


class Seesaw(_SoftmaxLoss):
    """Seesaw loss (Wang et al., CVPR 2021), which counts the classes it sees."""

    takes_soft_targets: ClassVar[bool] = False

    name: Literal["seesaw"]
    p: NonNegativeFloat = 0.8
    """Strength of mitigation."""
    q: NonNegativeFloat = 2.0
    """Strength of compensation."""
    floor: PositiveFloat = 0.01
    """Least probability of the true class to divide by."""
    reduction: _Reduced = "mean"


SigmoidLoss: TypeAlias = Composition | TwoWay | Zlpr | SelfPaced | EqualizationV2
SoftmaxLoss: TypeAlias = (
    CrossEntropy
    | ClassBalancedSoftmax
    | LogitAdjustedSoftmax
    | BalancedSoftmax
    | LDAMSoftmax
    | Seesaw
)
AnyLoss: TypeAlias = SigmoidLoss | SoftmaxLoss
