"""Classifiers that a graph network over the classes makes.

Chen et al., Multi-Label Image Recognition with Graph Convolutional Networks, CVPR 2019
(1904.03582).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from mlt.models.heads.spatial import SpatialHead, as_map, standardizer

__all__ = ["LabelGraph"]


class LabelGraph(SpatialHead):
    r"""A linear classifier whose weights two graph convolutions make, so that neighbours share.

    With :math:`A` the weights of the graph and :math:`X` what stands for the classes,

    .. math:: W = A \, \operatorname{LeakyReLU}(A X W_1) \, W_2, \qquad z = W x + b

    where x are the pooled features and the slope of the activation is 0.2. The paper has no bias;
    here one per class holds the prior.

    Args:
        num_features: D.
        num_classes: C.
        graph: (C, C), see :func:`mlt.models.heads.label_graph.graph_weights`; None: zeros, for a
            state to be loaded.
        embeddings: (C, E) that stand for the classes; None: they are learnt.
        node_width: E where they are learnt.
        hidden_width: Features between the two convolutions.
        pooling: How the features of the positions become one vector, "avg" or "max".
        standardize: Bring every feature to mean 0 and deviation 1 first, over images and positions
            (batch norm without weights).

    Example:
        >>> head = LabelGraph(8, 3, np.eye(3))
        >>> head(torch.zeros(2, 8, 7, 7)).shape, head.attention(torch.zeros(2, 8, 7, 7)).shape
        (torch.Size([2, 3]), torch.Size([2, 3, 7, 7]))
    """

    graph: Tensor
    embeddings: Tensor | None

    def __init__(
        self,
        num_features: int,
        num_classes: int,
        graph: NDArray[np.floating] | None = None,
        embeddings: NDArray[np.float32] | None = None,
        node_width: int = 300,
        hidden_width: int = 1024,
        pooling: str = "max",
        standardize: bool = False,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.pooling = pooling
        self.standardize = standardizer(num_features, standardize)
        shape = (num_classes, num_classes)
        weights = np.zeros(shape) if graph is None else graph
        self.register_buffer("graph", torch.tensor(weights, dtype=torch.float32))
        self.register_buffer("embeddings", None if embeddings is None else torch.tensor(embeddings))
        if self.embeddings is None:
            self.nodes = nn.Parameter(torch.randn(num_classes, node_width))
        else:
            node_width = self.embeddings.shape[1]
        self.first = nn.Linear(node_width, hidden_width, bias=False)
        self.second = nn.Linear(hidden_width, num_features, bias=False)
        self.bias = nn.Parameter(torch.zeros(num_classes))
        # Classifiers as small as those of a linear head.
        nn.init.normal_(self.second.weight, std=0.01 / math.sqrt(hidden_width))

    def forward(self, features: Tensor) -> Tensor:
        """Logits (N, C) of a feature map (N, D, H, W), or of tokens (N, L, D)."""
        features = self._map(features).flatten(2)
        pooled = features.amax(dim=-1) if self.pooling == "max" else features.mean(dim=-1)
        return F.linear(pooled, self.classifiers(), self.bias)

    def attention(self, features: Tensor) -> Tensor:
        """The share of each position in what speaks for a class, (N, C, H, W).

        The logit less its bias is a sum over positions, of the features that were pooled from
        there. Positions that speak against the class have 0; all have the same if none speaks for
        it.
        """
        features = self._map(features)
        flat = features.flatten(2)
        length = flat.shape[-1]
        if self.pooling == "max":
            taken = F.one_hot(flat.argmax(dim=-1), length).to(flat.dtype)
        else:
            taken = torch.full_like(flat, 1 / length)
        speaking = (self.classifiers() @ (flat * taken)).relu()
        total = speaking.sum(dim=-1, keepdim=True)
        share = torch.where(total > 0, speaking / total.clamp(min=1e-30), 1 / length)
        return share.unflatten(-1, features.shape[2:])

    def classifiers(self) -> Tensor:
        """The weights of each class, (C, D)."""
        nodes = self.nodes if self.embeddings is None else self.embeddings
        hidden = F.leaky_relu(self.graph @ self.first(nodes), 0.2)
        return self.graph @ self.second(hidden)

    def _map(self, features: Tensor) -> Tensor:
        return self.standardize(as_map(features, self.num_features))
