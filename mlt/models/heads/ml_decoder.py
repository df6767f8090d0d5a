"""One decoder layer whose queries stand for groups of classes.

Ridnik et al., ML-Decoder: Scalable and Versatile Classification Head, WACV 2023 (2111.12933).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mlt.models.heads.attend import Layer
from mlt.models.heads.spatial import SpatialHead, as_map, standardizer

__all__ = ["MLDecoder"]


class MLDecoder(SpatialHead):
    """Queries that do not learn look at the positions; each gives the logits of its classes.

    Classes are dealt out in their order: with C classes and K queries, the first C / K (rounded up)
    belong to the first query, and so on.

    With class embeddings every class has a query of its own, a learnt linear map of its embedding,
    and all share one last layer: the paper's form for classes that were never trained.

    Args:
        num_features: D.
        num_classes: C.
        groups: K; no more than C are made.
        width: Features inside the decoder.
        attention_heads: Heads of the attention, which divide the width.
        feedforward: Hidden features of the feed-forward network.
        dropout: Of queries, attention and feed-forward network.
        embeddings: (C, E) of each class; None: groups of classes.
        standardize: Bring every feature to mean 0 and deviation 1 first, over images and positions
            (batch norm without weights).

    Example:
        >>> head = MLDecoder(8, 3, width=16)
        >>> head(torch.zeros(2, 8, 7, 7)).shape, head.attention(torch.zeros(2, 8, 7, 7)).shape
        (torch.Size([2, 3]), torch.Size([2, 3, 7, 7]))
    """

    queries: Tensor
    embeddings: Tensor | None

    def __init__(
        self,
        num_features: int,
        num_classes: int,
        groups: int = 100,
        width: int = 768,
        attention_heads: int = 8,
        feedforward: int = 2048,
        dropout: float = 0.1,
        embeddings: NDArray[np.float32] | None = None,
        standardize: bool = False,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.standardize = standardizer(num_features, standardize)
        self.project = nn.Linear(num_features, width)
        groups = min(groups, num_classes)
        self.classes_per_query = -(-num_classes // groups)
        groups = -(-num_classes // self.classes_per_query)  # no query without a class
        self.register_buffer("embeddings", None if embeddings is None else torch.tensor(embeddings))
        if self.embeddings is None:
            self.register_buffer("queries", torch.randn(groups, width))
        else:
            self.from_embeddings = nn.Linear(self.embeddings.shape[1], width)
            groups, self.classes_per_query = 1, 1  # the last layer is the same for all
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(width)
        self.layer = Layer(width, attention_heads, feedforward, dropout)
        self.weight = nn.Parameter(torch.empty(groups, self.classes_per_query, width))
        self.bias = nn.Parameter(torch.zeros(num_classes))
        nn.init.normal_(self.weight, std=0.001)

    def forward(self, features: Tensor) -> Tensor:
        """Logits (N, C) of a feature map (N, D, H, W), or of tokens (N, L, D)."""
        positions = self._positions(as_map(features, self.num_features))
        queries = self._queries(positions.shape[0])
        seen = self.layer(queries, positions, positions)
        logits = (seen.unsqueeze(2) * self.weight).sum(dim=-1).flatten(1)
        return logits[:, : len(self.bias)] + self.bias

    def attention(self, features: Tensor) -> Tensor:
        """Where the query of each class looks, the mean over the heads, (N, C, H, W)."""
        features = as_map(features, self.num_features)
        positions = self._positions(features)
        weights = self.layer.attend.weights(self._queries(positions.shape[0]), positions)
        of_class = weights.repeat_interleave(self.classes_per_query, dim=1)[:, : len(self.bias)]
        return of_class.unflatten(-1, features.shape[2:])

    def _positions(self, features: Tensor) -> Tensor:
        return self.project(self.standardize(features).flatten(2).transpose(1, 2)).relu()

    def _queries(self, count: int) -> Tensor:
        queries = self.queries if self.embeddings is None else self.from_embeddings(self.embeddings)
        queries = queries.expand(count, -1, -1)
        return self.norm(queries + self.dropout(queries))
