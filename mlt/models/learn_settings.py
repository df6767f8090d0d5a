"""Configuration of which part of the backbone learns."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mlt.settings import Settings

__all__ = [
    "Learn",
    "LearnAll",
    "LearnBias",
    "LearnLastBlocks",
    "LearnLoRA",
    "LearnNorm",
]


class LearnAll(Settings):
    """All of it."""

    name: Literal["all"] = "all"


class LearnBias(Settings):
    """Biases only (BitFit: Ben Zaken et al., ACL 2022)."""

    name: Literal["bias"]


class LearnNorm(Settings):
    """Weights and biases of normalisation layers only (Frankle et al., ICLR 2021)."""

    name: Literal["norm"]


class LearnLastBlocks(Settings):
    """The last blocks, as timm counts the layers of its models, and what comes after them."""

    name: Literal["last_blocks"]
    blocks: int = Field(1, ge=1)
    """How many."""


class LearnLoRA(Settings):
    """A low-rank update beside each weight, which itself stays (LoRA: Hu et al., ICLR 2022)."""

    name: Literal["lora"]
    rank: int = Field(8, ge=1)
    """Rank of the update of a layer."""
    alpha: float = Field(16.0, gt=0)
    """The update is multiplied by alpha / rank."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout of the input of the update."""
    targets: tuple[str, ...] = Field(("*",), min_length=1)
    """Names of layers of the backbone, or patterns as in `model.freeze`: of all that match, the
    linear layers and the 1 x 1 convolutions get an update."""


Learn = Annotated[
    LearnAll | LearnBias | LearnNorm | LearnLastBlocks | LearnLoRA, Field(discriminator="name")
]
