"""Configuration of the transforms: how an image becomes the network's input."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from mlt.settings import Settings

__all__ = [
    "LARGEST_SIDE",
    "Interpolation",
    "Mix",
    "ModernTransforms",
    "PlainTransforms",
    "PublishedTransforms",
    "RandAugment",
    "ResizeMode",
    "TransformsConfig",
    "TrivialAugment",
]

LARGEST_SIDE = 16_384
"""Of an input, in pixels; as float32 it takes 3 GB."""

ResizeMode = Literal["squash", "crop", "pad"]
Interpolation = Literal["bilinear", "bicubic"]


class TrivialAugment(Settings):
    """One operation of any strength, both drawn anew (Mueller & Hutter, ICCV 2021)."""

    name: Literal["trivial"]


class RandAugment(Settings):
    """A few operations of one strength (Cubuk et al., NeurIPS 2020)."""

    name: Literal["rand"]
    num_ops: int = Field(2, ge=1, le=14)
    """Operations applied one after the other, each drawn anew."""
    magnitude: int = Field(9, ge=0, le=30)
    """Their strength, from 0 (none) to 30."""


class Mix(Settings):
    """Mixes two images and their labels: mixup, CutMix, or each half of the time."""

    mixup: float | None = Field(None, gt=0)
    """alpha of the weight of the first image, Beta(alpha, alpha), for mixup (1710.09412); 0.2 is
    usual, null: no mixup."""
    cutmix: float | None = Field(None, gt=0)
    """alpha of the share of the first image's area, for CutMix (1905.04899); 1 is usual, null: no
    CutMix."""
    probability: float = Field(1.0, gt=0, le=1)
    """Share of the images that are mixed."""
    labels: Literal["mix", "union"] = "mix"
    """`mix`: the labels get the images' weights, so that targets are soft; `union`: the mixed image
    has all labels of both, as in LogicMix (2405.15860)."""

    @model_validator(mode="after")
    def _check(self) -> Mix:
        if self.mixup is None and self.cutmix is None:
            raise ValueError("nothing to mix: give mixup (0.2 is usual), cutmix (1.0), or both")
        return self

    @property
    def softens(self) -> bool:
        """Whether targets between 0 and 1 come out of it."""
        return self.labels == "mix"


class _Transforms(Settings):
    """What every preset shares."""

    size: int = Field(224, ge=8, le=LARGEST_SIDE)
    """Height and width of the network's input, in pixels."""
    interpolation: Interpolation = "bilinear"
    """How images are resized."""
    antialias: bool = True
    """Whether to average over pixels when shrinking."""
    policy: Annotated[TrivialAugment | RandAugment, Field(discriminator="name")] | None = None
    """Operations of torchvision's policies (shear, shift, rotate, colours) after the crop; null:
    none. They come on top of the preset's own colour changes, which can be switched off."""
    erase: float = Field(0.0, ge=0, le=1)
    """Probability that a random rectangle is blanked out, with the mean colour."""
    mix: Mix | None = None
    """Mix each training image with another one; null: do not."""
    repeats: int = Field(1, ge=1, le=64)
    """Differently augmented copies of each drawn image, one after the other; the length of an epoch
    stays, so it has fewer different images."""


class PublishedTransforms(_Transforms):
    """The published baselines' preprocessing: photometric distortion, random crop, squash, flip."""

    name: Literal["published"]
    min_crop: float = Field(0.8, gt=0, le=1)
    """Shortest side of the random crop, as a fraction of the image's side."""
    flip: float = Field(0.5, ge=0, le=1)
    """Probability of a horizontal flip."""
    distort: bool = True
    """Whether to distort brightness, contrast, saturation and hue."""
    antialias: bool = False
    """Whether to average over pixels when shrinking; the published code did not."""


class ModernTransforms(_Transforms):
    """Random resized crop, flip and colour jitter, with the whole image seen at test time."""

    name: Literal["modern"]
    crop_area: tuple[float, float] = (0.5, 1.0)
    """Smallest and largest area of the random crop, as fractions of the image's area."""
    crop_ratio: tuple[float, float] = (0.75, 1.3333333333333333)
    """Smallest and largest width / height of the random crop."""
    flip: float = Field(0.5, ge=0, le=1)
    """Probability of a horizontal flip; 0 for content with a reading direction or a left side."""
    color_jitter: float = Field(0.2, ge=0, lt=1)
    """Strength of the changes of brightness, contrast and saturation; 0: none."""
    resize: ResizeMode = "squash"
    """At test time: squash to a square, crop the middle square, or pad to a square."""

    @model_validator(mode="after")
    def _check(self) -> ModernTransforms:
        low, high = self.crop_area
        if not 0 < low <= high <= 1:
            raise ValueError(f"crop_area must be 0 < smallest <= largest <= 1, got {[low, high]}")
        low, high = self.crop_ratio
        if not 0 < low <= high:
            raise ValueError(f"crop_ratio must be 0 < smallest <= largest, got {[low, high]}")
        return self


class PlainTransforms(_Transforms):
    """Resize and a small shift: for small images where a flip or a colour change would lie."""

    name: Literal["plain"]
    size: int = Field(64, ge=8, le=LARGEST_SIDE)
    """Height and width of the network's input, in pixels."""
    shift: int = Field(4, ge=0)
    """Largest shift up, down, left or right, in pixels."""
    padding: Literal["edge", "reflect", "zero"] = "edge"
    """What a shift moves into view: the border repeated, the image mirrored at it, or black."""
    flip: float = Field(0.0, ge=0, le=1)
    """Probability of a horizontal flip."""

    @model_validator(mode="after")
    def _check(self) -> PlainTransforms:
        if self.padding == "reflect" and self.shift >= self.size:
            raise ValueError(
                f"an image of {self.size} pixels cannot be mirrored to fill a shift of "
                f"{self.shift}; lower shift, or take another padding"
            )
        return self


TransformsConfig = Annotated[
    PublishedTransforms | ModernTransforms | PlainTransforms, Field(discriminator="name")
]
