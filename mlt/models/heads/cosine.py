"""A head that compares directions."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Cosine"]


class Cosine(nn.Module):
    """Cosine of the features with one direction per class, times a scale, plus a bias.

    Without bias and with scale 1, which its loss then has, it is the last layer of LDAM (Cao et
    al., NeurIPS 2019). The norms of the weights, which grow with the images of a class, have no
    say.

    Args:
        num_features: D.
        num_classes: C.
        scale: What the cosines are multiplied by.
        learn_scale: Whether it learns; its logarithm does, so that it stays positive.

    Example:
        >>> head = Cosine(2, 1, scale=4.0)
        >>> _ = head.weight.data.copy_(torch.tensor([[3.0, 0.0]]))
        >>> head(torch.tensor([[0.1, 0.0], [-7.0, 0.0]])).tolist()
        [[4.0], [-4.0]]
    """

    def __init__(
        self, num_features: int, num_classes: int, scale: float = 30.0, learn_scale: bool = False
    ) -> None:
        super().__init__()
        # Short vectors turn quickly, so that one learning rate does for all heads.
        self.weight = nn.Parameter(F.normalize(torch.randn(num_classes, num_features)))
        self.bias = nn.Parameter(torch.zeros(num_classes))
        self.log_scale = nn.Parameter(torch.tensor(scale).log(), requires_grad=learn_scale)

    def forward(self, features: Tensor) -> Tensor:
        """Logits (N, C) of features (N, D)."""
        cosines = F.linear(F.normalize(features), F.normalize(self.weight))
        return cosines * self.log_scale.exp() + self.bias
