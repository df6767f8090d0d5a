"""Class-specific residual attention.

Zhu and Wu, Residual Attention: A Simple but Effective Method for Multi-Label Recognition, ICCV 2021
(2108.02456), section 3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mlt.errors import ConfigError
from mlt.models.heads.power import PowerNormalization
from mlt.models.heads.spatial import SpatialHead, as_map, standardizer

__all__ = ["CSRA"]


class CSRA(SpatialHead):
    r"""Scores every position by a linear classifier, and adds where a class scores high.

    With :math:`x_1 \dots x_L` the features of the positions and :math:`w` the weights of a class,
    one head of temperature T gives

    .. math:: \frac1L \sum_l w^\top x_l + \lambda \sum_l s_l\, w^\top x_l, \qquad
        s = \operatorname{softmax}_l(T\, w^\top x_l)

    An infinite temperature takes the highest score. Several heads, each with weights and a
    temperature of its own, are summed. The paper has no bias; here one per class holds the prior.
    The authors' code divides the scores by the norm of the weights, which the paper does not.

    Args:
        num_features: D.
        num_classes: C.
        temperatures: T of each head, positive; ``math.inf`` is max pooling. The paper has (1,),
            (1, inf), (1, 2, 4, inf), (1, 2, 3, 4, 5, inf) and (1, 2, 3, 4, 5, 6, 7, inf).
        attention_weight: Lambda, 0 or more; 0 is average pooling and a linear layer.
        standardize: Bring every feature to mean 0 and deviation 1 first, over images and positions
            (batch norm without weights).
        power: Raise every feature to this power before that, see
            :class:`~mlt.models.heads.PowerNormalization`.

    Raises:
        ConfigError: If there is no temperature, or a number is out of range.

    Example:
        >>> head = CSRA(8, 3, temperatures=(1.0, math.inf))
        >>> head(torch.zeros(2, 8, 7, 7)).shape, head.attention(torch.zeros(2, 8, 7, 7)).shape
        (torch.Size([2, 3]), torch.Size([2, 3, 7, 7]))
    """

    def __init__(
        self,
        num_features: int,
        num_classes: int,
        temperatures: Sequence[float] = (math.inf,),
        attention_weight: float = 1.0,
        standardize: bool = False,
        power: float = 1.0,
    ) -> None:
        super().__init__()
        if not temperatures or not all(t > 0 for t in temperatures):
            raise ConfigError(f"temperatures: one or more positive numbers, got {temperatures}")
        if not 0 <= attention_weight < math.inf:
            raise ConfigError(f"attention_weight: 0 or more, got {attention_weight}")
        self.temperatures = tuple(map(float, temperatures))
        self.attention_weight = attention_weight
        self.power = PowerNormalization(power)
        self.standardize = standardizer(num_features, standardize)
        self.weight = nn.Parameter(torch.empty(len(temperatures), num_classes, num_features))
        self.bias = nn.Parameter(torch.zeros(num_classes))
        # Ten times smaller than that of a linear head, because the highest of many scores is added.
        nn.init.normal_(self.weight, std=0.001)

    def forward(self, features: Tensor) -> Tensor:
        """Logits (N, C) of a feature map (N, D, H, W), or of tokens (N, L, D)."""
        logits: Tensor = self.bias
        for temperature, score in zip(
            self.temperatures, self._scores(self._map(features)).unbind(1)
        ):
            if temperature == math.inf:
                attended = score.amax(dim=-1)
            else:
                attended = ((temperature * score).softmax(dim=-1) * score).sum(dim=-1)
            logits = logits + score.mean(dim=-1) + self.attention_weight * attended
        return logits

    def attention(self, features: Tensor) -> Tensor:
        """The mean of s over the heads, (N, C, H, W); see :meth:`SpatialHead.attention`."""
        features = self._map(features)
        maps = []
        for temperature, score in zip(self.temperatures, self._scores(features).unbind(1)):
            if temperature == math.inf:
                maps.append(F.one_hot(score.argmax(dim=-1), score.shape[-1]).to(score.dtype))
            else:
                maps.append((temperature * score).softmax(dim=-1))
        return torch.stack(maps).mean(dim=0).unflatten(-1, features.shape[2:])

    def _map(self, features: Tensor) -> Tensor:
        return self.standardize(self.power(as_map(features, self.weight.shape[-1])))

    def _scores(self, features: Tensor) -> Tensor:
        """Of each head, class and position, (N, heads, C, L)."""
        return (self.weight.flatten(0, 1) @ features.flatten(2)).unflatten(1, self.weight.shape[:2])
