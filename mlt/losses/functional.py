"""Every loss as a pure function, for people with their own training code.

The element-wise ones take logits and targets of one shape (..., C) and return the loss of each
element, in float32 (float64 if the logits are), not reduced; :func:`mlt.losses.reduce.reduce` does
that, and applies a mask of known labels. Targets lie in [0, 1]; a soft target costs the mean of its
two readings, unless an option says that it is mixed. Nothing is modified. The modules compute the
same values, faster where a gradient is wanted, since they compute it along with the value.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mlt.losses import formulas
from mlt.losses.coupled import two_way, zlpr
from mlt.losses.formulas import mix
from mlt.losses.instance_weights import (
    effective_number_at,
    equalization_weights,
    instance_weights,
    rarest_class_weights,
    rebalance_weights,
)
from mlt.losses.part_settings import SoftTargets
from mlt.losses.reduce import reduce, working_precision
from mlt.losses.softmax_functional import seesaw, softmax_cross_entropy
from mlt.losses.stateful import equalization_v2_weights, self_paced_targets

__all__ = [
    "asymmetric",
    "binary_cross_entropy",
    "class_margin",
    "distribution_balanced",
    "effective_number_at",
    "equalization_v2_weights",
    "equalization_weights",
    "focal",
    "hill",
    "instance_weights",
    "logit_adjusted",
    "negative_tolerant",
    "polynomial",
    "rarest_class_weights",
    "rebalance_weights",
    "reduce",
    "robust_asymmetric",
    "seesaw",
    "self_paced",
    "self_paced_targets",
    "softmax_cross_entropy",
    "two_way",
    "zlpr",
]


def _ready(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    z = working_precision(logits)
    return z, targets.to(z.dtype)


def binary_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Sigmoid cross entropy.

    Example:
        >>> binary_cross_entropy(torch.zeros(2), torch.tensor([1, 0]))
        tensor([0.6931, 0.6931])
    """
    z, y = _ready(logits, targets)
    return mix(y, formulas.cross_entropy(z), formulas.cross_entropy(-z))


def focal(
    logits: Tensor,
    targets: Tensor,
    *,
    gamma: float = 2.0,
    alpha: float | None = None,
    soft_targets: SoftTargets = "mean",
) -> Tensor:
    """Focal loss: alpha_t (1 - p_t)^gamma times cross entropy.

    Args:
        logits: Shape (..., C).
        targets: Same shape, in [0, 1].
        gamma: Focusing parameter, at least 0.
        alpha: Weight of positives, 1 - alpha that of negatives; None: both 1.
        soft_targets: ``"mean"`` of the costs of 1 and 0, or ``"mixed"`` as in torchvision.

    References:
        Lin et al., Focal Loss for Dense Object Detection, ICCV 2017.

    Example:
        >>> focal(torch.zeros(2), torch.tensor([1, 0]))
        tensor([0.1733, 0.1733])
    """
    z, y = _ready(logits, targets)
    on_positive, on_negative = (1.0, 1.0) if alpha is None else (alpha, 1 - alpha)
    if soft_targets == "mixed":
        weight = on_negative + (on_positive - on_negative) * y
        return weight * formulas.mixed_focal(z, -z, y, (gamma, gamma))
    return mix(y, on_positive * formulas.focal(z, gamma), on_negative * formulas.focal(-z, gamma))


def asymmetric(
    logits: Tensor,
    targets: Tensor,
    *,
    gamma_pos: float = 1.0,
    gamma_neg: float = 4.0,
    clip: float = 0.05,
    detached: bool = False,
    soft_targets: SoftTargets = "mean",
) -> Tensor:
    """Asymmetric loss: a gamma for each side, and a probability margin for negatives.

    Args:
        logits: Shape (..., C).
        targets: Same shape, in [0, 1].
        gamma_pos: Focusing of positives.
        gamma_neg: Focusing of negatives.
        clip: Negatives of a smaller probability cost nothing.
        detached: Stop the gradient at the focusing factors.
        soft_targets: ``"mean"`` of the costs of 1 and 0, or ``"mixed"`` as in timm.

    References:
        Ridnik et al., Asymmetric Loss For Multi-Label Classification, ICCV 2021, arXiv 2009.14119.

    Example:
        >>> asymmetric(torch.zeros(2), torch.tensor([1, 0]))
        tensor([0.3466, 0.0245])
    """
    z, y = _ready(logits, targets)
    if soft_targets == "mixed":
        return formulas.mixed_focal(z, -z, y, (gamma_pos, gamma_neg), clip, detached)
    if clip > 0:
        negative = formulas.margin_focal(-z, gamma_neg, clip, detached)
    else:
        negative = formulas.focal(-z, gamma_neg, detached)
    return mix(y, formulas.focal(z, gamma_pos, detached), negative)


def robust_asymmetric(
    logits: Tensor,
    targets: Tensor,
    *,
    gamma_pos: float = 0.0,
    gamma_neg: float = 4.0,
    clip: float = 0.05,
    lamb: float = 1.5,
    epsilon_pos: float = 1.0,
    epsilon_pos_pow: float = -2.5,
) -> Tensor:
    """Robust asymmetric loss; see `mlt.losses.formulas` for its two halves.

    References:
        Park et al., Robust Asymmetric Loss for Multi-Label Long-Tailed Learning, ICCV workshops
        2023, arXiv 2308.05542.

    Example:
        >>> robust_asymmetric(torch.zeros(2), torch.tensor([1, 0]))
        tensor([0.5056, 0.0058])
    """
    z, y = _ready(logits, targets)
    positive = formulas.robust_positive(z, gamma_pos, epsilon_pos, epsilon_pos_pow)
    return mix(y, positive, formulas.robust_negative(-z, gamma_neg, clip, lamb))


def hill(
    logits: Tensor, targets: Tensor, *, lamb: float = 1.5, margin: float = 1.0, gamma: float = 2.0
) -> Tensor:
    """Hill loss: focal positives at z - margin, negatives (lamb - p) p^2.

    References:
        Zhang et al., Simple and Robust Loss Design for Multi-Label Learning with Missing Labels,
        arXiv 2112.07368.

    Example:
        >>> hill(torch.zeros(2), torch.tensor([1, 0]))
        tensor([0.7019, 0.2500])
    """
    z, y = _ready(logits, targets)
    return mix(y, formulas.focal(z - margin, gamma), formulas.hill(-z, lamb))


def self_paced(
    logits: Tensor,
    targets: Tensor,
    *,
    corrected: bool = True,
    tau: float = 0.6,
    margin: float = 1.0,
    gamma: float = 2.0,
) -> Tensor:
    """SPLC: focal loss where negatives of a probability above tau count as positives.

    Args:
        logits: Shape (..., C).
        targets: Same shape, in [0, 1].
        corrected: False before the epoch from which the correction is on.
        tau: Probability above which a negative is taken to be a missed label.
        margin: Subtracted from the logits of given positives.
        gamma: Focusing parameter.

    References:
        As for :func:`hill`.

    Example:
        >>> self_paced(torch.tensor([3.0, 3.0]), torch.tensor([1, 0]))
        tensor([0.0018, 0.0001])
    """
    z, y = _ready(logits, targets)
    negative = formulas.focal(-z, gamma)
    if corrected:
        negative = torch.where(torch.sigmoid(z) > tau, formulas.focal(z, gamma), negative)
    return mix(y, formulas.focal(z - margin, gamma), negative)


def polynomial(
    logits: Tensor,
    targets: Tensor,
    *,
    epsilon: float = 2.0,
    gamma: float = 0.0,
    alpha: float | None = None,
) -> Tensor:
    """Poly-1: focal loss plus epsilon (1 - p_t)^(gamma + 1), both times alpha_t.

    References:
        Leng et al., PolyLoss, ICLR 2022, arXiv 2204.12511.

    Example:
        >>> polynomial(torch.zeros(2), torch.tensor([1, 0]))
        tensor([1.6931, 1.6931])
    """
    z, y = _ready(logits, targets)
    on_positive, on_negative = (1.0, 1.0) if alpha is None else (alpha, 1 - alpha)
    return mix(
        y,
        on_positive * formulas.polynomial(z, epsilon, gamma),
        on_negative * formulas.polynomial(-z, epsilon, gamma),
    )


def logit_adjusted(
    logits: Tensor, targets: Tensor, log_odds: Tensor, *, tau: float = 1.0
) -> Tensor:
    """Cross entropy of z + tau log(pi / (1 - pi)); predict with z.

    The per-label analogue of a softmax loss, which is
    :class:`mlt.losses.LogitAdjustedSoftmaxLoss`.

    Args:
        logits: Shape (..., C).
        targets: Same shape, in [0, 1].
        log_odds: log(pi / (1 - pi)) of each class, shape (C,); see
            `mlt.losses.class_weights.log_odds`.
        tau: Strength.

    References:
        Menon et al., Long-tail learning via logit adjustment, ICLR 2021.

    Example:
        >>> logit_adjusted(torch.zeros(1), torch.tensor([1]), torch.tensor([-2.0]))
        tensor([2.1269])
    """
    z, y = _ready(logits, targets)
    return binary_cross_entropy(z + tau * log_odds.to(z.dtype), y)


def class_margin(
    logits: Tensor, targets: Tensor, margins: Tensor, *, scale: float = 30.0
) -> Tensor:
    """LDAM, per label: cross entropy of scale (z - margin) for positives, scale z for negatives.

    The per-label analogue of a softmax loss, which is :class:`mlt.losses.LDAMSoftmaxLoss`.

    Args:
        logits: Shape (..., C).
        targets: Same shape, in [0, 1].
        margins: Shape (C,); see `mlt.losses.class_weights.class_margins`.
        scale: Factor on the logits.

    References:
        Cao et al., Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss,
        NeurIPS 2019.

    Example:
        >>> class_margin(torch.zeros(1), torch.tensor([1]), torch.tensor([0.5]), scale=2)
        tensor([1.3133])
    """
    z, y = _ready(logits, targets)
    positive = formulas.cross_entropy(scale * (z - margins.to(z.dtype)))
    return mix(y, positive, formulas.cross_entropy(-scale * z))


def negative_tolerant(
    logits: Tensor, targets: Tensor, shift: Tensor, *, neg_scale: float = 2.0, gamma: float = 0.0
) -> Tensor:
    """Focal loss at q = z + shift for positives; at neg_scale q, over neg_scale, for negatives.

    Args:
        logits: Shape (..., C).
        targets: Same shape, in [0, 1].
        shift: Shape (C,): init_bias / neg_scale log(n / (M - n)).
        neg_scale: lambda.
        gamma: Focusing parameter; 0 for none.

    References:
        Wu et al., Distribution-Balanced Loss for Multi-Label Classification in Long-Tailed
        Datasets, ECCV 2020, eq. 7 and 8.

    Example:
        >>> negative_tolerant(torch.zeros(2), torch.tensor([1, 0]), torch.zeros(2))
        tensor([0.6931, 0.3466])
    """
    z, y = _ready(logits, targets)
    q = z + shift.to(z.dtype)
    return mix(y, formulas.focal(q, gamma), formulas.focal(-neg_scale * q, gamma) / neg_scale)


def distribution_balanced(
    logits: Tensor,
    targets: Tensor,
    class_counts: Tensor,
    num_images: int,
    *,
    map_alpha: float = 0.1,
    map_beta: float = 10.0,
    map_gamma: float = 0.2,
    neg_scale: float = 2.0,
    init_bias: float = 0.05,
    gamma: float = 2.0,
    scale: float = 2.0,
) -> Tensor:
    """Distribution-Balanced (focal) loss: rebalanced weights times the negative-tolerant loss.

    Args:
        logits: Shape (..., C).
        targets: Same shape, in [0, 1].
        class_counts: Positives of each class, shape (C,); clamped to [1, num_images - 1].
        num_images: Images the counts were taken over.
        map_alpha: Least weight.
        map_beta: Steepness of the weight's sigmoid.
        map_gamma: Its centre.
        neg_scale: lambda.
        init_bias: kappa.
        gamma: Focusing parameter; 0 for none (the published loss without focal has scale 1).
        scale: Constant factor.

    References:
        As for :func:`negative_tolerant`.

    Example:
        >>> counts = torch.tensor([50.0, 50.0])
        >>> distribution_balanced(torch.zeros(2), torch.tensor([1, 0]), counts, num_images=100)
        tensor([0.3811, 0.1906])
    """
    z, y = _ready(logits, targets)
    counts = class_counts.to(z.dtype).clamp(1, num_images - 1)
    shift = init_bias / neg_scale * (counts.log() - (num_images - counts).log())
    weight = rebalance_weights(y, 1 / counts, alpha=map_alpha, beta=map_beta, mu=map_gamma)
    return scale * weight * negative_tolerant(z, y, shift, neg_scale=neg_scale, gamma=gamma)
