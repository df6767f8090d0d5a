"""Text towers of open_clip."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import timm
import torch
from torch import Tensor, nn

from mlt.errors import CheckpointError, ConfigError
from mlt.language.pairing import paired_text_model
from mlt.language.text_tower import TextTower, missing_package

__all__ = ["OpenClipTower"]

_WHERE_IT_IS = ("hf-hub:", "local-dir:")


class OpenClipTower(TextTower):
    """The text side of a model of open_clip.

    Args:
        name: What it is called.
        model: A CLIP model of open_clip; its image side is dropped.
        tokenizer: Of that model.
        device: Where to compute.
    """

    def __init__(self, name: str, model: Any, tokenizer: Any, device: str = "cpu") -> None:
        self.name = name
        del model.visual
        self.model = model.eval().requires_grad_(False).to(device)
        self.tokenizer = tokenizer
        self.device = device
        self.scale: float | None = float(model.logit_scale.exp())
        self.bias = None if model.logit_bias is None else float(model.logit_bias)
        self.width = self.embed([""]).shape[1]

    @classmethod
    def load(
        cls, model: str, state: Mapping[str, Tensor] | None = None, device: str = "cpu"
    ) -> OpenClipTower:
        """Load the text tower of a model; see :func:`mlt.language.load_text_tower`."""
        try:
            import open_clip
        except ImportError as error:
            raise missing_package("open_clip", error) from error
        if timm.is_model(model.partition(".")[0]):
            model = paired_text_model(model)
        architecture, tag = _parts(model)
        if state is None and tag is None and not model.startswith(_WHERE_IT_IS):
            tags = ", ".join(open_clip.list_pretrained_tags_by_model(architecture))
            raise ConfigError(
                f"{architecture} has several weights; name one, {architecture}/WEIGHTS: {tags}"
                if tags
                else f"open_clip has no weights of {architecture}; give a file of weights"
            )
        trained_with = open_clip.get_pretrained_cfg(architecture, tag) if tag else {}
        try:
            with _without_warnings(state is not None):  # of weights that are yet to come
                built = open_clip.create_model(
                    architecture,
                    pretrained=None if state is not None else tag,
                    load_weights=state is None,
                    pretrained_text=False,
                    force_quick_gelu=bool(trained_with.get("quick_gelu")),
                )
            tokenizer = open_clip.get_tokenizer(architecture)
        except Exception as error:  # whatever hosts, files and libraries raise
            raise CheckpointError(_not_loaded(model, error)) from error
        says_scale = state is None or _load_text(built, state)
        tower = cls(model, built, tokenizer, device)
        if not says_scale:
            tower.scale = tower.bias = None
        return tower

    def embed(self, texts: Sequence[str]) -> Tensor:
        with torch.inference_mode():
            tokens = self.tokenizer(list(texts)).to(self.device)
            return self.model.encode_text(tokens).float().cpu()

    def too_long(self, texts: Sequence[str]) -> list[str]:
        # CLIP's tokens stand between a start and an end, SigLIP's before an end.
        around = 2 if self._has_own_tokenizer else 1
        limit = self.tokenizer.context_length
        return [text for text in texts if len(self.tokens_of(text)) + around > limit]

    def tokens_of(self, text: str) -> list[int]:
        """The tokens of a text alone, without start and end."""
        if self._has_own_tokenizer:
            return self.tokenizer.encode(text)
        cleaned = self.tokenizer.clean_fn(text)  # as it does itself before it cuts words
        return self.tokenizer.tokenizer.encode(cleaned, add_special_tokens=False)

    @property
    def _has_own_tokenizer(self) -> bool:
        """Whether its tokens are open_clip's; else they are transformers'."""
        return hasattr(self.tokenizer, "encode")


@contextmanager
def _without_warnings(silent: bool) -> Iterator[None]:
    before = logging.root.manager.disable
    logging.disable(logging.WARNING if silent else before)
    try:
        yield
    finally:
        logging.disable(before)


def _parts(model: str) -> tuple[str, str | None]:
    """Architecture and weights of a name of open_clip."""
    import open_clip

    if model.startswith(_WHERE_IT_IS):
        return model, None
    architecture, _, tag = model.partition("/")
    known = open_clip.list_models()
    if architecture not in known:
        near = difflib.get_close_matches(architecture, known, n=5, cutoff=0.5)
        raise ConfigError(
            f"neither timm nor open_clip {open_clip.__version__} has a model {model!r}. "
            + (f"Close names: {', '.join(near)}. " if near else "")
            + "All names: python -c 'import open_clip; print(open_clip.list_pretrained())'"
        )
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    if tag and tag not in tags:
        raise ConfigError(
            f"open_clip has no weights {tag!r} of {architecture}; what there is: "
            f"{', '.join(tags) or 'none'}"
        )
    return architecture, tag or None


def _load_text(model: nn.Module, state: Mapping[str, Tensor]) -> bool:
    """Load the text side of a state, whatever else it has; whether it has the scale, too."""
    own = {name for name in model.state_dict() if not name.startswith("visual.")}
    given = {
        name.removeprefix("module."): value
        for name, value in state.items()
        if not name.removeprefix("module.").startswith("visual.")
    }
    if not own & given.keys() - _LOGITS:  # with the text tower under `text.`, or without
        under = any(name.startswith("text.") for name in own)
        given = {
            name if name in _LOGITS else f"text.{name}" if under else name.removeprefix("text."): v
            for name, v in given.items()
        }
    missing = sorted(own - given.keys() - _LOGITS)
    if missing:
        raise CheckpointError(
            f"the weights do not fit the text tower: {len(missing)} tensors are missing "
            f"({', '.join(missing[:5])}); the file has {', '.join(sorted(state)[:5])}"
        )
    try:
        model.load_state_dict({name: given[name] for name in own & given.keys()}, strict=False)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"the weights do not fit the text tower: {reason}") from error
    return "logit_scale" in given


_LOGITS = {"logit_scale", "logit_bias"}
"""Not in every file of a text tower, and not needed to embed."""


def _not_loaded(model: str, error: Exception) -> str:
    reason = str(error).strip().split("\n")[0] or type(error).__name__
    return (
        f"the text tower {model} could not be loaded: {reason}\n"
        "Without a connection to its host, give its weights with --weights FILE, or a folder that "
        "was downloaded elsewhere with --model local-dir:FOLDER (open_clip_config.json, weights "
        "and, for SigLIP, the tokenizer); or make the class embeddings on a machine with a "
        "connection: the file they are in is all that training needs"
    )
