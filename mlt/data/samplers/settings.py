"""Configuration of the sampler: which images an epoch consists of."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from mlt.losses.part_settings import EffectiveNumber, Inverse
from mlt.settings import Settings

__all__ = [
    "ClassAwareSampler",
    "RepeatFactorSampler",
    "SamplerConfig",
    "ShuffleSampler",
    "WeightedSampler",
]

IMAGE_SCHEMES = ("instance", "average_w", "average_n", "min_n")


class ShuffleSampler(Settings):
    """Every image once per epoch, in random order."""

    name: Literal["shuffle"] = "shuffle"


class ClassAwareSampler(Settings):
    """Classes in turn, each giving a few of its images; the published re-sampling."""

    name: Literal["class_aware"]
    images_per_class: int = Field(3, ge=1)
    """Images drawn in a row from the class whose turn it is."""
    length_divisor: float = Field(4.0, ge=1e-3)
    """An epoch has int(n_max * C / length_divisor) draws, n_max the largest class's images."""


class RepeatFactorSampler(Settings):
    """Every image at least once, those with rare classes more often; from LVIS."""

    name: Literal["repeat_factor"]
    threshold: float = Field(1e-3, gt=0, le=1)
    """Classes in fewer than this share of the images are repeated, by sqrt(threshold / share)."""


class WeightedSampler(Settings):
    """Draws with replacement, in proportion to a weight of each image's classes."""

    name: Literal["weighted"]
    weighting: Annotated[Inverse | EffectiveNumber, Field(discriminator="name")] = Inverse(
        name="inverse", scheme="instance"
    )
    """A class weighting of the losses; its scheme (by default `instance`) makes it an image's."""
    draws: int | None = Field(None, ge=1)
    """Draws per epoch; null: as many as there are images."""

    @model_validator(mode="before")
    @classmethod
    def _weigh_images(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("weighting"), dict):
            return data | {"weighting": {"scheme": "instance"} | data["weighting"]}
        return data

    @model_validator(mode="after")
    def _check(self) -> WeightedSampler:
        if self.weighting.scheme not in IMAGE_SCHEMES:
            raise ValueError(
                f"weighting.scheme {self.weighting.scheme!r} gives no weight of an image; "
                f"choose one of {', '.join(IMAGE_SCHEMES)}"
            )
        if self.weighting.start_epoch:
            raise ValueError("weighting.start_epoch is for losses; a sampler weighs from the start")
        return self


SamplerConfig = Annotated[
    ShuffleSampler | ClassAwareSampler | RepeatFactorSampler | WeightedSampler,
    Field(discriminator="name"),
]
