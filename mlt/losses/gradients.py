"""Cost of a label and its fall along the signed logit, both in one pass.

The formulas are those of `mlt.losses.formulas`, whose derivatives autograd knows too; written out,
a loss and its gradient need one exponential and one logarithm an element between them, and the
slope keeps its digits where a sigmoid is next to 1. The tests hold the two against each other.

Every function takes a :class:`Logistic` of the signed logit s (a probability p_t of what is true)
and gives the cost and its fall, -d cost / d s: most losses fall as p_t grows, so it is positive.
Uncompiled, an operation in place takes a quarter of the time of one that needs new memory; hence
the many of them, each on a tensor of its own. A fall may be one of the probabilities given.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mlt.losses.logistic import Logistic

__all__ = [
    "Cost",
    "cross_entropy",
    "focal",
    "hill",
    "margin_focal",
    "polynomial",
    "power",
    "robust_positive",
]

Cost = tuple[Tensor, Tensor]


def power(base: Tensor, exponent: float) -> Tensor:
    """Give base^exponent for base >= 0; by multiplication where the exponent is a small integer."""
    if exponent != int(exponent) or not 1 <= exponent <= 8:
        return base**exponent
    if exponent == 1:
        return base
    half = power(base, exponent // 2)
    return half * half if exponent % 2 == 0 else half * half * base


def cross_entropy(at: Logistic) -> Cost:
    """-log p_t."""
    return at.cross_entropy(), at.miss


def focal(at: Logistic, gamma: float, detached: bool = False) -> Cost:
    """-(1 - p_t)^gamma log p_t."""
    if gamma == 0:
        return cross_entropy(at)
    factor = power(at.miss, gamma)
    loss = at.cross_entropy()
    fall = at.miss if detached else torch.addcmul(at.miss, at.right, loss, value=gamma)
    return loss.mul_(factor), factor.mul(fall) if detached else fall.mul_(factor)


def polynomial(at: Logistic, epsilon: float, gamma: float) -> Cost:
    """Focal plus epsilon (1 - p_t)^(gamma + 1)."""
    cost, fall = focal(at, gamma)
    term = epsilon * power(at.miss, gamma + 1)
    return cost.add_(term), torch.addcmul(fall, term, at.right, value=gamma + 1)


def margin_focal(at: Logistic, gamma: float, clip: float, detached: bool = False) -> Cost:
    """-x^gamma log(1 - x) with x = max(1 - p_t - clip, 0), clip > 0."""
    x = (at.miss - clip).clamp_(min=0)
    # 1 - x without its cancellation, which would leave 0 where p_t and clip are small.
    rest = at.right + max(clip, torch.finfo(x.dtype).tiny)
    loss = (x / rest).log1p_()
    factor = power(x, gamma)
    rise = factor / rest
    if not detached and gamma > 0:
        rise.addcmul_(_power_below(x, gamma), loss, value=gamma)
    if gamma == 0:
        rise = torch.where(x > 0, rise, 0)  # the clamp holds x; every other gamma says so itself
    return loss.mul_(factor), rise.mul_(at.miss).mul_(at.right)


def _power_below(x: Tensor, gamma: float) -> Tensor:
    # x^(gamma - 1), kept finite at 0, where it multiplies a logarithm that is 0.
    return power(x if gamma >= 1 else x.clamp(min=torch.finfo(x.dtype).tiny), gamma - 1)


def robust_positive(at: Logistic, gamma: float, epsilon: float, epsilon_pow: float) -> Cost:
    """(-log p_t - e1 (1 - p_t) - (e2 / 2) (1 - p_t)^2) (1 - p_t)^gamma."""
    miss = at.miss
    cost = at.cross_entropy().addcmul_(miss, epsilon + epsilon_pow / 2 * miss, value=-1)
    fall = (epsilon + epsilon_pow * miss).mul_(at.right).neg_().add_(1).mul_(miss)
    if gamma == 0:
        return cost, fall
    factor = power(miss, gamma)
    fall.addcmul_(at.right, cost, value=gamma).mul_(factor)
    return cost.mul_(factor), fall


def hill(at: Logistic, lamb: float) -> Cost:
    """(l - (1 - p_t)) (1 - p_t)^2."""
    square = at.miss * at.miss
    # 2 l - 3 (1 - p_t), whose terms cancel next to 1 for the usual l = 3/2.
    fall = (3 * at.right).add_(2 * lamb - 3).mul_(square).mul_(at.right)
    return square.mul_(lamb - at.miss), fall


def robust_negative(at: Logistic, gamma: float, clip: float, lamb: float) -> Cost:
    """margin_focal (l - 1 + x) times hill, with x = max(1 - p_t - clip, 0)."""
    cost, fall = margin_focal(at, gamma, clip) if clip > 0 else focal(at, gamma)
    # Two products, factor by factor. Where x is held at 0 the first factor does not fall as written
    # here, but there it multiplies a cost of 0.
    factor = (at.miss - clip).clamp_(min=0).add_(lamb - 1)
    fall = (fall * factor).addcmul_(cost, at.miss * at.right)
    cost = cost.mul_(factor)
    factor, factor_fall = hill(at, lamb)
    fall = fall.mul_(factor).addcmul_(cost, factor_fall)
    return cost.mul_(factor), fall
