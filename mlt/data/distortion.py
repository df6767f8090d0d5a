"""The two augmentations of the published baselines that torchvision does not have as such."""

from __future__ import annotations

from typing import Any

import torch
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

__all__ = ["PhotometricDistortion", "RandomSideCrop", "distort", "shift_hue"]


class RandomSideCrop(v2.Transform):
    """Crop to a random rectangle whose width and height are drawn independently of each other.

    Args:
        min_side: Smallest width and height, as a fraction of the image's; the largest is 1.

    Example:
        >>> RandomSideCrop(1.0)(torch.zeros(3, 20, 30)).shape
        torch.Size([3, 20, 30])
    """

    def __init__(self, min_side: float = 0.8) -> None:
        super().__init__()
        self.min_side = min_side

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw the rectangle."""
        height, width = F.get_size(flat_inputs[0])
        sides = torch.empty(2).uniform_(self.min_side, 1.0).tolist()
        crop_height = max(1, round(sides[0] * height))
        crop_width = max(1, round(sides[1] * width))
        return {
            "top": int(torch.randint(height - crop_height + 1, ())),
            "left": int(torch.randint(width - crop_width + 1, ())),
            "height": crop_height,
            "width": crop_width,
        }

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Cut it out."""
        return self._call_kernel(F.crop, inpt, **params)


class PhotometricDistortion(v2.Transform):
    """SSD's random change of brightness, contrast, saturation and hue, each half of the time.

    Contrast comes before saturation and hue or after them, at random. As in the published code,
    brightness is added, contrast multiplies without a pivot, and nothing is clipped, so results
    may leave [0, 1]. torchvision's ``RandomPhotometricDistort`` multiplies brightness, pivots
    contrast at the mean, clips, and also swaps channels.

    Args:
        brightness: Largest addition, on the scale 0 to 1.
        contrast: Smallest and largest factor.
        saturation: Smallest and largest factor.
        hue: Largest rotation in degrees.

    References:
        Liu et al., SSD: Single Shot MultiBox Detector, ECCV 2016, arXiv 1512.02325, section 2.2.

    Example:
        >>> PhotometricDistortion()(torch.rand(3, 8, 8)).shape
        torch.Size([3, 8, 8])
    """

    def __init__(
        self,
        brightness: float = 32 / 255,
        contrast: tuple[float, float] = (0.5, 1.5),
        saturation: tuple[float, float] = (0.5, 1.5),
        hue: float = 18.0,
    ) -> None:
        super().__init__()
        self.brightness = brightness
        self.contrast = contrast
        self.saturation = saturation
        self.hue = hue

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw the strengths; those of the steps left out are neutral."""
        use = (torch.rand(4) < 0.5).tolist()
        drawn = torch.rand(4).tolist()
        return {
            "brightness": use[0] * self.brightness * (2 * drawn[0] - 1),
            "contrast": _between(self.contrast, drawn[1]) if use[1] else 1.0,
            "saturation": _between(self.saturation, drawn[2]) if use[2] else 1.0,
            "hue": use[3] * self.hue * (2 * drawn[3] - 1),
            "contrast_first": bool(torch.rand(()) < 0.5),
        }

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Apply them to a float image."""
        return distort(inpt, **params)


def distort(
    image: torch.Tensor,
    brightness: float = 0.0,
    contrast: float = 1.0,
    saturation: float = 1.0,
    hue: float = 0.0,
    contrast_first: bool = True,
) -> torch.Tensor:
    """Change brightness, contrast, saturation and hue, in this or the other order.

    Args:
        image: Floating-point RGB image, (3, H, W); 1 is white.
        brightness: Added to every channel.
        contrast: Factor of every channel.
        saturation: Factor of the saturation (HSV).
        hue: Rotation of the hue (HSV), in degrees.
        contrast_first: Contrast before saturation and hue, or after them.

    Returns:
        A new image of the same shape, not clipped.

    Example:
        >>> distort(torch.full((3, 1, 1), 0.5), brightness=0.25, contrast=2.0).flatten().tolist()
        [1.5, 1.5, 1.5]
    """
    image = image + brightness
    if contrast_first and contrast != 1:
        image.mul_(contrast)
    if saturation != 1:
        # In HSV a factor of the saturation keeps the largest channel and moves the others from it.
        largest = torch.maximum(torch.maximum(image[0], image[1]), image[2])
        image = image.sub_(largest).mul_(saturation).add_(largest)
    if hue != 0:
        image = shift_hue(image, hue)
    return image if contrast_first or contrast == 1 else image.mul_(contrast)


def shift_hue(image: torch.Tensor, degrees: float) -> torch.Tensor:
    """Rotate the hue (HSV), keeping value and chroma; values outside [0, 1] are fine.

    Args:
        image: Floating-point RGB image, (3, H, W).
        degrees: Angle; 120 makes red green.

    Returns:
        A new image of the same shape.

    Example:
        >>> shift_hue(torch.tensor([1.0, 0.25, 0.25]).reshape(3, 1, 1), 120.0).flatten().tolist()
        [0.25, 1.0, 0.25]
    """
    red, green, blue = image
    value = torch.maximum(torch.maximum(red, green), blue)
    chroma = value - torch.minimum(torch.minimum(red, green), blue)
    safe = chroma.clamp(min=torch.finfo(image.dtype).tiny)
    # Position on the colour circle in sixths, counted from red.
    sixth = torch.where(
        red == value,
        (green - blue) / safe,
        torch.where(green == value, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    # Of each channel the distance on the circle to the colour opposite of it: where that is less
    # than a sixth the channel is the smallest, beyond two sixths the largest.
    opposite = image.new_tensor([3.0, 5.0, 1.0]).view(3, 1, 1)
    distance = sixth - (opposite - degrees / 60)
    distance.sub_((distance / 6).round_().mul_(6)).abs_()
    return value - distance.neg_().add_(2).clamp_(0, 1).mul_(chroma)


def _between(limits: tuple[float, float], share: float) -> float:
    return limits[0] + (limits[1] - limits[0]) * share
