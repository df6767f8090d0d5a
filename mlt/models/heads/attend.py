"""The two parts of a transformer's layer, each with its residual and norm (post-norm)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = ["Attend", "FeedForward", "Layer", "sine_positions"]


class Attend(nn.Module):
    """Adds to each query what it sees at the keys.

    Args:
        width: Features of queries, keys and values.
        heads: Attention heads, which divide the width.
        dropout: Of the attention weights, and of what is added.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, dropout, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(width)

    def forward(
        self, queries: Tensor, keys: Tensor, values: Tensor, placed: Tensor | None = None
    ) -> Tensor:
        """Queries (N, Q, W) after they looked at keys and values (N, L, W).

        Args:
            queries: What is added to.
            keys: What is looked at.
            values: What is seen there.
            placed: Queries with their positions, which the attention alone sees; None: they have
                none.
        """
        asking = queries if placed is None else placed
        seen, _ = self.attention(asking, keys, values, need_weights=False)
        return self.norm(queries + self.dropout(seen))

    def weights(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Where each query looks, (N, Q, L), the mean over the heads; sums to 1 over L."""
        return self.attention(queries, keys, keys, need_weights=True)[1]


class FeedForward(nn.Module):
    """Adds a network of one hidden layer.

    Args:
        width: Features.
        hidden: Features of the hidden layer.
        dropout: Of the hidden features, and of what is added.
    """

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(width, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, width),
            nn.Dropout(dropout),
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, features: Tensor) -> Tensor:
        """Features (..., W)."""
        return self.norm(features + self.layers(features))


class Layer(nn.Module):
    """Both parts, one after the other.

    Args:
        width: Features of queries, keys and values.
        heads: Attention heads, which divide the width.
        hidden: Features of the hidden layer.
        dropout: Of both parts.
    """

    def __init__(self, width: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.attend = Attend(width, heads, dropout)
        self.feed_forward = FeedForward(width, hidden, dropout)

    def forward(
        self, queries: Tensor, keys: Tensor, values: Tensor, placed: Tensor | None = None
    ) -> Tensor:
        """As :meth:`Attend.forward`."""
        return self.feed_forward(self.attend(queries, keys, values, placed))


def sine_positions(height: int, width: int, features: int) -> Tensor:
    """Sines and cosines of rows and columns.

    Carion et al., End-to-End Object Detection with Transformers, ECCV 2020 (2005.12872), appendix
    A.4: half of the features are of the row and half of the column, each a sine and a cosine at
    wavelengths from 2 pi to 10000 * 2 pi, of coordinates that run from 0 to 2 pi.

    Args:
        height: Rows.
        width: Columns.
        features: D; where it is not a multiple of 4, the last ones are 0.

    Returns:
        (height * width, D) float32, row by row.
    """
    count = features // 4
    wavelengths = 10000 ** (torch.arange(count) / max(count, 1))
    rows = 2 * math.pi * torch.arange(1, height + 1)[:, None, None] / height / wavelengths
    columns = 2 * math.pi * torch.arange(1, width + 1)[None, :, None] / width / wavelengths
    parts = (rows.sin(), rows.cos(), columns.sin(), columns.cos())
    positions = torch.cat([part.expand(height, width, count) for part in parts], dim=-1)
    return nn.functional.pad(positions.flatten(0, 1), (0, features - 4 * count))
