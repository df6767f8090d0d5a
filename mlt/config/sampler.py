"""Configuration of the sampler: which images an epoch consists of."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mlt.config.base import Strict

__all__ = [
    "ClassAwareSampler",
    "RepeatFactorSampler",
    "SamplerConfig",
    "ShuffleSampler",
    "WeightedSampler",
]


class ShuffleSampler(Strict):
    """Every image once an epoch, in random order."""

    name: Literal["shuffle"] = "shuffle"


class ClassAwareSampler(Strict):
    """Classes in turn, each giving a few of its images; the published re-sampling."""

    name: Literal["class_aware"]
    images_per_class: int = Field(3, ge=1)
    """Images drawn in a row from the class whose turn it is."""
    length_divisor: float = Field(4.0, gt=0)
    """An epoch has int(n_max * C / length_divisor) draws, n_max the largest class's images."""


class RepeatFactorSampler(Strict):
    """Every image at least once, those with rare classes more often; from LVIS."""

    name: Literal["repeat_factor"]
    threshold: float = Field(1e-3, gt=0, le=1)
    """Classes in fewer than this share of the images are repeated, by sqrt(threshold / share)."""


class WeightedSampler(Strict):
    """Draws with replacement, in proportion to a weight of each image's classes."""

    name: Literal["weighted"]
    power: float = Field(1.0, ge=0)
    """The weight of a class is (1 / its images) ** power: 0.5 is the root of the inverse."""
    combine: Literal["mean", "max", "sum"] = "mean"
    """How the weights of an image's classes become the image's."""
    beta: float | None = Field(None, ge=0, lt=1)
    """Weigh by effective number, (1 - beta) / (1 - beta ** n), before the power; null: by 1 / n."""
    draws: int | None = Field(None, ge=1)
    """Draws an epoch; null: as many as there are images."""


SamplerConfig = Annotated[
    ShuffleSampler | ClassAwareSampler | RepeatFactorSampler | WeightedSampler,
    Field(discriminator="name"),
]
