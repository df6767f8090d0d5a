"""Text towers of transformers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mlt.errors import CheckpointError, ConfigError
from mlt.language.text_tower import TextTower, missing_package

__all__ = ["TransformersTower"]


class TransformersTower(TextTower):
    """The text side of a CLIP or SigLIP model of transformers.

    Args:
        name: What it is called.
        model: It has ``get_text_features``.
        tokenizer: Of that model.
        device: Where to compute.
    """

    def __init__(self, name: str, model: Any, tokenizer: Any, device: str = "cpu") -> None:
        self.name = name
        self.model = model.eval().requires_grad_(False).to(device)
        self.tokenizer = tokenizer
        self.device = device
        self.length = int(model.config.text_config.max_position_embeddings)
        self.scale = float(model.logit_scale.exp())
        bias = getattr(model, "logit_bias", None)
        self.bias = None if bias is None else float(bias)
        self.width = self.embed([""]).shape[1]

    @classmethod
    def load(cls, model: str, device: str = "cpu") -> TransformersTower:
        """Load a model by its name or from its folder."""
        try:
            from transformers import AutoModel, AutoTokenizer
        except ImportError as error:
            raise missing_package("transformers", error) from error
        try:
            built = AutoModel.from_pretrained(model)
            tokenizer = AutoTokenizer.from_pretrained(model)
        except Exception as error:  # whatever hosts, files and libraries raise
            reason = str(error).strip().split("\n")[0] or type(error).__name__
            raise CheckpointError(
                f"the text tower {model} could not be loaded: {reason}\n"
                "Give the name of a CLIP or SigLIP model, as in openai/clip-vit-base-patch16, or "
                "without a connection to its host a folder that was downloaded elsewhere"
            ) from error
        if not hasattr(built, "get_text_features") or not hasattr(built, "logit_scale"):
            raise ConfigError(
                f"{model} is a {type(built).__name__}, which does not embed texts in a space of "
                "images; give a CLIP or SigLIP model"
            )
        return cls(model, built, tokenizer, device)

    def embed(self, texts: Sequence[str]) -> Tensor:
        # SigLIP was trained on texts of full length; CLIP does not look behind the end.
        tokens = self.tokenizer(
            list(texts),
            padding="max_length",
            truncation=True,
            max_length=self.length,
            return_tensors="pt",
        ).to(self.device)
        with torch.inference_mode():
            found = self.model.get_text_features(**tokens)
        features = found if isinstance(found, Tensor) else found.pooler_output
        return features.float().cpu()

    def too_long(self, texts: Sequence[str]) -> list[str]:
        return [text for text in texts if len(self.tokenizer(text)["input_ids"]) > self.length]
