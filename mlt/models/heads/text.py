"""A head whose classes are described in words: cosines of images and texts.

Radford et al., Learning Transferable Visual Models From Natural Language Supervision, ICML 2021
(2103.00020), section 2.3 and figure 3; Zhai et al., Sigmoid Loss for Language Image Pre-Training,
ICCV 2023 (2303.15343), algorithm 1.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mlt.errors import ConfigError

__all__ = ["CLIP_SCALE", "SIGLIP_BIAS", "SIGLIP_SCALE", "Text"]

CLIP_SCALE = 1 / 0.07
"""Where CLIP's scale begins; there it learns as its logarithm, as here."""

SIGLIP_SCALE, SIGLIP_BIAS = 10.0, -10.0
"""Where SigLIP's scale and bias begin."""


class Text(nn.Module):
    r"""Scores an image by the cosine of its projected features with each class's embedding.

    With features :math:`x`, projection :math:`P` and the embedding :math:`t_c` of a class, which a
    text tower made of its name or description,

    .. math:: z_c = e^s \cos(P x,\ t_c + r_c) + b_c

    The scale :math:`e^s` learns as its logarithm. The residual :math:`r_c` is 0 at first and is
    there only if asked for. CLIP has no bias and SigLIP one for all classes; here there is one per
    class, which holds the prior. CLIP limits the scale to 100, which is not done here.

    Args:
        num_features: D.
        embeddings: (C, E) one vector per class, of any length but 0.
        projection: From (N, D) to (N, E), as the image tower was trained with; None: a new linear
            layer without bias.
        scale: What the cosines are multiplied by at first.
        bias: Where the bias of all classes begins.
        learn_scale: Whether the scale learns.
        learn_embeddings: Whether the embeddings learn.
        residual: Whether each class has a learnt vector that is added to its embedding.
        learn_projection: Whether the projection learns; a new one always does.

    Attributes:
        embeddings: (C, E); a parameter if they learn, else a buffer.
        bias: (C,) added to the logits, which holds the class prior at first.

    Raises:
        ConfigError: If the embeddings are not finite, or one is 0 or not a vector.

    Example:
        >>> head = Text(2, torch.eye(2), projection=nn.Identity(), scale=10.0)
        >>> head(torch.tensor([[3.0, 4.0]])).detach().numpy().round(4).tolist()
        [[6.0, 8.0]]
    """

    embeddings: Tensor

    def __init__(
        self,
        num_features: int,
        embeddings: Tensor,
        projection: nn.Module | None = None,
        *,
        scale: float = CLIP_SCALE,
        bias: float = 0.0,
        learn_scale: bool = True,
        learn_embeddings: bool = False,
        residual: bool = False,
        learn_projection: bool = True,
    ) -> None:
        super().__init__()
        if embeddings.ndim != 2 or not embeddings.isfinite().all():
            raise ConfigError(
                "class embeddings: expected finite numbers of shape (classes, width), got "
                f"{tuple(embeddings.shape)}"
            )
        num_classes, width = embeddings.shape
        if projection is None:
            self.projection: nn.Module = nn.Linear(num_features, width, bias=False)
            nn.init.normal_(self.projection.weight, std=num_features**-0.5)
        else:
            self.projection = projection.requires_grad_(learn_projection)
        vectors = embeddings.detach().float().clone()
        if learn_embeddings:
            self.embeddings = nn.Parameter(vectors)
        else:
            self.register_buffer("embeddings", vectors)
        self.residual = nn.Parameter(torch.zeros_like(vectors)) if residual else None
        self.logit_scale = nn.Parameter(torch.tensor(math.log(scale)), requires_grad=learn_scale)
        self.bias = nn.Parameter(torch.full((num_classes,), float(bias)))

    def class_vectors(self) -> Tensor:
        """What images are compared with: (C, E), of length 1."""
        vectors = self.embeddings if self.residual is None else self.embeddings + self.residual
        return F.normalize(vectors, dim=-1)

    def forward(self, features: Tensor) -> Tensor:
        """Logits (N, C) of features (N, D)."""
        images = F.normalize(self.projection(features), dim=-1)
        return self.logit_scale.exp() * (images @ self.class_vectors().T) + self.bias
