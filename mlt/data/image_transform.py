"""A transform in parts, so that each is done where it costs least."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import torch
from PIL import Image
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

__all__ = ["ImageTransform", "Normalise"]


@dataclass(frozen=True)
class Normalise:
    """From pixels to the network's input: subtract the mean, divide by the standard deviation.

    Attributes:
        mean: Of red, green and blue, on the scale 0 to 1.
        std: Likewise.

    Example:
        >>> white = torch.full((3, 1, 1), 255, dtype=torch.uint8)
        >>> Normalise((0.5,) * 3, (0.25,) * 3)(white).flatten().tolist()
        [2.0, 2.0, 2.0]
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Normalise an image or a batch on its device, the same number for number.

        Args:
            images: (..., 3, H, W), uint8 or floating point on the scale 0 to 1. The latter is
                overwritten.

        Returns:
            The same shape in float32 (uint8) or the given type.
        """
        floating = images.is_floating_point()
        result = images if floating else torch.empty(images.shape, device=images.device)
        mean, std = (
            torch.tensor(values, dtype=result.dtype, device=result.device).view(3, 1, 1)
            for values in (self.mean, self.std)
        )
        # A processor's cache holds one image, not a batch; an accelerator takes all at once.
        one_by_one = images.ndim > 3 and images.device.type == "cpu"
        for output, pixels in zip(result, images) if one_by_one else [(result, images)]:
            if not floating:
                output.copy_(pixels).mul_(1 / 255)
            output.sub_(mean).div_(std)
        return result


class ImageTransform:
    """From an RGB image to a normalised (3, H, W) float32 tensor.

    Called, it does all its parts. The loader does :meth:`prepare` once per image where it keeps
    decoded images, :meth:`augment` for each draw, and the normalisation for a whole batch on the
    device of the model, where :attr:`normalise_later` allows it. It can be pickled.

    Args:
        steps: Transforms of torchvision from uint8 pixels to pixels, uint8 or on the scale 0 to 1.
        normalise: What follows them.
        after: What follows that, in the normalised image, where zero is the mean colour.
        shorter_side: What the shorter side of an image must have left for the steps not to enlarge
            it, in pixels: how far it may be reduced when it is decoded. None: not at all.
    """

    def __init__(
        self,
        steps: Sequence[v2.Transform],
        normalise: Normalise,
        after: Sequence[v2.Transform] = (),
        shorter_side: int | None = None,
    ) -> None:
        self.fixed = list(takewhile(_same_every_time, steps))
        self.steps = list(steps[len(self.fixed) :])
        self.normalise = normalise
        self.after = list(after)
        self.shorter_side = shorter_side

    def __call__(self, image: Image.Image | torch.Tensor) -> torch.Tensor:
        """Transform an image of Pillow, or its pixels, (3, H, W) uint8."""
        return self.finish(self.augment(self.prepare(image)))

    @property
    def normalise_later(self) -> bool:
        """Whether nothing follows the normalisation, so that a batch may be normalised at once."""
        return not self.after

    def prepare(self, image: Image.Image | torch.Tensor) -> torch.Tensor:
        """The first steps, which do the same every time: uint8 pixels."""
        if isinstance(image, Image.Image):
            image = F.pil_to_tensor(image)
        return _in_turn(self.fixed, image.as_subclass(torch.Tensor))

    def augment(self, pixels: torch.Tensor) -> torch.Tensor:
        """The other steps, from the first random one on."""
        return _in_turn(self.steps, pixels)

    def finish(self, pixels: torch.Tensor) -> torch.Tensor:
        """Normalisation and what follows it."""
        return _in_turn(self.after, self.normalise(pixels))


def _in_turn(steps: Sequence[v2.Transform], image: torch.Tensor) -> torch.Tensor:
    for step in steps:
        image = step(image)
    return image


def _same_every_time(step: Any) -> bool:
    return isinstance(step, (v2.Resize, v2.CenterCrop)) or getattr(step, "fixed", False)
