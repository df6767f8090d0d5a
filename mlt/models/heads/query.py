"""A transformer decoder with a query per class.

Liu et al., Query2Label: A Simple Transformer Way to Multi-Label Classification, 2021 (2107.10834).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mlt.models.heads.attend import Attend, Layer, sine_positions
from mlt.models.heads.spatial import SpatialHead, as_map, standardizer

__all__ = ["Query2Label"]


class Query2Label(SpatialHead):
    """Each class has a learnt query, which looks for the class among the positions.

    The paper's model has the width of the backbone, 4 attention heads, one encoder layer and two
    layers in which the queries look. It describes that queries look at each other, too; the
    authors' code leaves that out, and so does this head unless told otherwise.

    Args:
        num_features: D.
        num_classes: C.
        width: Features inside the transformer; where it is not D, a linear layer comes first.
        attention_heads: Heads of each attention, which divide the width.
        encoder_layers: Layers in which positions look at each other.
        layers: Layers in which queries look at positions.
        self_attention: Whether queries look at each other in each of these.
        dropout: Of attention and feed-forward networks.
        standardize: Bring every feature to mean 0 and deviation 1 first, over images and positions
            (batch norm without weights).

    Example:
        >>> head = Query2Label(8, 3, width=16)
        >>> head(torch.zeros(2, 8, 7, 7)).shape, head.attention(torch.zeros(2, 8, 7, 7)).shape
        (torch.Size([2, 3]), torch.Size([2, 3, 7, 7]))
    """

    def __init__(
        self,
        num_features: int,
        num_classes: int,
        width: int = 256,
        attention_heads: int = 4,
        encoder_layers: int = 1,
        layers: int = 2,
        self_attention: bool = False,
        dropout: float = 0.1,
        standardize: bool = False,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.standardize = standardizer(num_features, standardize)
        self.project = nn.Identity() if width == num_features else nn.Linear(num_features, width)

        def layer() -> Layer:
            return Layer(width, attention_heads, 4 * width, dropout)

        self.encoder = nn.ModuleList(layer() for _ in range(encoder_layers))
        self.among_classes = nn.ModuleList(
            Attend(width, attention_heads, dropout) for _ in range(layers * self_attention)
        )
        self.decoder = nn.ModuleList(layer() for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.queries = nn.Parameter(torch.randn(num_classes, width))
        self.weight = nn.Parameter(torch.empty(num_classes, width))
        self.bias = nn.Parameter(torch.zeros(num_classes))
        nn.init.normal_(self.weight, std=0.001)

    def forward(self, features: Tensor) -> Tensor:
        """Logits (N, C) of a feature map (N, D, H, W), or of tokens (N, L, D)."""
        keys, values = self._encoded(as_map(features, self.num_features))
        queries = self._asked(keys, values, len(self.decoder))
        return (self.norm(queries) * self.weight).sum(dim=-1) + self.bias

    def attention(self, features: Tensor) -> Tensor:
        """Where the queries of the last layer look, the mean over its heads, (N, C, H, W)."""
        features = as_map(features, self.num_features)
        keys, values = self._encoded(features)
        *before, last = self.decoder
        queries = self._asked(keys, values, len(before))
        if self.among_classes:
            queries = self.among_classes[-1](queries, queries, queries)
        assert isinstance(last, Layer)
        return last.attend.weights(queries, keys).unflatten(-1, features.shape[2:])

    def _encoded(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Positions (N, L, width), with and without where they are."""
        height, width = features.shape[2:]
        values = self.project(self.standardize(features).flatten(2).transpose(1, 2))
        positions = sine_positions(height, width, values.shape[-1]).to(values)
        for layer in self.encoder:
            placed = values + positions
            values = layer(values, placed, values, placed)
        return values + positions, values

    def _asked(self, keys: Tensor, values: Tensor, layers: int) -> Tensor:
        """Queries (N, C, width) after the first layers."""
        queries = self.queries.expand(values.shape[0], -1, -1)
        for k in range(layers):
            if self.among_classes:
                queries = self.among_classes[k](queries, queries, queries)
            queries = self.decoder[k](queries, keys, values)
        return queries
