"""The parts a per-label loss is made of: adjustment, focusing, weighting.

Each part is a small model with a ``name``, so that the YAML reads ``focusing: {name: focal, gamma:
2}`` and an option of another part is an error.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from mlt.settings import Settings

__all__ = [
    "REFERENCE_SCHEMES",
    "Adjustment",
    "Asymmetric",
    "Beta",
    "ClassMargin",
    "ClassScheme",
    "EffectiveNumber",
    "Equalization",
    "Federated",
    "Focal",
    "Focusing",
    "Hill",
    "Inverse",
    "Margin",
    "NegativeTolerant",
    "NoAdjustment",
    "NoFocusing",
    "NoWeighting",
    "Polynomial",
    "PositiveWeight",
    "PriorShift",
    "Rebalance",
    "RobustAsymmetric",
    "Scheme",
    "SoftTargets",
    "Weighting",
]

Scheme: TypeAlias = Literal[
    "column", "positive", "instance", "by_class", "average_w", "average_n", "min_n"
]
"""Where a class weight goes.

``column``: on both terms of the class. ``positive``: on its positive term only. ``instance``: the
mean weight of the image's own classes, on its whole row. The other four are the ones of the
Distribution-Balanced code, whose weights are not scaled: ``by_class`` is ``column``, ``average_w``
is ``instance``, ``average_n`` is the weight at the mean count of the image's classes, ``min_n`` the
weight of its rarest class.
"""

ClassScheme: TypeAlias = Literal["column", "positive", "instance", "by_class", "average_w", "min_n"]
"""The schemes that need nothing but one weight per class."""

REFERENCE_SCHEMES = ("by_class", "average_w", "average_n", "min_n")

StartEpoch: TypeAlias = Annotated[
    NonNegativeInt, Field(description="Epoch, counted from 0, from which this part is on.")
]
Beta: TypeAlias = Annotated[float, Field(ge=0, lt=1)] | Literal["auto"]
"""Of the effective number of samples; see `mlt.losses.class_weights.resolve_beta`."""
SoftTargets: TypeAlias = Annotated[
    Literal["mean", "mixed"],
    Field(
        description="What a label y between 0 and 1 costs: the mean of the costs of 1 and 0, or "
        "cross entropy times a power of 1 - p_t with p_t mixed by y, as in torchvision and timm."
    ),
]
Probability: TypeAlias = Annotated[float, Field(ge=0, le=1)]


# --- logit adjustment -----------------------------------------------------------------------------


class NoAdjustment(Settings):
    """The logits as they are."""

    name: Literal["none"] = "none"


class PriorShift(Settings):
    """Train on z + tau log(pi / (1 - pi)), predict with z (Menon et al., ICLR 2021)."""

    name: Literal["prior_shift"]
    tau: float = 1.0
    """Strength of the shift."""
    start_epoch: StartEpoch = 0
    """Epoch (counted from 0) from which the shift is on."""


class NegativeTolerant(Settings):
    """Shift by the class prior and flatten the negative side (Wu et al., ECCV 2020)."""

    name: Literal["negative_tolerant"]
    neg_scale: PositiveFloat = 2.0
    """lambda: the negative term is softplus(lambda q) / lambda."""
    init_bias: float = 0.05
    """kappa: q = z - kappa / lambda * log(M / n - 1)."""
    start_epoch: StartEpoch = 0


class Margin(Settings):
    """Subtract one margin from every positive's logit (Hill loss, SPLC)."""

    name: Literal["margin"]
    margin: float = 1.0
    """What is subtracted."""
    start_epoch: StartEpoch = 0


class ClassMargin(Settings):
    """Subtract a margin that grows as the class gets rarer (LDAM, Cao et al., NeurIPS 2019)."""

    name: Literal["class_margin"]
    max_margin: float = 0.5
    """Margin of the rarest class; the others have max_margin (n_min / n)^(1/4)."""
    scale: PositiveFloat = 30.0
    """Factor on the logits, applied from the first epoch."""
    start_epoch: StartEpoch = 0
    """Epoch from which the margin is on."""


Adjustment: TypeAlias = Annotated[
    NoAdjustment | PriorShift | NegativeTolerant | Margin | ClassMargin,
    Field(discriminator="name", description="What is done to the logits first."),
]


# --- focusing -------------------------------------------------------------------------------------


class NoFocusing(Settings):
    """Sigmoid cross entropy."""

    name: Literal["none"] = "none"


class Focal(Settings):
    """Cross entropy times (1 - p_t)^gamma (Lin et al., ICCV 2017)."""

    name: Literal["focal"]
    gamma: NonNegativeFloat = 2.0
    """How little an easy label counts; 0 is cross entropy."""
    alpha: Probability | None = None
    """Weight of positives, 1 - alpha that of negatives; none: both 1."""
    soft_targets: SoftTargets = "mean"


class Asymmetric(Settings):
    """Asymmetric focusing with a probability margin (Ridnik et al., ICCV 2021)."""

    name: Literal["asymmetric"]
    gamma_pos: NonNegativeFloat = 1.0
    """How little an easy positive counts."""
    gamma_neg: NonNegativeFloat = 4.0
    """How little an easy negative counts."""
    clip: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Negatives of a smaller probability than this cost nothing."""
    detached: bool = False
    """Stop the gradient at the focusing factor, as the published training code does."""
    soft_targets: SoftTargets = "mean"


class RobustAsymmetric(Settings):
    """Robust asymmetric loss (Park et al., ICCV workshops 2023)."""

    name: Literal["robust_asymmetric"]
    gamma_pos: NonNegativeFloat = 0.0
    """How little an easy positive counts."""
    gamma_neg: NonNegativeFloat = 4.0
    """How little an easy negative counts."""
    clip: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Negatives of a smaller probability than this cost nothing."""
    lamb: Annotated[float, Field(ge=1)] = 1.5
    """lambda of the negatives' Hill-like factor (lambda - p) p^2."""
    epsilon_pos: float = 1.0
    """e1: e1 (1 - p) is taken off the cost of a positive."""
    epsilon_pos_pow: float = -2.5
    """e2: (e2 / 2) (1 - p)^2 is taken off the cost of a positive."""


class Hill(Settings):
    """Focal positives, and negatives (lamb - p) p^2, whose gradient falls for likely misses."""

    name: Literal["hill"]
    gamma: NonNegativeFloat = 2.0
    """How little an easy positive counts."""
    lamb: Annotated[float, Field(ge=1)] = 1.5
    """lambda of the negatives' cost (lambda - p) p^2."""


class Polynomial(Settings):
    """Focal plus epsilon (1 - p_t)^(gamma + 1): Poly-1 (Leng et al., ICLR 2022)."""

    name: Literal["polynomial"]
    epsilon: float = 2.0
    """Coefficient of the first polynomial term."""
    gamma: NonNegativeFloat = 0.0
    """Of the focal loss it is added to; 0 is cross entropy."""
    alpha: Probability | None = None
    """Weight of positives, 1 - alpha that of negatives; none: both 1."""


Focusing: TypeAlias = Annotated[
    NoFocusing | Focal | Asymmetric | RobustAsymmetric | Hill | Polynomial,
    Field(discriminator="name", description="What a label costs, given its adjusted logit."),
]


# --- weighting ------------------------------------------------------------------------------------


class NoWeighting(Settings):
    """Every element weighs 1."""

    name: Literal["none"] = "none"


class _ClassWeighting(Settings):
    normalise: bool = True
    """Scale the class weights so that they sum to the number of classes. On by default, except
    for the schemes of the published code (by_class, average_w, average_n, min_n)."""
    start_epoch: StartEpoch = 0
    """Epoch (counted from 0) from which the weights are on (deferred re-weighting)."""

    @model_validator(mode="before")
    @classmethod
    def _reference_schemes_are_not_scaled(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("scheme") in REFERENCE_SCHEMES:
            return {"normalise": False, **data}
        return data


class Inverse(_ClassWeighting):
    """(M / n)^power: inverse frequency at power 1, its root at 0.5."""

    name: Literal["inverse"]
    scheme: ClassScheme = "column"
    """Where the weight of a class goes; see `Scheme`."""
    power: NonNegativeFloat = 1.0
    """1 for inverse frequency, 0.5 for its root, 0 for equal weights."""
    offset: NonNegativeFloat = 0.0
    """Added to the (scaled) weights; 1 is the reading of the balanced asymmetric loss."""


class PositiveWeight(Settings):
    """((M - n) / n)^power on positives: the pos_weight of torch's BCEWithLogitsLoss at power 1."""

    name: Literal["pos_weight"]
    power: NonNegativeFloat = 1.0
    """1 lets positives and negatives of a class weigh the same in all; 0.5 is its root."""
    max_weight: PositiveFloat | None = None
    """Largest weight; null for none."""
    start_epoch: StartEpoch = 0


class EffectiveNumber(_ClassWeighting):
    """(1 - beta) / (1 - beta^n): class-balanced weights (Cui et al., CVPR 2019)."""

    name: Literal["effective_number"]
    scheme: Scheme = "column"
    """Where the weight of a class goes; see `Scheme`."""
    beta: Beta = "auto"
    """0 weighs all classes alike, near 1 is inverse frequency; auto is (N - 1) / N of N images."""


class Rebalance(Settings):
    """alpha + sigmoid(beta (r - mu)), r = (1 / n) / sum of 1 / n over the image's classes."""

    name: Literal["rebalance"]
    alpha: NonNegativeFloat = 0.1
    """Least weight."""
    beta: float = 10.0
    """Steepness of the sigmoid."""
    mu: float = 0.2
    """Ratio r at which the sigmoid is one half."""
    normalise_rows: bool = False
    """Divide a row's weights by their largest."""
    start_epoch: StartEpoch = 0


class Equalization(Settings):
    """No negative gradient for rare classes, except on images without labels (EQL, CVPR 2020)."""

    name: Literal["equalization"]
    threshold: Probability = 1.76e-3
    """A class is rare if it is on a smaller share of the images than this (LVIS v1's value)."""
    start_epoch: StartEpoch = 0


class Federated(Settings):
    """Per batch, keep the classes present and a draw of others (Zhou et al., 2021)."""

    name: Literal["federated"]
    num_classes: PositiveInt = 50
    """Classes kept in a batch (more if more are present)."""
    power: NonNegativeFloat = 0.5
    """Absent classes are drawn with probability proportional to n^power."""
    start_epoch: StartEpoch = 0


Weighting: TypeAlias = Annotated[
    NoWeighting | Inverse | PositiveWeight | EffectiveNumber | Rebalance | Equalization | Federated,
    Field(discriminator="name", description="How much each label counts."),
]
