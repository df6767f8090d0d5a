"""The three functions a user calls: attach, detach, and the bias a fresh sigmoid head needs."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from torch import nn
from torchvision.models.detection import FCOS, RetinaNet
from torchvision.models.detection.fcos import FCOSHead
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.retinanet import RetinaNetClassificationHead
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.ssd import SSD

from mlt.detection.loss_checks import (
    DetectionLoss,
    check_loss,
    check_softmax_loss,
    is_softmax_loss,
    num_columns,
    unwrap_hint,
)
from mlt.detection.prior import prior_logit
from mlt.detection.torchvision.attachment import Attachment, detached, insert
from mlt.detection.torchvision.dense import FCOSHeadWithLoss, RetinaNetHeadWithLoss
from mlt.detection.torchvision.regions import SigmoidRegions, SoftmaxRegions
from mlt.detection.torchvision.ssd import SigmoidSSD, SoftmaxSSD
from mlt.errors import ConfigError

__all__ = ["attach", "attached_loss", "detach", "set_prior"]

Model = TypeVar("Model", bound=nn.Module)


def attach(model: Model, loss: DetectionLoss) -> Model:
    """Let a torchvision detector learn its classes by ``loss``; nothing else changes.

    RetinaNet and FCOS are sigmoid heads and stay what they are. Faster, Mask and Keypoint R-CNN,
    SSD and SSDlite are softmax heads: a loss of ours **turns them into sigmoid heads**, in training
    and at inference. Column 0, their background, is then out of use: a region or anchor without a
    box is a negative of every class. SSD's mining ranks by the sum of an anchor's losses. A softmax
    head that was trained before has learned differences between columns, not probabilities: its
    weights still load, but its scores mean little until it has been fine-tuned. With a new head
    call :func:`set_prior` first.

    ``torch.nn.CrossEntropyLoss(reduction="none")`` and mlt's softmax losses keep such a
    head a softmax head; their classes are all C columns, the background first.

    The state dict keeps its keys, so weights load before and after. The loss goes along with the
    model to other devices, but is not in its state dict: save ``loss.state_dict()`` of a loss with
    a memory (EQLv2) yourself. Copies of the model have copies of the loss. Attach before wrapping
    the model (DistributedDataParallel, torch.compile). Scripted by TorchScript, an attached model
    predicts, but refuses to train.

    Args:
        model: Changed in place. A loss that is attached already is replaced.
        loss: Built with ``reduction="none"``. Its class counts are one per column, indexed by
            label, as `mlt.detection.class_counts_from_coco` gives them; for softmax heads made
            sigmoid also without column 0. Any other callable that returns one number per logit
            will do.

    Returns:
        The model.

    Raises:
        ConfigError: If the model is not a detector of torchvision, or the loss cannot serve in it.

    Example:
        >>> from torchvision.models.detection import retinanet_resnet50_fpn
        >>> from mlt.losses import create_loss
        >>> model = retinanet_resnet50_fpn(weights=None, weights_backbone=None, num_classes=3)
        >>> loss = create_loss("focal", gamma=2, alpha=0.25, reduction="none")  # its own
        >>> attach(model, loss) is model
        True
    """
    head = _head(model)
    num_classes = _num_columns(head)
    device = next(head.parameters()).device
    if isinstance(loss, nn.Module):
        loss.to(device)
    softmax_head = isinstance(head, (RoIHeads, SSD))
    if softmax_head and is_softmax_loss(loss):
        if num_classes is not None:
            check_softmax_loss(loss, num_classes, device)
        extension = SoftmaxRegions if isinstance(head, RoIHeads) else SoftmaxSSD
    else:
        # The loss of a softmax head made sigmoid may leave out the background.
        if num_classes is not None:
            without = softmax_head and num_columns(loss) in (None, num_classes - 1)
            check_loss(loss, num_classes - without, device)
            if softmax_head and not without:
                _check_background(loss, num_classes)
        if isinstance(head, RetinaNetClassificationHead):
            extension = RetinaNetHeadWithLoss
        elif isinstance(head, FCOSHead):
            extension = FCOSHeadWithLoss
        else:
            extension = SigmoidRegions if isinstance(head, RoIHeads) else SigmoidSSD
    detached(head)
    insert(head, extension, loss)
    return model


def detach(model: Model) -> Model:
    """Restore a detector's own loss and its own scores; weights stay as they are.

    Args:
        model: Changed in place.

    Returns:
        The model.

    Raises:
        ConfigError: If nothing is attached to it, or it is not a detector of torchvision.
    """
    if not detached(_head(model)):
        raise ConfigError(f"No loss of mlt is attached to this {type(model).__name__}.")
    return model


def attached_loss(model: nn.Module) -> DetectionLoss | None:
    """Return the loss that is attached to a detector, or None; for `set_epoch`, or to save it.

    Args:
        model: A detector of torchvision.
    """
    head = _head(model)
    return head.classification_loss if isinstance(head, Attachment) else None


@torch.no_grad()
def set_prior(model: Model, probability: float = 0.01) -> Model:
    """Set the biases of a detector's classifier so that every class starts with one probability.

    A new softmax head starts with biases of 0, as a sigmoid a probability of one half for every
    class in every place: the first steps would be spent on unlearning that. RetinaNet and FCOS
    start at 0.01 by themselves.

    Args:
        model: A detector of torchvision with a loss attached or yet to be; changed in place.
        probability: Of each class, in (0, 1).

    Returns:
        The model.

    Raises:
        ConfigError: If the model is not a detector of torchvision, has a classifier of its own
            making, or the probability is out of range.
    """
    bias = prior_logit(probability)
    head = _head(model)
    if _num_columns(head) is None:
        raise ConfigError(
            f"This {type(head).__name__} has a classifier that torchvision does not have; set its "
            f"biases to {bias:.3f} yourself."
        )
    if isinstance(head, RoIHeads):
        layers = [head.box_predictor.cls_score]
    elif isinstance(head, SSD):
        layers = [_last_layer(level) for level in head.head.classification_head.module_list]
    else:
        head = head.classification_head if isinstance(head, FCOSHead) else head
        layers = [head.cls_logits]
    for layer in layers:
        layer.bias.fill_(bias)
    return model


def _head(model: Any) -> Any:
    """Return the module whose class decides about the loss."""
    if isinstance(model, RetinaNet):
        head = getattr(model.head, "classification_head", None)
        expected = RetinaNetClassificationHead
    elif isinstance(model, FCOS):
        head, expected = model.head, FCOSHead
    elif isinstance(model, GeneralizedRCNN):
        head, expected = model.roi_heads, RoIHeads
    else:
        head, expected = model, SSD
    if isinstance(head, expected):
        return head
    raise ConfigError(
        f"{type(model).__name__} has no head of torchvision whose loss could be replaced. Expected "
        "its RetinaNet, FCOS, FasterRCNN, MaskRCNN, KeypointRCNN, SSD or SSDlite."
        f"{unwrap_hint(model)}"
    )


def _check_background(loss: DetectionLoss, num_classes: int) -> None:
    """Refuse counts in which label 0 is a class; it would be out of use without a word."""
    counts: Any = getattr(loss, "class_counts", None)
    if getattr(counts, "unit", None) != "boxes":
        return
    if counts.is_class is None or counts.is_class[0]:
        raise ConfigError(
            "Label 0 is the background in this head, but a class in the counts of the loss, and "
            "would never be learned. torchvision's labels start at 1. If yours do too, give "
            f"ClassCounts.at_columns(counts, columns=range(1, {num_classes}), "
            f"num_columns={num_classes})."
        )


def _num_columns(head: Any) -> int | None:
    """Columns of the classifier; None for one of somebody's own making."""
    if isinstance(head, RoIHeads):
        return getattr(getattr(head.box_predictor, "cls_score", None), "out_features", None)
    if isinstance(head, SSD):
        return getattr(head.head.classification_head, "num_columns", None)
    return (head.classification_head if isinstance(head, FCOSHead) else head).num_classes


def _last_layer(module: nn.Module) -> nn.Module:
    return [layer for layer in module.modules() if isinstance(layer, nn.Conv2d)][-1]
