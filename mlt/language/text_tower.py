"""Text towers: from texts to vectors in the space of an image tower."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Literal

from torch import Tensor

from mlt.errors import ConfigError

__all__ = ["Backend", "TextTower", "load_text_tower", "missing_package"]

Backend = Literal["open_clip", "transformers"]


class TextTower(ABC):
    """Embeds texts.

    Attributes:
        name: The model, and its weights.
        width: E, the length of its vectors.
        scale: What the model multiplies cosines by.
        bias: What it adds to them; None for models that add nothing.
    """

    name: str
    width: int
    scale: float
    bias: float | None = None

    @abstractmethod
    def embed(self, texts: Sequence[str]) -> Tensor:
        """Vectors (n, E) of n texts, float32 on the CPU; a text that is too long loses its end."""

    @abstractmethod
    def too_long(self, texts: Sequence[str]) -> list[str]:
        """The texts that lose their end."""


def load_text_tower(
    model: str,
    backend: Backend = "open_clip",
    state: Mapping[str, Tensor] | None = None,
    device: str = "cpu",
) -> TextTower:
    """Load a text tower, downloading its weights unless they are given.

    Args:
        model: An image tower in timm, whose text tower is meant; a name in open_clip, `MODEL` or
            `MODEL/WEIGHTS`; or a folder, `local-dir:FOLDER` in open_clip. With ``transformers``
            the name of a CLIP or SigLIP model, or its folder.
        backend: The library.
        state: Tensors of the text tower, or of the whole model, in place of a download; for
            open_clip.
        device: Where to compute.

    Raises:
        ConfigError: If the library is not installed or does not know the model, or for an image
            tower that is not known to have a text tower.
        CheckpointError: If the weights cannot be loaded.
    """
    if backend == "transformers":
        from mlt.language.transformers_tower import TransformersTower

        if state is not None:
            raise ConfigError(
                "weights from a file are for the backend open_clip; give transformers the folder "
                "of the model"
            )
        return TransformersTower.load(model, device)
    from mlt.language.open_clip_tower import OpenClipTower

    return OpenClipTower.load(model, state, device)


def missing_package(package: str, error: ImportError) -> ConfigError:
    """Say how to install what embeds texts."""
    return ConfigError(
        f"texts are embedded with {package}, which cannot be imported ({error}): "
        "pip install 'mlt[language]'"
    )
