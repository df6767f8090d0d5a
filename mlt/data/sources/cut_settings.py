"""How parts and long tails are cut out of the training images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from pydantic import Discriminator, Field, Tag, model_validator

from mlt.settings import Settings

__all__ = ["Fraction", "LongTailConfig", "OrFraction"]


class LongTailConfig(Settings):
    """Cut a long-tailed training split with the Pareto recipe."""

    b: float = Field(6.0, ge=0.01)
    """Shape of the Pareto distribution; larger is a steeper tail."""
    max: int = Field(800, ge=1)
    """Images the most frequent class aims at."""
    min: int = Field(1, ge=1)
    """Images the rarest class aims at."""
    seed: int = Field(0, ge=0)
    """Seed of the draw."""

    @model_validator(mode="after")
    def _check(self) -> LongTailConfig:
        if self.min > self.max:
            raise ValueError(f"min ({self.min}) must not exceed max ({self.max})")
        return self


class Fraction(Settings):
    """Cut this part out of the training images, every class by its share."""

    fraction: float = Field(gt=0, lt=1)
    """Share of all images that `train` names; validation 0.1 and test 0.2 leave 0.7."""
    seed: int = Field(0, ge=0)
    """Another seed is another cut."""
    order: Literal[1, 2] = 1
    """1 balances classes, 2 also pairs of classes that occur together."""


def _files_or_fraction(value: Any) -> str:
    """The tag of what names a part: ``"fraction"`` or ``"files"``, for pydantic's Discriminator.

    Files are a string, or a section that says where annotations and images are.
    """
    if isinstance(value, Mapping):
        return "files" if {"annotations", "images"} & value.keys() else "fraction"
    return "fraction" if isinstance(value, Fraction) else "files"


Files = TypeVar("Files")

OrFraction: TypeAlias = Annotated[
    Annotated[Files, Tag("files")] | Annotated[Fraction, Tag("fraction")],
    Discriminator(_files_or_fraction),
]
"""What names the images of a part, of type ``Files``, or the fraction of the training images."""
