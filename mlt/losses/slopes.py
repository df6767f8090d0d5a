"""Cost of a label and its fall along the signed logit, both in one pass.

The formulas are those of `mlt.losses.terms`, whose derivatives autograd knows too; written out, a
loss and its gradient need one exponential and one logarithm an element between them, and the slope
keeps its digits where a sigmoid is next to 1. The tests hold the two against each other.

Every function takes a :class:`Logistic` of the signed logit s (a probability p_t of what is true)
and gives the cost and its fall, -d cost / d s: most losses fall as p_t grows, so it is positive.
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
    return factor * loss, factor * fall


def polynomial(at: Logistic, epsilon: float, gamma: float) -> Cost:
    """Focal plus epsilon (1 - p_t)^(gamma + 1)."""
    cost, fall = focal(at, gamma)
    term = epsilon * power(at.miss, gamma + 1)
    return cost + term, torch.addcmul(fall, term, at.right, value=gamma + 1)


def margin_focal(at: Logistic, gamma: float, clip: float, detached: bool = False) -> Cost:
    """-x^gamma log(1 - x) with x = max(1 - p_t - clip, 0), clip > 0."""
    x = (at.miss - clip).clamp(min=0)
    loss = -torch.log1p(-x)
    factor = power(x, gamma)
    rise = factor / (1 - x)
    if not detached and gamma > 0:
        rise = rise + gamma * _power_below(x, gamma) * loss
    if gamma == 0:
        rise = torch.where(x > 0, rise, 0)  # the clamp holds x; every other gamma says so itself
    return factor * loss, rise * at.miss * at.right


def _power_below(x: Tensor, gamma: float) -> Tensor:
    # x^(gamma - 1), kept finite at 0, where it multiplies a logarithm that is 0.
    return power(x if gamma >= 1 else x.clamp(min=torch.finfo(x.dtype).tiny), gamma - 1)


def robust_positive(at: Logistic, gamma: float, epsilon: float, epsilon_pow: float) -> Cost:
    """(-log p_t - e1 (1 - p_t) - (e2 / 2) (1 - p_t)^2) (1 - p_t)^gamma."""
    miss = at.miss
    cost = at.cross_entropy() - miss * (epsilon + epsilon_pow / 2 * miss)
    fall = miss * (1 - at.right * (epsilon + epsilon_pow * miss))
    if gamma == 0:
        return cost, fall
    factor = power(miss, gamma)
    return factor * cost, factor * (fall + gamma * at.right * cost)


def hill(at: Logistic, lamb: float) -> Cost:
    """(l - (1 - p_t)) (1 - p_t)^2."""
    square = at.miss * at.miss
    # 2 l - 3 (1 - p_t), whose terms cancel next to 1 for the usual l = 3/2.
    return (lamb - at.miss) * square, square * at.right * ((2 * lamb - 3) + 3 * at.right)


def robust_negative(at: Logistic, gamma: float, clip: float, lamb: float) -> Cost:
    """margin_focal (l - 1 + x) times hill, with x = max(1 - p_t - clip, 0)."""
    cost, fall = margin_focal(at, gamma, clip) if clip > 0 else focal(at, gamma)
    # Two products, factor by factor. Where x is held at 0 the first factor does not fall as written
    # here, but there it multiplies a cost of 0.
    factor = (at.miss - clip).clamp(min=0) + (lamb - 1)
    fall = torch.addcmul(fall * factor, cost, at.miss * at.right)
    cost = cost * factor
    factor, factor_fall = hill(at, lamb)
    return cost * factor, torch.addcmul(fall * factor, cost, factor_fall)
