"""From an image to what a network is shown of it where evaluation averages over several views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from PIL import Image
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from mlt.data.image_transform import ImageTransform
from mlt.data.transforms import Preprocessing, Transform, eval_transform
from mlt.data.view_settings import Place, ViewConfig

__all__ = ["Inputs", "Shown", "inputs_of", "view_transform"]


@dataclass(frozen=True)
class Shown:
    """One view: which of the inputs that were made of an image, as it is or mirrored."""

    index: int
    mirror: bool


@dataclass(frozen=True)
class Inputs:
    """What is made of an image once, so that several views, or models, are shown it.

    Attributes:
        transform: From an RGB image to the network's input (3, H, W); of several inputs, which may
            differ in size, all their numbers in one row. It can be pickled.
        sizes: Height and width of each input in pixels.
        views: For each model, the views whose answers are averaged.
    """

    transform: Transform
    sizes: tuple[int, ...]
    views: tuple[tuple[Shown, ...], ...]

    def split(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Each input of a batch.

        Args:
            images: What :attr:`transform` gave for N images, stacked.

        Returns:
            A tensor (N, 3, H, W) for each of :attr:`sizes`.
        """
        if len(self.sizes) == 1:
            return [images]
        parts = images.split([3 * size * size for size in self.sizes], dim=1)
        return [part.reshape(-1, 3, size, size) for part, size in zip(parts, self.sizes)]


def inputs_of(models: Sequence[tuple[Preprocessing, Sequence[ViewConfig]]]) -> Inputs:
    """Plan what is made of each image, the same input once.

    Args:
        models: For each model its preprocessing, and what it is shown.

    Example:
        >>> form = Preprocessing(size=8, mean=(0.5,) * 3, std=(0.5,) * 3)
        >>> views = [ViewConfig(), ViewConfig(mirror=True), ViewConfig(size=12)]
        >>> inputs = inputs_of([(form, views)])
        >>> inputs.sizes, [view.index for view in inputs.views[0]]
        ((8, 12), [0, 0, 1])
        >>> image = Image.new("RGB", (20, 10))
        >>> [tuple(one.shape) for one in inputs.split(inputs.transform(image)[None])]
        [(1, 3, 8, 8), (1, 3, 12, 12)]
    """
    planned: dict[tuple[Preprocessing, ViewConfig], int] = {}
    views = tuple(
        tuple(Shown(planned.setdefault(_input(form, one), len(planned)), one.mirror) for one in its)
        for form, its in models
    )
    transforms = [view_transform(form, view) for form, view in planned]
    return Inputs(
        transform=transforms[0] if len(transforms) == 1 else _InARow(transforms),
        sizes=tuple(form.size for form, _ in planned),
        views=views,
    )


def _input(form: Preprocessing, view: ViewConfig) -> tuple[Preprocessing, ViewConfig]:
    """Preprocessing at the size of a view, and which part it shows."""
    sized = form if view.size is None else replace(form, size=view.size)
    return sized, ViewConfig(zoom=view.zoom, place="middle" if view.zoom == 1 else view.place)


def view_transform(form: Preprocessing, view: ViewConfig) -> ImageTransform:
    """The transform of one view, but for its mirror image.

    A part of the image goes through the preprocessing as the whole does: where that squashes the
    image, its width and height are each divided by the zoom; where it crops the middle square, the
    part is a square, whose side is that of the middle one divided by the zoom.

    Args:
        form: How a whole image becomes the network's input.
        view: What to show.
    """
    form, part = _input(form, view)
    whole = eval_transform(form)
    if part.zoom == 1:
        return whole
    crop = _Part(part.zoom, part.place, square=form.resize == "crop")
    return ImageTransform([crop, *whole.fixed, *whole.steps], whole.normalise, whole.after)


class _Part(v2.Transform):
    """Cut a part out of an image."""

    fixed = True  # Does the same every time.

    def __init__(self, zoom: float, place: Place, square: bool) -> None:
        super().__init__()
        self.zoom = zoom
        self.place = place
        self.square = square

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        height, width = F.get_size(inpt)
        sides = (min(height, width),) * 2 if self.square else (height, width)
        h, w = (max(1, round(side / self.zoom)) for side in sides)
        top, left = (height - h) // 2, (width - w) // 2
        if self.place != "middle":
            top = 0 if self.place.startswith("top") else height - h
            left = 0 if self.place.endswith("left") else width - w
        return self._call_kernel(F.crop, inpt, top, left, h, w)


class _InARow:
    """Several inputs of an image as one row of numbers."""

    def __init__(self, transforms: Sequence[ImageTransform]) -> None:
        self.transforms = list(transforms)

    def __call__(self, image: Image.Image | torch.Tensor) -> torch.Tensor:
        pixels = F.pil_to_tensor(image) if isinstance(image, Image.Image) else image
        return torch.cat([transform(pixels).flatten() for transform in self.transforms])
