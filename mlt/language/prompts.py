"""Prompts whose words are vectors that can learn, in front of class names.

CoOp: Zhou et al., Learning to Prompt for Vision-Language Models, IJCV 2022 (2109.01134), section
3.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mlt.errors import ConfigError
from mlt.language.open_clip_tower import OpenClipTower

__all__ = ["PromptEncoder"]


class PromptEncoder:
    """Embeds the prompts `[context] class name.`, whose context are vectors in place of words.

    The text tower does not learn; gradients go through it to the context.

    Args:
        tower: Embeds the prompts.
        class_names: C names; underscores become spaces.
        context: How many vectors, or the words that they begin as.

    Attributes:
        length: M, the number of vectors.
        width: Length of a vector.
        begin: (M, width) embeddings of the words; None if they were not given.

    Raises:
        ConfigError: If the tower does not embed tokens by a table, the context has no word, or a
            prompt is too long.
    """

    def __init__(
        self, tower: OpenClipTower, class_names: Sequence[str], context: int | str
    ) -> None:
        text_side = getattr(tower.model, "text", tower.model)
        self._table: Any = getattr(text_side, "token_embedding", None)
        if self._table is None:
            raise ConfigError(
                f"the text tower {tower.name} is of another library, in which prompts cannot "
                "learn; take one of open_clip's own, as in ViT-B-16/openai"
            )
        self._tower = tower
        words = context if isinstance(context, str) else " ".join(["x"] * context)
        wanted = tower.tokens_of(words)
        if not wanted:
            raise ConfigError(f"the context {context!r} has no word that could learn")
        prompts = [f"{words} {name.replace('_', ' ')}." for name in class_names]
        if cut := tower.too_long(prompts):
            raise ConfigError(
                f"{len(cut)} of {len(prompts)} prompts are longer than {tower.name} reads, such as "
                f"{cut[0]!r}; a shorter context leaves room for the class names"
            )
        self._tokens: Tensor = tower.tokenizer(prompts)
        self._start = (self._tokens[0] == wanted[0]).int().argmax().item()
        self.length = len(wanted)
        found = self._tokens[:, self._places]
        if found.shape[1] < self.length or (found != torch.tensor(wanted)).any():
            raise ConfigError(
                f"the context {words!r} is not cut into the same tokens before the class names as "
                f"alone by {tower.name}, so that it has no place of its own; take other words"
            )
        self.width = int(self._table.weight.shape[1])
        self.begin = None
        if isinstance(context, str):
            self.begin = self._table.weight[wanted].detach().float().clone()

    @property
    def _places(self) -> slice:
        """Where the context stands in each prompt."""
        return slice(self._start, self._start + self.length)

    def __call__(self, context: Tensor) -> Tensor:
        """Embeddings (C, E) of the prompts.

        Args:
            context: (M, width) for all classes, or (C, M, width).
        """

        def put(module: torch.nn.Module, tokens: tuple[Tensor], embedded: Tensor) -> Tensor:
            learnt = context.to(embedded.dtype).expand(len(embedded), -1, -1)
            before, after = embedded[:, : self._start], embedded[:, self._places.stop :]
            return torch.cat([before, learnt, after], dim=1)

        model: Any = self._tower.model.to(context.device)
        handle = self._table.register_forward_hook(put)
        try:
            return model.encode_text(self._tokens.to(context.device)).float()
        finally:
            handle.remove()

    def __deepcopy__(self, memo: dict[int, Any]) -> PromptEncoder:
        """Nothing of it changes: a copy of a model shares it."""
        return self
