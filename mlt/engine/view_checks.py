"""Whether a model can be shown the views that are asked for: tried at the start."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from mlt.data.view_settings import ViewConfig
from mlt.engine.own_checks import check_model
from mlt.errors import ConfigError

__all__ = ["check_views"]


def check_views(
    model: nn.Module,
    views: Sequence[ViewConfig],
    num_classes: int,
    device: torch.device,
    *,
    of_tensors: bool = False,
) -> None:
    """Refuse views that cannot be made of the data, or that the model cannot take.

    Args:
        model: On the device; it is switched to evaluation mode.
        views: What it is to be shown.
        num_classes: C.
        device: Where to compute.
        of_tensors: Whether the data are a data set's own tensors.

    Raises:
        ConfigError: If tensors are to be cut or resized, or the model cannot take images of a size,
            as most with position embeddings cannot.
    """
    if of_tensors and any(view.size is not None or view.zoom != 1 for view in views):
        raise ConfigError(
            "evaluation.views: your data set gives tensors, which are used as they come and cannot "
            "be cut or resized; only `whole` and `mirror` can be shown of them. Let the data set "
            "give images of Pillow to have the others"
        )
    for size in sorted({view.size for view in views if view.size is not None}):
        failed = f"evaluation.views: the model cannot take images of {size} x {size} pixels"
        check_model(model, torch.zeros(3, size, size), num_classes, device, failed)
