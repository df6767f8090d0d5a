"""The two halves of a per-label loss: what a positive costs and what a negative costs.

Every function takes the logit of the half concerned and gives its cost and nothing else; a label
``y`` in [0, 1] then costs ``y positive + (1 - y) negative``, its expectation if it is drawn with
probability ``y``. Everything is written with ``logsigmoid`` and ``exp`` rather than with ``log`` of
a probability, so that values and gradients stay finite and right for logits of any size.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = [
    "cross_entropy_term",
    "focal_term",
    "hill_negative",
    "margin_focal_negative",
    "mix",
    "modulator",
    "polynomial_term",
    "robust_negative",
    "robust_positive",
]


def mix(targets: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    """Give targets * positive + (1 - targets) * negative, exact at targets 0 and 1."""
    return torch.lerp(negative, positive, targets)


def cross_entropy_term(signed: Tensor) -> Tensor:
    """Give -log sigmoid(s) for the logit of what is true: s = z for positives, -z for negatives."""
    return -F.logsigmoid(signed)


def modulator(signed: Tensor, gamma: float) -> Tensor:
    """Give (1 - sigmoid(s))^gamma; finite with finite slope for every gamma >= 0."""
    # exp(gamma log(1 - p)) has no 0^(gamma - 1) in its derivative, which is infinite below 1.
    return torch.exp(gamma * F.logsigmoid(-signed))


def focal_term(signed: Tensor, gamma: float, detached: bool = False) -> Tensor:
    """Give -(1 - sigmoid(s))^gamma log sigmoid(s); `detached` stops the gradient at the power."""
    loss = cross_entropy_term(signed)
    if gamma == 0:
        return loss
    factor = modulator(signed, gamma)
    return (factor.detach() if detached else factor) * loss


def polynomial_term(signed: Tensor, epsilon: float, gamma: float) -> Tensor:
    """Give focal plus epsilon (1 - sigmoid(s))^(gamma + 1)."""
    return focal_term(signed, gamma) + epsilon * modulator(signed, gamma + 1)


def margin_focal_negative(
    logits: Tensor, gamma: float, clip: float, detached: bool = False
) -> Tensor:
    """Give -p_m^gamma log(1 - p_m) with p_m = max(sigmoid(z) - clip, 0), clip > 0."""
    probability = (torch.sigmoid(logits) - clip).clamp(min=_floor(logits))
    loss = -torch.log1p(-probability)
    if gamma == 0:
        return loss
    factor = probability**gamma
    return (factor.detach() if detached else factor) * loss


def _floor(values: Tensor) -> float:
    # The smallest normal number instead of 0: its power has a finite derivative for gamma < 1, and
    # the clamp then multiplies that by 0. The loss there is that number itself, 1e-38.
    return torch.finfo(values.dtype).tiny


def robust_positive(
    logits: Tensor, gamma: float, epsilon_pos: float, epsilon_pos_pow: float
) -> Tensor:
    """Give (-log p - e1 (1 - p) - (e2 / 2) (1 - p)^2) (1 - p)^gamma."""
    miss = torch.sigmoid(-logits)
    loss = cross_entropy_term(logits) - miss * (epsilon_pos + epsilon_pos_pow / 2 * miss)
    return loss if gamma == 0 else modulator(logits, gamma) * loss


def robust_negative(logits: Tensor, gamma: float, clip: float, lamb: float) -> Tensor:
    """Give -log(x) (l - p) p^2 (l - x) (1 - x)^gamma with x = min(1 - p + clip, 1)."""
    p = torch.sigmoid(logits)
    focused = margin_focal_negative(logits, gamma, clip) if clip > 0 else focal_term(-logits, gamma)
    x = 1 - (p - clip).clamp(min=0)
    return focused * (lamb - p) * p.square() * (lamb - x)


def hill_negative(logits: Tensor, lamb: float) -> Tensor:
    """Give (l - p) p^2."""
    p = torch.sigmoid(logits)
    return (lamb - p) * p.square()
