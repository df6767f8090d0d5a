"""Mixup and CutMix for images with several labels, some of which may not be known.

Which two images are mixed, and how, depends on the draw alone: its partner is named by the loader,
the rest follows from its seed. So a batch is the same whatever process or worker loads it.

References:
    Zhang et al., mixup: Beyond Empirical Risk Minimization, ICLR 2018, arXiv 1710.09412.
    Yun et al., CutMix, ICCV 2019, arXiv 1905.04899.
    Chong et al., LogicMix (union of partly known labels), arXiv 2405.15860.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mlt.data.dataset import Draw, Sample, SampleDataset
from mlt.data.transform_settings import Mix
from mlt.errors import DataError

__all__ = ["Box", "cut_box", "cutmix", "load_mixed", "mixed_labels", "mixup"]

# Set apart from the augmentation of the image, which is seeded by the draw too.
_MIXING_STREAM = 0x313C

Labels = tuple[Tensor, Tensor | None]
"""Targets (C,), 0 where unknown, and which are known; None if all are."""


class Box(NamedTuple):
    """Rows ``top`` to ``bottom`` and columns ``left`` to ``right``, the ends left out."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def area(self) -> int:
        """In pixels."""
        return (self.bottom - self.top) * (self.right - self.left)


def load_mixed(dataset: SampleDataset, draw: Draw, mix: Mix | None) -> Sample:
    """Load an image and, if it is to be mixed, its partner, and mix them.

    A partner that cannot be read is an error where the data set says so; where it skips such
    images, the first one stays as it is.

    Args:
        dataset: Images and labels.
        draw: Row, seed and partner.
        mix: How to mix; None: not at all.

    Raises:
        DataError: If the two images are not of the same shape, or CutMix has no height and width.
    """
    first = dataset[draw]
    if mix is None or draw.partner is None or first.image is None:
        return first
    generator = np.random.default_rng([draw.seed, _MIXING_STREAM])
    if generator.random() >= mix.probability:
        return first
    second = dataset[Draw(draw.partner, int(generator.integers(1 << 63)))]
    if second.image is None:
        return first if dataset.on_error == "skip" else second
    _check_shapes(first, second)
    image, weight = _mixed_image(first.image, second.image, mix, generator)
    labels = (first.target, first.known), (second.target, second.known)
    target, known = mixed_labels(*labels, weight, union=mix.labels == "union")
    return first._replace(image=image, target=target, known=known)


def mixup(first: Tensor, second: Tensor, weight: float) -> Tensor:
    """Return the weighted mean of two images.

    Args:
        first: Any shape; whole numbers are rounded back to their type.
        second: Same shape and type.
        weight: Of the first, in [0, 1].

    Example:
        >>> mixup(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 0.0]), 0.75)
        tensor([0.7500, 0.0000])
    """
    if first.is_floating_point():
        return torch.lerp(second, first, weight)
    return torch.lerp(second.float(), first.float(), weight).round().to(first.dtype)


def cutmix(first: Tensor, second: Tensor, box: Box) -> Tensor:
    """Return the first image with a box of the second.

    Args:
        first: Shape (..., H, W).
        second: Same shape and type.
        box: What is taken from the second.

    Example:
        >>> cutmix(torch.zeros(2, 3), torch.ones(2, 3), Box(0, 1, 1, 3))
        tensor([[0., 1., 1.],
                [0., 0., 0.]])
    """
    mixed = first.clone()
    place = ..., slice(box.top, box.bottom), slice(box.left, box.right)
    mixed[place] = second[place]
    return mixed


def cut_box(height: int, width: int, center: tuple[int, int], weight: float) -> Box:
    """Return the box that CutMix takes from the second image.

    It has the image's proportions and, but for what stands over the border and is cut off, the
    share 1 - weight of its area.

    Args:
        height: Of the image, in pixels.
        width: Likewise.
        center: Row and column of the middle of the box.
        weight: Share of the first image, in [0, 1].

    Example:
        >>> cut_box(100, 200, (50, 0), 0.75)
        Box(top=25, bottom=75, left=0, right=50)
    """
    half = 0.5 * math.sqrt(1 - weight)
    tall, wide = int(half * height), int(half * width)
    row, column = center
    return Box(
        max(0, row - tall),
        min(height, row + tall),
        max(0, column - wide),
        min(width, column + wide),
    )


def mixed_labels(first: Labels, second: Labels, weight: float, *, union: bool) -> Labels:
    """Return the labels of a mixed image.

    A label is known if it is known of both images. The union knows one more: what is certainly
    there in one image is there in both. An image of weight 0 is not to be seen and says nothing.

    Args:
        first: Targets and mask of the first image.
        second: Of the second; it has a mask if the first one has.
        weight: Of the first, in [0, 1].
        union: All labels of both, rather than their weighted mean.

    Example:
        >>> cat = torch.tensor([1.0, 0.0, 0.0]), torch.tensor([True, True, False])
        >>> dog = torch.tensor([0.0, 1.0, 0.0]), torch.tensor([False, True, True])
        >>> mixed_labels(cat, dog, 0.75, union=False)
        (tensor([0.0000, 0.2500, 0.0000]), tensor([False,  True, False]))
        >>> mixed_labels(cat, dog, 0.75, union=True)
        (tensor([1., 1., 0.]), tensor([ True,  True, False]))
    """
    if weight in (0, 1):
        return first if weight == 1 else second
    (y1, known1), (y2, known2) = first, second
    target = torch.maximum(y1, y2) if union else mixup(y1, y2, weight)
    if known1 is None or known2 is None:
        return target, None
    known = known1 & known2
    if union:
        known |= (known1 & (y1 == 1)) | (known2 & (y2 == 1))
    return target.masked_fill(~known, 0), known


def _mixed_image(
    first: Tensor, second: Tensor, mix: Mix, generator: np.random.Generator
) -> tuple[Tensor, float]:
    """The mixed image and the weight of the first in it."""
    cuts = mix.mixup is None or (mix.cutmix is not None and generator.random() < 0.5)
    alpha = mix.cutmix if cuts else mix.mixup
    assert alpha is not None
    weight = float(generator.beta(alpha, alpha))
    if not cuts:
        return mixup(first, second, weight), weight
    if first.ndim < 2:
        raise DataError(
            f"transforms.mix.cutmix: an item of shape {tuple(first.shape)} has no height and width "
            "to cut; use mixup"
        )
    height, width = first.shape[-2:]
    center = int(generator.integers(height)), int(generator.integers(width))
    box = cut_box(height, width, center, weight)
    return cutmix(first, second, box), 1 - box.area / (height * width)


def _check_shapes(first: Sample, second: Sample) -> None:
    assert first.image is not None and second.image is not None
    shapes = tuple(first.image.shape), tuple(second.image.shape)
    if shapes[0] != shapes[1]:
        raise DataError(
            f"transforms.mix: the images of row {first.row} and row {second.row} have different "
            f"shapes, {shapes[0]} and {shapes[1]}; resize them to one size in the data set's "
            "transform"
        )
