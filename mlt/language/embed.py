"""From texts per class to one vector per class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from mlt.errors import DataError
from mlt.language.class_embeddings import ClassEmbeddings
from mlt.language.text_tower import TextTower

__all__ = ["embed_classes", "mean_direction"]


def embed_classes(
    tower: TextTower, texts: Mapping[str, Sequence[str]], batch_size: int = 256
) -> ClassEmbeddings:
    """Average the embeddings of each class's texts.

    Args:
        tower: Embeds texts.
        texts: For each class what is said about it.
        batch_size: Texts that are embedded at once.

    Raises:
        DataError: If the texts of a class cancel out, or the tower gives numbers that are not
            finite.
    """
    every = [text for of_class in texts.values() for text in of_class]
    parts = [
        tower.embed(every[start : start + batch_size]) for start in range(0, len(every), batch_size)
    ]
    per_class = torch.cat(parts).split([len(of_class) for of_class in texts.values()])
    vectors = []
    for name, embedded in zip(texts, per_class):
        mean = mean_direction(embedded)
        if not mean.isfinite().all():
            raise DataError(
                f"the text tower {tower.name} gives no direction for {name!r}: its numbers are not "
                "finite, or its texts cancel out; are the weights those of this model?"
            )
        vectors.append(mean)
    return ClassEmbeddings(
        names=tuple(texts),
        vectors=torch.stack(vectors).numpy(),
        texts=tuple(tuple(of_class) for of_class in texts.values()),
        model=tower.name,
        scale=tower.scale,
        bias=tower.bias,
    )


def mean_direction(vectors: Tensor) -> Tensor:
    """The mean of the directions of vectors (n, E), as a vector (E,) of length 1.

    Each vector counts the same whatever its length, as in CLIP's averages over prompts (section
    3.1.4 of the paper). Without a direction the result is NaN.

    Example:
        >>> mean_direction(torch.tensor([[2.0, 0.0], [0.0, 5.0]]))
        tensor([0.7071, 0.7071])
    """
    mean = F.normalize(vectors.double(), dim=-1).mean(dim=0)
    length = mean.norm()
    return (mean / length if length > 1e-6 else mean * torch.nan).float()
