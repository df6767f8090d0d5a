"""A head whose classes are scaled after the features were learned (LWS)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["ScaledLinear"]


class ScaledLinear(nn.Linear):
    """A linear layer with a factor per class: ``scale_i * w_i x + b_i``.

    Kang et al., Decoupling Representation and Classifier for Long-Tailed Recognition, ICLR 2020
    (1910.09217), section 4.2: learnable weight scaling.

    The factors are 1 and do not learn until :meth:`learn_scale` says so; then the weights do not.
    The bias always learns, because a sigmoid's threshold has to move with its scale; the paper
    scales a bias that it learned before.

    Args:
        num_features: D.
        num_classes: C.
    """

    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__(num_features, num_classes)
        self.scale = nn.Parameter(torch.ones(num_classes), requires_grad=False)

    def learn_scale(self, learn: bool) -> None:
        """Let the factors learn in place of the weights, or the weights again."""
        self.scale.requires_grad_(learn)
        self.weight.requires_grad_(not learn)

    def forward(self, features: Tensor) -> Tensor:
        """Logits (N, C) of features (N, D)."""
        return nn.functional.linear(features, self.scale[:, None] * self.weight, self.bias)
