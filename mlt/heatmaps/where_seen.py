"""Where a model saw each class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from mlt.errors import ConfigError, DataError
from mlt.heatmaps.grad_cam import check_classes, grad_cam, in_evaluation
from mlt.models.classifier import Classifier
from mlt.models.heads import SpatialHead

__all__ = ["Method", "method_of", "where_seen"]

Method = Literal["attention", "grad_cam"]


def where_seen(
    model: nn.Module, images: Tensor, classes: Sequence[int], method: Method | None = None
) -> Tensor:
    """Where a model saw each class.

    Args:
        model: A :class:`~mlt.models.Classifier`, or a timm model with its own classifier; it is
            left as it was.
        images: (N, 3, H, W), normalised, on the device of the model.
        classes: K columns of the logits.
        method: The attention of the head, or :func:`~mlt.heatmaps.grad_cam`; None: see
            :func:`method_of`.

    Returns:
        (N, K, h, w) in float32: shares of the whole, which sum to 1 over h and w. A map of Grad-CAM
        is 0 everywhere where nothing speaks for the class.

    Raises:
        ConfigError: If there is no such class, or the model has no feature map or no attention.
        DataError: If a map is not finite: the weights have diverged, or a value has overflowed.

    Example:
        >>> import timm
        >>> model = timm.create_model("test_resnet", num_classes=5)
        >>> where_seen(model, torch.zeros(2, 3, 160, 160), [0, 3]).shape
        torch.Size([2, 2, 5, 5])
    """
    if (method or method_of(model)) == "attention":
        maps = _attention(model, images, classes)
    else:
        maps = grad_cam(model, images, classes)
    sums = maps.sum((2, 3), keepdim=True)
    if not sums.isfinite().all():
        raise DataError(
            "a map of where a class was seen is not finite: the weights of the model have "
            "diverged, or a value has overflowed"
        )
    return maps / sums.clamp_min(torch.finfo(sums.dtype).tiny)


def method_of(model: nn.Module) -> Method:
    """The attention of a head that has one, else Grad-CAM."""
    return "attention" if _spatial_head(model) else "grad_cam"


def _spatial_head(model: nn.Module) -> SpatialHead | None:
    head = model.head if isinstance(model, Classifier) else None
    return head if isinstance(head, SpatialHead) else None


def _attention(model: nn.Module, images: Tensor, classes: Sequence[int]) -> Tensor:
    head = _spatial_head(model)
    if head is None:
        raise ConfigError(
            "this head sees pooled features and has no attention of its own; take the method "
            "grad_cam, or a head on the feature map (model.head: csra)"
        )
    assert isinstance(model, Classifier)
    with in_evaluation(model), torch.no_grad():
        maps = head.attention(model.forward_features(images))
        check_classes(classes, maps.shape[1])
        return maps[:, list(classes)].float()
