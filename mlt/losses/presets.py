"""The published losses as compositions: one function a name, its arguments the literature's.

Nothing happens here but naming: each function returns the configuration that could be written out
by hand. What many losses have in common (`reduction`, `scale`, `label_smoothing`) is filled in by
`mlt.losses.loss_config.resolve_preset`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mlt.losses.part_settings import (
    Asymmetric,
    Beta,
    ClassMargin,
    ClassScheme,
    EffectiveNumber,
    Equalization,
    Federated,
    Focal,
    Hill,
    Inverse,
    Margin,
    NegativeTolerant,
    NoFocusing,
    NoWeighting,
    Polynomial,
    PositiveWeight,
    PriorShift,
    Rebalance,
    RobustAsymmetric,
    Scheme,
    SoftTargets,
)
from mlt.losses.settings import (
    AnyLoss,
    BalancedSoftmax,
    ClassBalancedSoftmax,
    Composition,
    CrossEntropy,
    EqualizationV2,
    LDAMSoftmax,
    LogitAdjustedSoftmax,
    Seesaw,
    SelfPaced,
    TwoWay,
    Zlpr,
)

__all__ = ["ONE_LABEL_SIGMOID", "PRESETS"]


def bce() -> Composition:
    """Sigmoid cross entropy."""
    return Composition()


def focal(
    *, gamma: float = 2.0, alpha: float | None = None, soft_targets: SoftTargets = "mean"
) -> Composition:
    """Focal loss; the Distribution-Balanced code sets `scale` (its balance_param) to 2."""
    focusing = Focal(name="focal", gamma=gamma, alpha=alpha, soft_targets=soft_targets)
    return Composition(focusing=focusing)


def inverse(
    *,
    power: float = 1.0,
    scheme: ClassScheme = "by_class",
    normalise: bool = False,
    start_epoch: int = 0,
) -> Composition:
    """Cross entropy with a column weight of M / n, not scaled, as in the published code."""
    weighting = Inverse(
        name="inverse", power=power, scheme=scheme, normalise=normalise, start_epoch=start_epoch
    )
    return Composition(weighting=weighting)


def sqrt_inverse(
    *, scheme: ClassScheme = "by_class", normalise: bool = False, start_epoch: int = 0
) -> Composition:
    """Cross entropy with a column weight of sqrt(M / n), not scaled."""
    return inverse(power=0.5, scheme=scheme, normalise=normalise, start_epoch=start_epoch)


def pos_weight(
    *, power: float = 1.0, max_weight: float | None = None, start_epoch: int = 0
) -> Composition:
    """Cross entropy with positives weighted ((M - n) / n)^power, as torch's pos_weight."""
    weighting = PositiveWeight(
        name="pos_weight", power=power, max_weight=max_weight, start_epoch=start_epoch
    )
    return Composition(weighting=weighting)


def _effective_number(
    beta: Beta, scheme: Scheme, normalise: bool | None, start_epoch: int
) -> EffectiveNumber:
    scaled = {} if normalise is None else {"normalise": normalise}
    return EffectiveNumber(
        name="effective_number", beta=beta, scheme=scheme, start_epoch=start_epoch, **scaled
    )


def cb_bce(
    *,
    beta: Beta = "auto",
    scheme: Scheme = "column",
    normalise: bool | None = None,
    start_epoch: int = 0,
) -> Composition:
    """Class-balanced cross entropy, its weights summing to C; COCO-MLT has 0.9 and average_w."""
    weighting = _effective_number(beta, scheme, normalise, start_epoch)
    return Composition(weighting=weighting)


def cb_focal(
    *,
    beta: Beta = "auto",
    scheme: Scheme = "column",
    normalise: bool | None = None,
    gamma: float = 2.0,
    alpha: float | None = None,
    start_epoch: int = 0,
) -> Composition:
    """Class-balanced focal loss; COCO-MLT has beta 0.9, scheme average_w and scale 2."""
    return Composition(
        focusing=Focal(name="focal", gamma=gamma, alpha=alpha),
        weighting=_effective_number(beta, scheme, normalise, start_epoch),
    )


def _rebalance(
    map_alpha: float, map_beta: float, map_gamma: float, norm_by_instance: bool, start_epoch: int
) -> Rebalance:
    return Rebalance(
        name="rebalance",
        alpha=map_alpha,
        beta=map_beta,
        mu=map_gamma,
        normalise_rows=norm_by_instance,
        start_epoch=start_epoch,
    )


def r_bce(
    *,
    map_alpha: float = 0.1,
    map_beta: float = 10.0,
    map_gamma: float = 0.2,
    norm_by_instance: bool = False,
    start_epoch: int = 0,
) -> Composition:
    """Rebalanced cross entropy; COCO's parameters, VOC's have map_gamma 0.3."""
    weighting = _rebalance(map_alpha, map_beta, map_gamma, norm_by_instance, start_epoch)
    return Composition(weighting=weighting)


def r_focal(
    *,
    map_alpha: float = 0.1,
    map_beta: float = 10.0,
    map_gamma: float = 0.2,
    norm_by_instance: bool = False,
    gamma: float = 2.0,
    start_epoch: int = 0,
) -> Composition:
    """Rebalanced focal loss, doubled as in the published configurations."""
    return Composition(
        focusing=Focal(name="focal", gamma=gamma),
        weighting=_rebalance(map_alpha, map_beta, map_gamma, norm_by_instance, start_epoch),
        scale=2.0,
    )


def ntr_bce(*, neg_scale: float = 2.0, init_bias: float = 0.05) -> Composition:
    """The negative-tolerant part of the Distribution-Balanced loss alone."""
    adjustment = NegativeTolerant(
        name="negative_tolerant", neg_scale=neg_scale, init_bias=init_bias
    )
    return Composition(adjustment=adjustment)


def db(
    *,
    map_alpha: float = 0.1,
    map_beta: float = 10.0,
    map_gamma: float = 0.2,
    neg_scale: float = 2.0,
    init_bias: float = 0.05,
    start_epoch: int = 0,
) -> Composition:
    """Distribution-Balanced loss; COCO's parameters, VOC's are map_gamma 0.3 and neg_scale 5."""
    return Composition(
        adjustment=NegativeTolerant(
            name="negative_tolerant", neg_scale=neg_scale, init_bias=init_bias
        ),
        weighting=_rebalance(map_alpha, map_beta, map_gamma, False, start_epoch),
    )


def db_focal(
    *,
    map_alpha: float = 0.1,
    map_beta: float = 10.0,
    map_gamma: float = 0.2,
    neg_scale: float = 2.0,
    init_bias: float = 0.05,
    gamma: float = 2.0,
    start_epoch: int = 0,
) -> Composition:
    """Distribution-Balanced focal loss, doubled as published; COCO's parameters."""
    return Composition(
        adjustment=NegativeTolerant(
            name="negative_tolerant", neg_scale=neg_scale, init_bias=init_bias
        ),
        focusing=Focal(name="focal", gamma=gamma),
        weighting=_rebalance(map_alpha, map_beta, map_gamma, False, start_epoch),
        scale=2.0,
    )


def asl(
    *,
    gamma_pos: float = 1.0,
    gamma_neg: float = 4.0,
    clip: float = 0.05,
    detached: bool = False,
    soft_targets: SoftTargets = "mean",
) -> Composition:
    """Asymmetric loss with the defaults of the published class; the paper also uses gamma_pos 0."""
    focusing = Asymmetric(
        name="asymmetric",
        gamma_pos=gamma_pos,
        gamma_neg=gamma_neg,
        clip=clip,
        detached=detached,
        soft_targets=soft_targets,
    )
    return Composition(focusing=focusing)


def balanced_asl(
    *,
    gamma_pos: float = 0.0,
    gamma_neg: float = 9.8,
    clip: float = 0.05,
    power: float = 1.35,
    detached: bool = False,
) -> Composition:
    """ASL with positives weighted 1 + w, w from inverse frequency; not divided by the batch."""
    return Composition(
        focusing=Asymmetric(
            name="asymmetric",
            gamma_pos=gamma_pos,
            gamma_neg=gamma_neg,
            clip=clip,
            detached=detached,
        ),
        weighting=Inverse(name="inverse", power=power, scheme="positive", offset=1.0),
    )


def ral(
    *,
    gamma_pos: float = 0.0,
    gamma_neg: float = 4.0,
    clip: float = 0.05,
    lamb: float = 1.5,
    epsilon_pos: float = 1.0,
    epsilon_pos_pow: float = -2.5,
) -> Composition:
    """Robust asymmetric loss."""
    focusing = RobustAsymmetric(
        name="robust_asymmetric",
        gamma_pos=gamma_pos,
        gamma_neg=gamma_neg,
        clip=clip,
        lamb=lamb,
        epsilon_pos=epsilon_pos,
        epsilon_pos_pow=epsilon_pos_pow,
    )
    return Composition(focusing=focusing)


def hill(*, lamb: float = 1.5, margin: float = 1.0, gamma: float = 2.0) -> Composition:
    """Hill loss."""
    return Composition(
        adjustment=Margin(name="margin", margin=margin),
        focusing=Hill(name="hill", gamma=gamma, lamb=lamb),
    )


def poly(*, epsilon: float = 2.0, gamma: float = 0.0, alpha: float | None = None) -> Composition:
    """Poly-1 on cross entropy (gamma 0) or on focal loss."""
    focusing = Polynomial(name="polynomial", epsilon=epsilon, gamma=gamma, alpha=alpha)
    return Composition(focusing=focusing)


def logit_adjusted(*, tau: float = 1.0, start_epoch: int = 0) -> Composition:
    """Logit adjustment, the per-label analogue of the published softmax form."""
    adjustment = PriorShift(name="prior_shift", tau=tau, start_epoch=start_epoch)
    return Composition(adjustment=adjustment)


def ldam(
    *,
    max_m: float = 0.5,
    s: float = 30.0,
    margin_epoch: int = 0,
    drw_epoch: int | None = None,
    beta: Beta = 0.9999,
    scheme: Scheme = "positive",
) -> Composition:
    """LDAM, the per-label analogue; `drw_epoch` adds its deferred class-balanced weights."""
    weighting = (
        NoWeighting() if drw_epoch is None else _effective_number(beta, scheme, None, drw_epoch)
    )
    return Composition(
        adjustment=ClassMargin(
            name="class_margin", max_margin=max_m, scale=s, start_epoch=margin_epoch
        ),
        weighting=weighting,
    )


def eql(*, threshold: float = 1.76e-3, start_epoch: int = 0) -> Composition:
    """Equalization loss: rare classes get no gradient as negatives."""
    weighting = Equalization(name="equalization", threshold=threshold, start_epoch=start_epoch)
    return Composition(weighting=weighting)


def federated(*, num_classes: int = 50, power: float = 0.5, gamma: float = 0.0) -> Composition:
    """Federated loss: per batch, the classes present and a draw of others."""
    return Composition(
        focusing=Focal(name="focal", gamma=gamma) if gamma else NoFocusing(),
        weighting=Federated(name="federated", num_classes=num_classes, power=power),
    )


def two_way(*, tp: float = 4.0, tn: float = 1.0) -> TwoWay:
    """Two-way loss."""
    return TwoWay(name="two_way", tp=tp, tn=tn)


def zlpr() -> Zlpr:
    """ZLPR."""
    return Zlpr(name="zlpr")


def splc(
    *, tau: float = 0.6, change_epoch: int = 1, margin: float = 1.0, gamma: float = 2.0
) -> SelfPaced:
    """SPLC: self-paced correction of missed labels."""
    return SelfPaced(name="splc", tau=tau, change_epoch=change_epoch, margin=margin, gamma=gamma)


def eqlv2(
    *, gamma: float = 12.0, mu: float = 0.8, alpha: float = 4.0, start_ratio: float = 100.0
) -> EqualizationV2:
    """EQLv2: weights follow the accumulated gradients."""
    return EqualizationV2(name="eqlv2", gamma=gamma, mu=mu, alpha=alpha, start_ratio=start_ratio)


def cb_sigmoid_single(*, beta: Beta = "auto", start_epoch: int = 0) -> Composition:
    """Class-balanced sigmoid cross entropy as published, for one label per image.

    All C terms of an image weigh as its class; the sum is divided by the images, each of which has
    one positive.
    """
    weighting = _effective_number(beta, "instance", None, start_epoch)
    return Composition(weighting=weighting, reduction="batchmean")


def cb_focal_single(
    *, beta: Beta = "auto", gamma: float = 2.0, start_epoch: int = 0
) -> Composition:
    """Class-balanced focal loss as published, for one label per image; see cb_sigmoid_single."""
    return Composition(
        focusing=Focal(name="focal", gamma=gamma),
        weighting=_effective_number(beta, "instance", None, start_epoch),
        reduction="batchmean",
    )


def ce() -> CrossEntropy:
    """Softmax cross entropy."""
    return CrossEntropy(name="ce")


def cb_softmax(*, beta: Beta = "auto", start_epoch: int = 0) -> ClassBalancedSoftmax:
    """Class-balanced softmax cross entropy, its weights summing to C."""
    return ClassBalancedSoftmax(name="cb_softmax", beta=beta, start_epoch=start_epoch)


def logit_adjusted_softmax(*, tau: float = 1.0) -> LogitAdjustedSoftmax:
    """Logit adjustment as published, for one label per image."""
    return LogitAdjustedSoftmax(name="logit_adjusted_softmax", tau=tau)


def balanced_softmax() -> BalancedSoftmax:
    """Balanced softmax."""
    return BalancedSoftmax(name="balanced_softmax")


def ldam_softmax(
    *, max_m: float = 0.5, s: float = 30.0, drw_epoch: int | None = None, beta: Beta = 0.9999
) -> LDAMSoftmax:
    """LDAM as published, for one label per image; `drw_epoch` adds its deferred weights."""
    return LDAMSoftmax(name="ldam_softmax", max_m=max_m, s=s, drw_epoch=drw_epoch, beta=beta)


def seesaw(*, p: float = 0.8, q: float = 2.0, floor: float = 0.01) -> Seesaw:
    """Seesaw loss."""
    return Seesaw(name="seesaw", p=p, q=q, floor=floor)


PRESETS: Mapping[str, Callable[..., AnyLoss]] = {
    "bce": bce,
    "inverse": inverse,
    "sqrt_inverse": sqrt_inverse,
    "pos_weight": pos_weight,
    "focal": focal,
    "cb_bce": cb_bce,
    "cb_focal": cb_focal,
    "r_bce": r_bce,
    "r_focal": r_focal,
    "ntr_bce": ntr_bce,
    "db": db,
    "db_focal": db_focal,
    "asl": asl,
    "balanced_asl": balanced_asl,
    "ral": ral,
    "hill": hill,
    "splc": splc,
    "poly": poly,
    "logit_adjusted": logit_adjusted,
    "ldam": ldam,
    "eql": eql,
    "eqlv2": eqlv2,
    "federated": federated,
    "two_way": two_way,
    "zlpr": zlpr,
    "cb_sigmoid_single": cb_sigmoid_single,
    "cb_focal_single": cb_focal_single,
    "ce": ce,
    "cb_softmax": cb_softmax,
    "logit_adjusted_softmax": logit_adjusted_softmax,
    "balanced_softmax": balanced_softmax,
    "ldam_softmax": ldam_softmax,
    "seesaw": seesaw,
}

ONE_LABEL_SIGMOID = frozenset({"cb_sigmoid_single", "cb_focal_single"})
"""Losses with a sigmoid per class that are published for exactly one label per image."""
