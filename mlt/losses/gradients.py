"""Cost of a label and its derivative along the signed logit, both in one pass.

The formulas are those of `mlt.losses.formulas`, whose derivatives autograd knows too. Written out,
a loss and its gradient need one exponential and one logarithm per element between them, and the
slope keeps its digits where a sigmoid is next to 1. The tests hold the two against each other.

Every function takes a :class:`Logistic` of the signed logit s (p_t = sigmoid(s) is the probability
of what is true) and returns the cost and d cost / d s, each in memory of its own. Uncompiled, an
operation in place takes a quarter of the time of one that needs new memory; hence the many of them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mlt.losses.formulas import mix
from mlt.losses.logistic import Logistic

__all__ = [
    "WithDerivative",
    "cross_entropy",
    "focal",
    "hill",
    "margin_focal",
    "mixed_focal",
    "polynomial",
    "power",
    "robust_negative",
    "robust_positive",
]

WithDerivative = tuple[Tensor, Tensor]
"""A cost and its derivative along the signed logit."""


def power(base: Tensor, exponent: float) -> Tensor:
    """Return base^exponent for base >= 0; small integer exponents by multiplication."""
    if exponent != int(exponent) or not 1 <= exponent <= 8:
        return base**exponent
    if exponent == 1:
        return base
    half = power(base, exponent // 2)
    return half * half if exponent % 2 == 0 else half * half * base


def cross_entropy(at: Logistic) -> WithDerivative:
    """-log p_t."""
    return at.cross_entropy(), at.miss.neg()


def focal(at: Logistic, gamma: float, detached: bool = False) -> WithDerivative:
    """-(1 - p_t)^gamma log p_t."""
    if gamma == 0:
        return cross_entropy(at)
    factor = power(at.miss, gamma)
    loss = at.cross_entropy()
    if detached:
        return loss.mul_(factor), (factor * at.miss).neg_()
    derivative = torch.addcmul(at.miss, at.right, loss, value=gamma).mul_(factor).neg_()
    return loss.mul_(factor), derivative


def polynomial(at: Logistic, epsilon: float, gamma: float) -> WithDerivative:
    """Focal plus epsilon (1 - p_t)^(gamma + 1)."""
    cost, derivative = focal(at, gamma)
    term = epsilon * power(at.miss, gamma + 1)
    return cost.add_(term), derivative.addcmul_(term, at.right, value=-(gamma + 1))


def margin_focal(at: Logistic, gamma: float, clip: float, detached: bool = False) -> WithDerivative:
    """-x^gamma log(1 - x) with x = max(1 - p_t - clip, 0), clip > 0."""
    x = (at.miss - clip).clamp_(min=0)
    # 1 - x without its cancellation, which would leave 0 where p_t and clip are small.
    rest = at.right + max(clip, torch.finfo(x.dtype).tiny)
    loss = (x / rest).log1p_()
    factor = power(x, gamma)
    along_x = factor / rest
    if not detached and gamma > 0:
        along_x.addcmul_(_power_below(x, gamma), loss, value=gamma)
    if gamma == 0:
        # The clamp holds x there; for every other gamma the factor is 0 already.
        along_x = torch.where(x > 0, along_x, 0)
    return loss.mul_(factor), along_x.mul_(at.miss).mul_(at.right).neg_()


def mixed_focal(
    positive: Logistic,
    negative: Logistic,
    targets: Tensor,
    gammas: tuple[float, float],
    clip: float = 0.0,
    detached: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """Cross entropy times (1 - p_t)^gamma, both mixed by a soft label; see `formulas.mixed_focal`.

    Args:
        positive: At the logit of a positive.
        negative: At minus the logit of a negative.
        targets: The labels.
        gammas: gamma_pos and gamma_neg.
        clip: Probability margin of negatives.
        detached: Stop the gradient at the power.

    Returns:
        The cost, and its derivatives along the logit of the positive and along minus the logit of
        the negative.
    """
    smallest = torch.finfo(targets.dtype).tiny
    off = (negative.miss - clip).clamp(min=0)
    falls = negative.miss * negative.right
    if clip > 0:
        rest = negative.right + max(clip, smallest)  # 1 - off, without its cancellation
        falls = torch.where(off > 0, falls, 0)
        on_negative, negative_slope = (off / rest).log1p(), -falls / rest
    else:
        on_negative, negative_slope = negative.cross_entropy(), -negative.miss
    entropy = mix(targets, positive.cross_entropy(), on_negative)
    miss = mix(targets, positive.miss, off).clamp(min=smallest)
    gamma = gammas[1] + (gammas[0] - gammas[1]) * targets
    factor = miss**gamma
    # Of the power: gamma d(miss) / miss, times the cost.
    of_power = torch.zeros_like(miss) if detached else gamma * entropy / miss
    along_positive = -positive.miss * (1 + of_power * positive.right)
    along_negative = negative_slope - of_power * falls
    return (
        factor * entropy,
        targets * factor * along_positive,
        (1 - targets) * factor * along_negative,
    )


def _power_below(x: Tensor, gamma: float) -> Tensor:
    # x^(gamma - 1), kept finite at 0, where it multiplies a logarithm that is 0.
    return power(x if gamma >= 1 else x.clamp(min=torch.finfo(x.dtype).tiny), gamma - 1)


def robust_positive(
    at: Logistic, gamma: float, epsilon: float, epsilon_pow: float
) -> WithDerivative:
    """(-log p_t - e1 (1 - p_t) - (e2 / 2) (1 - p_t)^2) (1 - p_t)^gamma."""
    miss = at.miss
    cost = at.cross_entropy().addcmul_(miss, epsilon + epsilon_pow / 2 * miss, value=-1)
    derivative = (epsilon + epsilon_pow * miss).mul_(at.right).sub_(1).mul_(miss)
    if gamma == 0:
        return cost, derivative
    factor = power(miss, gamma)
    derivative.addcmul_(at.right, cost, value=-gamma).mul_(factor)
    return cost.mul_(factor), derivative


def hill(at: Logistic, lamb: float) -> WithDerivative:
    """(l - (1 - p_t)) (1 - p_t)^2."""
    square = at.miss * at.miss
    # 2 l - 3 (1 - p_t), whose terms cancel next to 1 for the usual l = 3/2.
    derivative = (-3 * at.right).add_(3 - 2 * lamb).mul_(square).mul_(at.right)
    return square.mul_(lamb - at.miss), derivative


def robust_negative(at: Logistic, gamma: float, clip: float, lamb: float) -> WithDerivative:
    """margin_focal (l - 1 + x) times hill, with x = max(1 - p_t - clip, 0)."""
    cost, derivative = margin_focal(at, gamma, clip) if clip > 0 else focal(at, gamma)
    # Two products, factor by factor. Where x is held at 0 the first factor does not fall as written
    # here, but there it multiplies a cost of 0.
    factor = (at.miss - clip).clamp_(min=0).add_(lamb - 1)
    derivative.mul_(factor).addcmul_(cost, at.miss * at.right, value=-1)
    cost.mul_(factor)
    factor, factor_derivative = hill(at, lamb)
    derivative.mul_(factor).addcmul_(cost, factor_derivative)
    return cost.mul_(factor), derivative
