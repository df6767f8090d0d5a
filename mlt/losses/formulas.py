"""What a label costs, given the logit of what is true: the plain formulas.

Every function takes the signed logit s, which is the logit of a positive label and minus the logit
of a negative one, and returns the cost. p_t = sigmoid(s) is the probability of what is true. A soft
label ``y`` costs ``y positive + (1 - y) negative``, its expectation if it is drawn with probability
``y``. Everything is written with ``softplus`` and ``exp`` rather than with ``log`` of a
probability, so that values and gradients stay finite and right for logits of any size.

`mlt.losses.gradients` has the same formulas with their derivatives.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = [
    "cross_entropy",
    "focal",
    "hill",
    "margin_focal",
    "mix",
    "mixed_focal",
    "modulator",
    "polynomial",
    "robust_negative",
    "robust_positive",
]


def mix(targets: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    """Return targets * positive + (1 - targets) * negative, exact at targets 0 and 1."""
    if torch.compiler.is_compiling():
        return targets * positive + (1 - targets) * negative  # lerp compiles to a lot more
    return torch.lerp(negative, positive, targets)


def cross_entropy(signed: Tensor) -> Tensor:
    """-log p_t."""
    # Above the threshold softplus(x) is taken to be x; torch's own threshold of 20 would cost
    # float64 its last digits.
    return F.softplus(-signed, threshold=40)


def modulator(signed: Tensor, gamma: float) -> Tensor:
    """(1 - p_t)^gamma, with a finite derivative for every gamma >= 0."""
    # As a power its derivative would hold 0^(gamma - 1), which is infinite for gamma < 1.
    return torch.exp(-gamma * cross_entropy(-signed))


def focal(signed: Tensor, gamma: float, detached: bool = False) -> Tensor:
    """-(1 - p_t)^gamma log p_t; `detached` stops the gradient at the power."""
    loss = cross_entropy(signed)
    if gamma == 0:
        return loss
    factor = modulator(signed, gamma)
    return (factor.detach() if detached else factor) * loss


def polynomial(signed: Tensor, epsilon: float, gamma: float) -> Tensor:
    """Focal plus epsilon (1 - p_t)^(gamma + 1)."""
    return focal(signed, gamma) + epsilon * modulator(signed, gamma + 1)


def margin_focal(signed: Tensor, gamma: float, clip: float, detached: bool = False) -> Tensor:
    """-x^gamma log(1 - x) with x = max(1 - p_t - clip, 0), clip > 0."""
    # At least the smallest normal number, whose powers have finite derivatives; the clamp passes no
    # gradient there, and the loss is that number times nothing.
    smallest = torch.finfo(signed.dtype).tiny
    x = (torch.sigmoid(-signed) - clip).clamp(min=smallest)
    # 1 - x without its cancellation, which would leave 0 where p_t and clip are small.
    rest = torch.sigmoid(signed) + max(clip, smallest)
    loss = torch.where(x < 0.5, -torch.log1p(-x.clamp(max=0.5)), -torch.log(rest))
    if gamma == 0:
        return loss
    factor = x**gamma
    return (factor.detach() if detached else factor) * loss


def mixed_focal(
    positive: Tensor,
    negative: Tensor,
    targets: Tensor,
    gammas: tuple[float, float],
    clip: float = 0.0,
    detached: bool = False,
) -> Tensor:
    """Cross entropy of a soft label times (1 - p_t)^gamma, with p_t and gamma mixed by the label.

    p_t = y p + (1 - y) min(1 - p + clip, 1), gamma = y gamma_pos + (1 - y) gamma_neg. What the code
    of torchvision (with equal gammas and no clip) and timm computes for soft labels; equal to the
    mean of the two readings for binary ones.

    Args:
        positive: Logit of a positive.
        negative: Minus the logit of a negative.
        targets: The labels.
        gammas: gamma_pos and gamma_neg.
        clip: Probability margin of negatives.
        detached: Stop the gradient at the power.
    """
    smallest = torch.finfo(positive.dtype).tiny
    entropy = margin_focal(negative, 0, clip) if clip > 0 else cross_entropy(negative)
    entropy = mix(targets, cross_entropy(positive), entropy)
    off = (torch.sigmoid(-negative) - clip).clamp(min=0)
    miss = mix(targets, torch.sigmoid(-positive), off).clamp(min=smallest)
    factor = miss ** (gammas[1] + (gammas[0] - gammas[1]) * targets)
    return (factor.detach() if detached else factor) * entropy


def robust_positive(signed: Tensor, gamma: float, epsilon: float, epsilon_pow: float) -> Tensor:
    """(-log p_t - e1 (1 - p_t) - (e2 / 2) (1 - p_t)^2) (1 - p_t)^gamma."""
    miss = torch.sigmoid(-signed)
    loss = cross_entropy(signed) - miss * (epsilon + epsilon_pow / 2 * miss)
    return loss if gamma == 0 else modulator(signed, gamma) * loss


def hill(signed: Tensor, lamb: float) -> Tensor:
    """(l - (1 - p_t)) (1 - p_t)^2."""
    miss = torch.sigmoid(-signed)
    return (lamb - miss) * miss.square()


def robust_negative(signed: Tensor, gamma: float, clip: float, lamb: float) -> Tensor:
    """margin_focal (l - 1 + x) hill, with x = max(1 - p_t - clip, 0)."""
    focused = margin_focal(signed, gamma, clip) if clip > 0 else focal(signed, gamma)
    x = (torch.sigmoid(-signed) - clip).clamp(min=0)
    return focused * (lamb - 1 + x) * hill(signed, lamb)
