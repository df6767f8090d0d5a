"""Where a model saw each class, on one photograph of any size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from mlt.data.transforms import Preprocessing, eval_transform
from mlt.heatmaps.overlay import overlay
from mlt.heatmaps.placement import Box, spread, visible_box
from mlt.heatmaps.where_seen import Method, method_of, where_seen

__all__ = ["PhotographMaps", "seen_on"]


@dataclass(frozen=True, eq=False)
class PhotographMaps:
    """Where each of K classes was seen on a photograph.

    Attributes:
        maps: (K, h, w), see :func:`mlt.heatmaps.where_seen`.
        box: The part of the photograph that the maps are of.
        method: What they are.
    """

    maps: NDArray[np.float32]
    box: Box
    method: Method

    def overlay(self, k: int, photograph: Image.Image) -> Image.Image:
        """A map over the photograph.

        Args:
            k: Of the map.
            photograph: The whole of it, in any size.
        """
        return overlay(photograph, spread(self.maps[k], self.box, *photograph.size))


def seen_on(
    model: nn.Module,
    photograph: Image.Image,
    form: Preprocessing,
    classes: Sequence[int],
    method: Method | None = None,
) -> PhotographMaps:
    """Where a model saw each class on a photograph.

    Args:
        model: As for :func:`mlt.heatmaps.where_seen`.
        photograph: RGB, of any size.
        form: How it becomes the model's input.
        classes: K columns of the logits.
        method: The attention of the head, or Grad-CAM.

    Example:
        >>> import timm
        >>> model = timm.create_model("test_resnet", num_classes=5)
        >>> form = Preprocessing(size=96, mean=(0.5,) * 3, std=(0.5,) * 3)
        >>> photograph = Image.new("RGB", (200, 100))
        >>> seen = seen_on(model, photograph, form, [0, 3])
        >>> seen.maps.shape, seen.overlay(1, photograph).size
        ((2, 3, 3), (200, 100))
    """
    device = next(model.parameters(), torch.empty(0)).device
    images = eval_transform(form)(photograph)[None].to(device)
    method = method or method_of(model)
    maps = where_seen(model, images, classes, method)[0].cpu().numpy()
    return PhotographMaps(maps, visible_box(form, *photograph.size), method)
