"""From an RGB image to the network's input: augmentation for training, preprocessing for use.

What a trained network needs to see an image as it did in evaluation is a :class:`Preprocessing`, a
few plain values that travel in the checkpoint.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import torch
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional as F

from mlt.data.distortion import PhotometricDistortion, RandomSideCrop
from mlt.data.image_transform import ImageTransform, Normalise
from mlt.data.transform_settings import (
    LARGEST_SIDE,
    Interpolation,
    ModernTransforms,
    PlainTransforms,
    PublishedTransforms,
    RandAugment,
    ResizeMode,
    TransformsConfig,
    TrivialAugment,
)
from mlt.errors import CheckpointError

__all__ = ["Preprocessing", "Transform", "build_transforms", "eval_preprocessing", "eval_transform"]

Transform = Callable[[Any], torch.Tensor]


@dataclass(frozen=True)
class Preprocessing:
    """How an RGB image becomes a network's input, outside training.

    Attributes:
        size: Height and width of the input, in pixels.
        resize: "squash" to a square whatever the aspect ratio; "crop" the middle square after
            resizing the shorter side; "pad" with the mean colour after resizing the longer side.
            Squashing is the default for multi-label recognition: it shows every object, where
            cropping loses those at the border although their labels count.
        interpolation: "bilinear" or "bicubic".
        antialias: Whether to average over pixels when shrinking.
        mean: Of red, green and blue, on the scale 0 to 1.
        std: Likewise.

    Example:
        >>> form = Preprocessing(size=8, mean=(0.5,) * 3, std=(0.5,) * 3)
        >>> Preprocessing.from_dict(form.to_dict()) == form
        True
    """

    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resize: ResizeMode = "squash"
    interpolation: Interpolation = "bilinear"
    antialias: bool = True

    def to_dict(self) -> dict[str, Any]:
        """As a dictionary that JSON can hold."""
        return dataclasses.asdict(self) | {"mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocessing:
        """From what :meth:`to_dict` gave.

        Raises:
            CheckpointError: If a key is missing or unknown, or a value makes no sense.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        unknown = sorted(set(values) - set(names))
        missing = sorted({"size", "mean", "std"} - set(values))
        if unknown or missing:
            raise CheckpointError(
                f"The description of the preprocessing has unknown keys {unknown} and lacks "
                f"{missing}; its keys are {names}. Was it written by another version of mlt?"
            )
        try:
            made = msgspec.convert(dict(values), cls)
        except (msgspec.ValidationError, ValueError) as error:  # such as half a character
            raise CheckpointError(
                f"The description of the preprocessing makes no sense: {error}"
            ) from error
        scale = *made.mean, *made.std
        if (
            not 1 <= made.size <= LARGEST_SIDE
            or (len(made.mean), len(made.std)) != (3, 3)
            or not all(map(math.isfinite, scale))
            or min(made.std) <= 0
        ):
            raise CheckpointError(f"The description of the preprocessing makes no sense: {made}")
        return made


def build_transforms(
    config: TransformsConfig, mean: Sequence[float], std: Sequence[float], train: bool
) -> ImageTransform:
    """Make the transform of a preset.

    Its randomness comes from torch's default generator, which the loader seeds for each image.

    Args:
        config: The preset.
        mean: Mean of red, green and blue that the network expects, on the scale 0 to 1.
        std: Standard deviation, likewise.
        train: With augmentation, or the preprocessing used for evaluation.

    Returns:
        A picklable callable from an RGB image (PIL) to a normalised (3, size, size) float32
        tensor.

    Example:
        >>> from PIL import Image
        >>> config = PlainTransforms(name="plain", size=32)
        >>> transform = build_transforms(config, (0.5,) * 3, (0.5,) * 3, train=True)
        >>> tensor = transform(Image.new("RGB", (40, 30), "white"))
        >>> tensor.shape, tensor.dtype, tensor.unique().tolist()
        (torch.Size([3, 32, 32]), torch.float32, [1.0])
    """
    if not train:
        return eval_transform(eval_preprocessing(config, mean, std))
    policy = _policy(config, mean)
    if isinstance(config, PublishedTransforms):
        steps = _published(config, policy)
    elif isinstance(config, ModernTransforms):
        steps = _modern(config, policy)
    else:
        steps = _plain(config, policy)
    after: list[Any] = []
    if config.erase > 0:
        after.append(v2.RandomErasing(config.erase))  # With zeros: the mean colour.
    normalise = Normalise(tuple(mean), tuple(std))
    return ImageTransform(steps, normalise, after, _shorter_side(config))


def eval_preprocessing(
    config: TransformsConfig, mean: Sequence[float], std: Sequence[float]
) -> Preprocessing:
    """What a preset does to an image outside training.

    Args:
        config: The preset.
        mean: Mean of red, green and blue that the network expects, on the scale 0 to 1.
        std: Standard deviation, likewise.

    Example:
        >>> config = PublishedTransforms(name="published")
        >>> form = eval_preprocessing(config, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
        >>> form.size, form.resize, form.antialias
        (224, 'squash', False)
    """
    return Preprocessing(
        size=config.size,
        mean=tuple(float(value) for value in mean),
        std=tuple(float(value) for value in std),
        resize=config.resize if isinstance(config, ModernTransforms) else "squash",
        interpolation=config.interpolation,
        antialias=config.antialias,
    )


def eval_transform(form: Preprocessing) -> ImageTransform:
    """The transform that a :class:`Preprocessing` describes; it has no randomness.

    Args:
        form: The description.

    Returns:
        A picklable callable from an RGB image (PIL) to a normalised (3, size, size) float32
        tensor.

    Example:
        >>> from PIL import Image
        >>> form = Preprocessing(size=8, mean=(0.5,) * 3, std=(0.5,) * 3, resize="pad")
        >>> tensor = eval_transform(form)(Image.new("RGB", (16, 8), "white"))
        >>> tensor[0, :, 0].tolist()
        [0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0]
    """
    options = _how_to_resize(form)
    square = [form.size, form.size]
    normalise = Normalise(form.mean, form.std)
    if form.resize == "squash":
        return ImageTransform([v2.Resize(square, **options)], normalise)
    if form.resize == "crop":
        return ImageTransform([v2.Resize(form.size, **options), v2.CenterCrop(square)], normalise)
    # The padding comes after the normalisation, where zero is the mean colour.
    return ImageTransform([_FitInside(form.size, **options)], normalise, [v2.CenterCrop(square)])


class _FitInside(v2.Transform):
    """Resize so that the longer side has ``size`` pixels, and the shorter at least one."""

    fixed = True  # Does the same every time.

    def __init__(self, size: int, **options: Any) -> None:
        super().__init__()
        self.size = size
        self.options = options

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        height, width = F.get_size(inpt)
        scale = self.size / max(height, width)
        fitting = [max(1, round(height * scale)), max(1, round(width * scale))]
        return self._call_kernel(F.resize, inpt, fitting, **self.options)


def _to_float() -> list[Any]:
    """What steps that need it begin with; else images stay bytes until they are normalised."""
    return [v2.ToDtype(torch.float32, scale=True)]


def _how_to_resize(source: TransformsConfig | Preprocessing) -> dict[str, Any]:
    return {
        "interpolation": InterpolationMode(source.interpolation),
        "antialias": source.antialias,
    }


def _shorter_side(config: TransformsConfig) -> int | None:
    """What the shorter side of a training image must have left for no crop to be enlarged."""
    if not config.antialias:
        return None  # Of each block of pixels a few count, which a reduced image has averaged.
    smallest = 1.0
    if isinstance(config, PublishedTransforms):
        smallest = config.min_crop
    elif isinstance(config, ModernTransforms):
        area, (narrow, wide) = config.crop_area[0], config.crop_ratio
        # Of the sides of a random crop; of the middle one where no random crop fits.
        sides = math.sqrt(area * narrow), math.sqrt(area / wide), 1 / narrow, wide
        smallest = min(1.0, *sides)
    return math.ceil(config.size / smallest)


def _policy(config: TransformsConfig, mean: Sequence[float]) -> list[Any]:
    """The policy on 8-bit values; what it moves into view has the mean colour."""
    options = {
        "interpolation": InterpolationMode.BILINEAR,
        "fill": [round(255 * value) for value in mean],
    }
    match config.policy:
        case None:
            return []
        case TrivialAugment():
            return [v2.TrivialAugmentWide(**options)]
        case RandAugment(num_ops=num_ops, magnitude=magnitude):
            return [v2.RandAugment(num_ops, magnitude, **options)]


def _published(config: PublishedTransforms, policy: list[Any]) -> list[Any]:
    # The published code distorts before it crops and resizes. Brightness and contrast commute
    # with both; saturation and hue nearly do, and cost much less on the smaller image.
    steps: list[Any] = [
        RandomSideCrop(config.min_crop),
        v2.Resize([config.size, config.size], **_how_to_resize(config)),
        *policy,
    ]
    if config.distort:
        steps += [*_to_float(), PhotometricDistortion()]
    return [*steps, v2.RandomHorizontalFlip(config.flip)]


def _modern(config: ModernTransforms, policy: list[Any]) -> list[Any]:
    # Crops keep at least half of the image where ImageNet's custom is 8 %: a label counts whether
    # or not its object is still in view.
    steps: list[Any] = [
        v2.RandomResizedCrop(
            [config.size, config.size],
            scale=config.crop_area,
            ratio=config.crop_ratio,
            **_how_to_resize(config),
        ),
        v2.RandomHorizontalFlip(config.flip),
        *policy,
    ]
    strength = config.color_jitter
    if strength > 0:
        jitter = v2.ColorJitter(brightness=strength, contrast=strength, saturation=strength)
        steps += [*_to_float(), jitter]
    return steps


def _plain(config: PlainTransforms, policy: list[Any]) -> list[Any]:
    square = [config.size, config.size]
    steps: list[Any] = [v2.Resize(square, **_how_to_resize(config))]
    if config.shift > 0:
        mode = "constant" if config.padding == "zero" else config.padding
        steps += [v2.Pad(config.shift, padding_mode=mode), v2.RandomCrop(square)]
    return [*steps, v2.RandomHorizontalFlip(config.flip), *policy]
