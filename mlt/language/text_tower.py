"""Text towers: from texts to vectors in the space of an image tower."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor

from mlt.errors import ConfigError

__all__ = ["TextTower", "missing_package"]


class TextTower(ABC):
    """Embeds texts.

    Attributes:
        name: The model, and its weights.
        width: E, the length of its vectors.
        scale: What the model multiplies cosines by; None if its weights do not say.
        bias: What it adds to them; None for models that add nothing.
    """

    name: str
    width: int
    scale: float | None
    bias: float | None = None

    @abstractmethod
    def embed(self, texts: Sequence[str]) -> Tensor:
        """Vectors (n, E) of n texts, float32 on the CPU; a text that is too long loses its end."""

    @abstractmethod
    def too_long(self, texts: Sequence[str]) -> list[str]:
        """The texts that lose their end."""


def missing_package(package: str, error: ImportError) -> ConfigError:
    """Say how to install what embeds texts."""
    return ConfigError(
        f"texts are embedded with {package}, which cannot be imported ({error}): "
        "pip install 'mlt[language]'"
    )
