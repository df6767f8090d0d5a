"""A head whose class embeddings are made of learnt prompts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mlt.models.heads.text import Text

__all__ = ["Prompts"]


class Prompts(Text):
    """Compares images with prompts of which some words are learnt (CoOp).

    Zhou et al., Learning to Prompt for Vision-Language Models, IJCV 2022 (2109.01134), section 3.2.

    While it learns, the text tower embeds the prompts for every batch. In evaluation, and in the
    state, ``embeddings`` are those of the prompts as they are, so that a checkpoint needs no text
    tower.

    Args:
        num_features: D.
        embeddings: (C, E) of the classes; without ``encode`` what images are compared with.
        encode: From the context to (C, E); its own parameters do not learn and are not in the
            state. None: the prompts are what they were trained to be.
        context: (M, width) vectors for all classes, or (C, M, width), where they begin.
        options: Those of :class:`Text`.

    Attributes:
        context: The learnt vectors; None until a state is loaded where there is no ``encode``.
    """

    context: nn.Parameter | None

    def __init__(
        self,
        num_features: int,
        embeddings: Tensor,
        encode: Callable[[Tensor], Tensor] | None = None,
        context: Tensor | None = None,
        projection: nn.Module | None = None,
        **options: Any,
    ) -> None:
        super().__init__(num_features, embeddings, projection, **options)
        self.encode = encode
        self.context = None if context is None else nn.Parameter(context.clone())
        # Of the module that is saved: the hook of a copy is that of the model it is a copy of.
        self.register_state_dict_pre_hook(lambda module, *_: module.fold())

    def class_vectors(self) -> Tensor:
        """What images are compared with: (C, E), of length 1."""
        if self.training and self.encode is not None:
            assert self.context is not None
            return F.normalize(self.encode(self.context), dim=-1)
        return super().class_vectors()

    @torch.no_grad()
    def fold(self) -> None:
        """Put the embeddings of the prompts as they are in place of those of earlier ones."""
        if self.encode is not None:
            assert self.context is not None
            self.embeddings.copy_(self.encode(self.context))

    def train(self, mode: bool = True) -> Prompts:
        """Set training mode; what is evaluated are the prompts as they are then."""
        super().train(mode)
        if not mode:
            self.fold()
        return self

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any) -> None:
        stored = state_dict.get(f"{prefix}context")
        if self.encode is None and stored is not None:
            # Its length is that of the text tower, which is not here.
            self.context = nn.Parameter(torch.empty_like(stored))
        super()._load_from_state_dict(state_dict, prefix, *args)
