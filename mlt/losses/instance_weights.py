"""Weights that depend on an image's own labels, as pure functions of its targets.

Targets have shape (..., C), unknown ones 0; class vectors have shape (C,). Soft targets count by
their value. A row without positives weighs 1, or 1 + alpha where rebalanced.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = [
    "effective_number_at",
    "equalization_weights",
    "instance_weights",
    "rarest_class_weights",
    "rebalance_weights",
]


def instance_weights(targets: Tensor, class_values: Tensor, *, without: float = 1.0) -> Tensor:
    """Return the mean of a class vector over each row's own classes, shape (..., 1).

    Args:
        targets: Shape (..., C).
        class_values: A weight or a count of each class, shape (C,).
        without: What a row without positives gets.

    Example:
        >>> instance_weights(torch.tensor([[1.0, 1.0], [0.0, 0.0]]), torch.tensor([1.0, 4.0]))
        tensor([[2.5000],
                [1.0000]])
    """
    total = targets.sum(-1, keepdim=True)
    weighed = (targets * class_values.to(targets.dtype)).sum(-1, keepdim=True)
    return torch.where(total > 0, weighed / torch.where(total > 0, total, 1), without)


def rarest_class_weights(targets: Tensor, class_weights: Tensor, counts: Tensor) -> Tensor:
    """Return the weight of each row's rarest class, shape (..., 1).

    Example:
        >>> targets = torch.tensor([[1.0, 1.0], [0.0, 0.0]])
        >>> rarest_class_weights(targets, torch.tensor([0.5, 2.0]), torch.tensor([8.0, 2.0]))
        tensor([[2.],
                [1.]])
    """
    present = targets > 0
    rarest = torch.where(present, counts, torch.inf).argmin(-1, keepdim=True)
    weight = class_weights.to(targets.dtype)[rarest]
    return torch.where(present.any(-1, keepdim=True), weight, 1)


def effective_number_at(count: Tensor, beta: float) -> Tensor:
    """Return (1 - beta) / (1 - beta^n) at counts n > 0 that are tensors.

    Example:
        >>> effective_number_at(torch.tensor([1.0, 2.0]), beta=0.5)
        tensor([1.0000, 0.6667])
    """
    if beta == 0:
        return torch.ones_like(count)
    return (beta - 1) / torch.expm1(count * math.log(beta))


def rebalance_weights(
    targets: Tensor,
    inverse_counts: Tensor,
    *,
    alpha: float = 0.1,
    beta: float = 10.0,
    mu: float = 0.2,
) -> Tensor:
    """Return alpha + sigmoid(beta (r - mu)), r the class's share of its row's sum of 1 / n.

    Args:
        targets: Shape (..., C).
        inverse_counts: 1 / n of each class, shape (C,).
        alpha: Least weight.
        beta: Steepness.
        mu: Centre; the published code calls it gamma.

    References:
        Wu et al., Distribution-Balanced Loss for Multi-Label Classification in Long-Tailed
        Datasets, ECCV 2020, eq. 3 to 5.

    Example:
        >>> rebalance_weights(torch.tensor([[1.0, 0.0]]), torch.tensor([0.02, 0.2]))
        tensor([[1.0997, 1.1000]])
    """
    inverse_counts = inverse_counts.to(targets.dtype)
    total = (targets * inverse_counts).sum(-1, keepdim=True)
    # Without positives the ratio is huge and the sigmoid 1: where the published code ends.
    ratio = inverse_counts / total.clamp(min=torch.finfo(total.dtype).tiny)
    return alpha + torch.sigmoid(beta * ratio - beta * mu)


def equalization_weights(targets: Tensor, rare: Tensor) -> Tensor:
    """Return weights of negatives: 0 for a rare class on a row that has a positive, else 1.

    Args:
        targets: Shape (..., C).
        rare: Which classes are rare, shape (C,), bool.

    References:
        Tan et al., Equalization Loss for Long-Tailed Object Recognition, CVPR 2020, eq. 3.

    Example:
        >>> targets = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
        >>> equalization_weights(targets, rare=torch.tensor([False, True]))
        tensor([[1., 0.],
                [1., 1.]])
    """
    foreground = (targets > 0).any(-1, keepdim=True)
    return torch.where(rare & foreground, 0.0, 1.0).to(targets.dtype)
