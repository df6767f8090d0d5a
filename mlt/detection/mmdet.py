"""Our losses in mmdet 3: a loss module with the whole contract of its heads.

Put into a configuration (``mlt.detection.mmdet_registered`` registers the name when imported)::

    custom_imports = dict(imports=["mlt.detection.mmdet_registered"])
    loss_cls = dict(type="MltLoss", name="cb_focal", class_counts=[900, 40, 3], scheme="column",
                    use_sigmoid=True, loss_weight=1.0)

In a configuration written in Python, the class itself is its own name: ``type=MltLoss``. mmdet
needs an mmcv that has to be compiled, and is not a dependency here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from mlt.detection.call_loss import call_loss
from mlt.detection.loss_checks import check_loss, num_columns
from mlt.detection.targets import one_hot
from mlt.errors import ConfigError
from mlt.losses import create_loss

__all__ = ["MltLoss", "register"]

MMDetReduction = Literal["none", "mean", "sum"]


def register() -> None:
    """Let mmdet build :class:`MltLoss` as ``dict(type="MltLoss", ...)``.

    Raises:
        ImportError: If mmdet is not installed.
    """
    from mmdet.registry import MODELS

    MODELS.register_module(name="MltLoss", module=MltLoss, force=True)


class MltLoss(nn.Module):
    """A loss as mmdet's heads call theirs, with one sigmoid per class.

    Labels are integers, C being the background; rows of the logits' shape, which may be soft; or
    labels and qualities, as heads built for quality focal loss give them. A negative label is left
    out. Two-stage heads ask the loss for their channels and scores: C columns, and a sigmoid of
    each with a background of 0 beside it, which those heads cut off and dense heads never keep.

    The loss is part of the model: its class vectors, and what EQLv2 remembers, are in checkpoints.

    Args:
        name: Of :func:`mlt.losses.create_loss`; or an element-wise loss itself, such as one of
            your own, in which case the options are none.
        class_counts: Boxes of each class, in the order of the data set's classes, without the
            background.
        num_images: Boxes in all, where the loss has it.
        use_sigmoid: Must be True. The heads read it, some from the configuration: write it there.
        reduction: What is done where a head gives no `avg_factor`: `none`, `mean` over elements, or
            `sum`.
        loss_weight: Factor on the result.
        **options: Of the loss.

    Raises:
        ConfigError: If the loss is not one of single elements, or an option is not allowed.

    Example:
        >>> loss = MltLoss("bce", loss_weight=2.0)
        >>> loss(torch.zeros(2, 3), torch.tensor([0, 3]), avg_factor=1.0)  # 12 log 2
        tensor(8.3178)
    """

    custom_cls_channels = True
    custom_activation = True
    custom_accuracy = True

    def __init__(
        self,
        name: str | nn.Module,
        class_counts: Sequence[float] | None = None,
        num_images: int | None = None,
        use_sigmoid: bool = True,
        reduction: MMDetReduction = "mean",
        loss_weight: float = 1.0,
        **options: Any,
    ) -> None:
        super().__init__()
        if use_sigmoid is not True:
            raise ConfigError(
                "MltLoss has one sigmoid per class and needs use_sigmoid=True in the "
                "configuration; with a softmax its scores would mean nothing. mmdet has a "
                "SeesawLoss for softmax."
            )
        self.use_sigmoid = use_sigmoid
        self.reduction = _check_reduction(reduction)
        self.loss_weight = loss_weight
        if isinstance(name, nn.Module):
            if class_counts is not None or num_images is not None or options:
                raise ConfigError("A loss that is built already takes no counts and no options.")
            self.loss = name
        else:
            self.loss = create_loss(name, class_counts, num_images, reduction="none", **options)
        check_loss(self.loss, num_columns(self.loss) or 2)

    def forward(
        self,
        pred: Tensor,
        target: Tensor | tuple[Tensor, Tensor],
        weight: Tensor | None = None,
        avg_factor: Tensor | float | None = None,
        reduction_override: MMDetReduction | None = None,
        ignore_index: int | None = None,
    ) -> Tensor:
        """Return the loss, called as mmdet does.

        Args:
            pred: Logits, shape (N, C).
            target: Integers (N,) in 0 to C; or rows (N, C) in [0, 1]; or a pair of integers (N,)
                and qualities (N,) in [0, 1].
            weight: Shape (N,), (N, C) or (N C,); 0 where an anchor is left out.
            avg_factor: What the sum is divided by, with the reduction `mean`.
            reduction_override: A reduction to take instead of the loss's own.
            ignore_index: A label that is left out, as negative ones are.

        Raises:
            ConfigError: If a shape or reduction is none of these.
        """
        reduction = _check_reduction(reduction_override or self.reduction)
        targets, kept = _targets(target, pred, ignore_index)
        elements = call_loss(self.loss, pred, targets)
        if kept is not None:
            elements = torch.where(kept[:, None], elements, 0)
        if weight is not None:
            elements = elements * _weight_columns(weight, elements)
        return self.loss_weight * _reduce(elements, reduction, avg_factor)

    def get_cls_channels(self, num_classes: int) -> int:
        """Return the columns of a two-stage head: one per class, none for the background.

        Raises:
            ConfigError: If the loss was built for another number of classes.
        """
        check_loss(self.loss, num_classes)
        return num_classes

    def get_activation(self, cls_score: Tensor) -> Tensor:
        """Return scores, shape (N, C + 1), from logits (N, C); the last, the background's, is 0."""
        scores = cls_score.sigmoid()
        return torch.cat([scores, scores.new_zeros(len(scores), 1)], dim=1)

    def get_accuracy(self, cls_score: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Return the percentage of foreground boxes whose highest score is of the right class."""
        foreground = (labels >= 0) & (labels < cls_score.shape[1])
        right = cls_score[foreground].argmax(1) == labels[foreground]
        return {"acc_classes": 100.0 * right.sum() / max(len(right), 1)}


def _check_reduction(reduction: str) -> MMDetReduction:
    if reduction not in ("none", "mean", "sum"):
        raise ConfigError(f"reduction must be none, mean or sum, not {reduction!r}.")
    return reduction  # type: ignore[return-value]


def _targets(
    target: Tensor | tuple[Tensor, Tensor], pred: Tensor, ignore_index: int | None
) -> tuple[Tensor, Tensor | None]:
    """Return targets of the logits' shape, and which rows count; None for all."""
    quality = None
    if isinstance(target, tuple):
        target, quality = target
    if target.dim() == pred.dim():
        return target, None
    dropped = target < 0
    if ignore_index is not None:
        dropped = dropped | (target == ignore_index)
    num_classes = pred.shape[1]
    labels = torch.where(dropped, num_classes, target)
    targets = one_hot(labels, num_classes, "last", dtype=torch.float32)
    if quality is not None:
        targets = targets * quality[:, None]
    return targets, ~dropped


def _weight_columns(weight: Tensor, elements: Tensor) -> Tensor:
    """Return the weight as (N, C) or (N, 1)."""
    if weight.shape == elements.shape:
        return weight
    if weight.dim() == 1 and len(weight) == len(elements):
        return weight[:, None]
    if weight.numel() == elements.numel():
        return weight.view_as(elements)
    raise ConfigError(
        f"weight has shape {tuple(weight.shape)}; for logits of shape {tuple(elements.shape)} give "
        "one per row, one per element, or the elements in one row."
    )


def _reduce(
    elements: Tensor, reduction: MMDetReduction, avg_factor: Tensor | float | None
) -> Tensor:
    if reduction == "none":
        return elements
    if reduction == "sum":
        if avg_factor is not None:
            raise ConfigError('avg_factor divides a mean; it cannot be used with reduction="sum".')
        return elements.sum()
    if avg_factor is None:
        return elements.sum() / max(elements.numel(), 1)
    return elements.sum() / (avg_factor + torch.finfo(torch.float32).eps)
