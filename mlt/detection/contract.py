"""What every adapter asks of a loss, and the targets it gives to it.

A detector's labels are integers, its background is one of them (or none), and it divides the loss
by something of its own, mostly the number of matched anchors. So a loss must give one number for
each logit, from that logit alone, for targets in [0, 1] of the same shape.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from mlt.errors import ConfigError, DataError
from mlt.losses.base import Loss
from mlt.losses.class_weights import ClassCounts
from mlt.losses.coupled import TwoWayLoss, ZLPRLoss
from mlt.losses.elementwise import PerLabelLoss
from mlt.losses.reweighting import InstanceWeighting, MeanCountWeighting, RarestWeighting
from mlt.losses.softmax_classes import (
    ClassBalancedSoftmaxLoss,
    LDAMSoftmaxLoss,
    LogitAdjustedSoftmaxLoss,
    SeesawLoss,
)
from mlt.losses.stateful import EqualizationLossV2

__all__ = [
    "Background",
    "DetectionLoss",
    "check_callable",
    "check_loss",
    "check_softmax_loss",
    "class_vector_length",
    "counts_of",
    "is_softmax_loss",
    "one_hot",
    "unwrap_hint",
]

DetectionLoss: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""``loss(logits, targets)``: both (..., C), the result too."""

Background = Literal["first", "last", "none"]

SOFTMAX_LOSSES = (
    nn.CrossEntropyLoss,
    ClassBalancedSoftmaxLoss,
    LDAMSoftmaxLoss,
    LogitAdjustedSoftmaxLoss,  # and balanced softmax, which is one
    SeesawLoss,
)

REMEDY = (
    'Use an element-wise loss, for example create_loss("cb_focal", counts, scheme="positive", '
    'reduction="none"); docs/detection.md lists which losses are.'
)


def one_hot(
    labels: Tensor,
    num_classes: int,
    background: Background = "none",
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Give targets for a head of ``num_classes`` columns; the background is a row of zeros.

    Args:
        labels: Integers of any shape (...). Ignored boxes are the caller's: leave them out before,
            or their losses afterwards.
        num_classes: Columns C of the result, the background not among them.
        background: `first`: label 0 is the background and label c is column c - 1. `last`: label C
            is the background and label c is column c. `none`: there is none.
        dtype: Of the result; bools are enough for losses of this package, and faster.

    Returns:
        Zeros and ones, shape (..., C).

    Raises:
        DataError: If a label is not an integer, or out of range.

    Example:
        >>> one_hot(torch.tensor([0, 2]), num_classes=2, background="first")
        tensor([[0., 0.],
                [0., 1.]])
        >>> one_hot(torch.tensor([0, 2]), num_classes=2, background="last")
        tensor([[1., 0.],
                [0., 0.]])
    """
    if labels.is_floating_point() or labels.dtype == torch.bool:
        raise DataError(f"Labels must be integers, not {labels.dtype}; see torch.long.")
    highest = num_classes - 1 if background == "none" else num_classes
    if labels.numel():
        low, high = (int(limit) for limit in labels.aminmax())
        if low < 0 or high > highest:
            raise DataError(
                f"Labels go from {low} to {high}, but with {num_classes} classes and background "
                f"{background!r} they must be in 0 to {highest}. Leave ignored boxes out before."
            )
    targets = torch.zeros(labels.numel(), num_classes, dtype=dtype, device=labels.device)
    columns = labels.reshape(-1).long() - int(background == "first")
    rows = torch.arange(labels.numel(), device=labels.device)
    if background != "none":
        foreground = (columns >= 0) & (columns < num_classes)
        rows, columns = rows[foreground], columns[foreground]
    targets[rows, columns] = 1
    return targets.view(*labels.shape, num_classes)


def check_callable(loss: object) -> None:
    """Refuse what is no loss at all, such as the name of one.

    Raises:
        ConfigError: Saying how to make one.
    """
    if not callable(loss):
        raise ConfigError(
            f"{loss!r} is no loss. Make one by its name, for example "
            'create_loss("focal", reduction="none") of mlt.losses.'
        )


def check_loss(loss: DetectionLoss, num_classes: int, device: torch.device | None = None) -> None:
    """Refuse what cannot be the loss of a sigmoid head, saying why and what to do instead.

    Losses of this package are known; any other callable is tried on two rows. A weighting that was
    made for images, and would drown the boxes in background, is warned about.

    Args:
        loss: Called as ``loss(logits, targets)``, both (..., C), the targets float.
        num_classes: Columns C that the loss will be given.
        device: Where to try a callable that is not of this package; the CPU if not given.

    Raises:
        ConfigError: If the loss gives a single number or one a row, lets logits interfere with each
            other, keeps a column for the background, was built for another number of classes, or
            from counts of images.

    Example:
        >>> from mlt.losses import create_loss
        >>> check_loss(create_loss("focal", reduction="none"), num_classes=80)
        >>> check_loss(create_loss("focal"), num_classes=80)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        mlt.errors.ConfigError: ElementwiseLoss has the reduction 'mean' and gives ...
    """
    check_callable(loss)
    name = _name(loss)
    if isinstance(loss, (TwoWayLoss, ZLPRLoss)):
        raise ConfigError(
            f"{name} compares the labels of a row (or column) with each other and has no loss of a "
            f"single anchor and class, which a detector needs to leave anchors out and to divide "
            f"by its number of matched ones. {REMEDY}"
        )
    if is_softmax_loss(loss):
        raise ConfigError(
            f"{name} is a softmax loss: it takes exactly one class a box. This head has one "
            f"sigmoid a class, whose scores it would not train. {REMEDY}"
        )
    if isinstance(loss, EqualizationLossV2) and loss.background:
        raise ConfigError(
            f"{name} takes its last column for the background, but in this head that is a class, "
            "and a background box is a row of zeros. Build it with background=False."
        )
    _check_reduction(loss, name)
    _check_unit(loss, name)
    if isinstance(loss, (PerLabelLoss, EqualizationLossV2)):
        _check_length(loss, name, num_classes)
        _warn_of_row_weights(loss, name)
    else:
        _try(loss, name, num_classes, device)


def check_softmax_loss(loss: nn.Module, num_classes: int) -> None:
    """Refuse what cannot be the loss of a softmax head; ``nn.CrossEntropyLoss`` can.

    Args:
        loss: Called as ``loss(logits, labels)``, (R, C) and (R,), giving one number a row.
        num_classes: Columns C of the head, the background among them.

    Raises:
        ConfigError: If the reduction is not `none`, or the class vectors have another length.

    Example:
        >>> check_softmax_loss(nn.CrossEntropyLoss(reduction="none"), num_classes=91)
    """
    name = _name(loss)
    _check_reduction(loss, name)
    _check_unit(loss, name)
    _check_length(loss, name, num_classes)


def is_softmax_loss(loss: DetectionLoss) -> bool:
    """Whether a loss takes one class a row: ``nn.CrossEntropyLoss``, `mlt.losses.softmax_classes`."""
    return isinstance(loss, SOFTMAX_LOSSES)


def class_vector_length(loss: DetectionLoss) -> int | None:
    """For how many classes a loss of this package was built; None if that does not matter to it.

    Example:
        >>> from mlt.losses import create_loss
        >>> class_vector_length(create_loss("cb_bce", [90, 10], beta=0.99)), class_vector_length(
        ...     create_loss("bce"))
        (2, None)
    """
    if isinstance(loss, EqualizationLossV2):
        return len(loss.ratio) + loss.background
    if not isinstance(loss, nn.Module):
        return None
    lengths = [len(vector) for vector in loss.buffers() if vector.ndim == 1]
    return lengths[0] if lengths else None


def counts_of(loss: DetectionLoss) -> ClassCounts | None:
    """The class counts that a loss of this package was built from; None if from none."""
    return loss.class_counts if isinstance(loss, Loss) else None


def unwrap_hint(model: object) -> str:
    """Say what to give instead of a wrapper (DataParallel, torch.compile); empty if it is none."""
    wrapped = next((name for name in ("module", "_orig_mod") if hasattr(model, name)), None)
    return f" Give what is wrapped, model.{wrapped}, and do so before wrapping." if wrapped else ""


def _name(loss: DetectionLoss) -> str:
    return getattr(loss, "__name__", type(loss).__name__)


def _check_reduction(loss: DetectionLoss, name: str) -> None:
    reduction = getattr(loss, "reduction", "none")
    if reduction != "none":
        raise ConfigError(
            f"{name} has the reduction {reduction!r} and gives a single number, but a detector "
            "leaves out ignored anchors and divides by its own count of matched ones. Build it "
            'with reduction="none".'
        )


def _check_unit(loss: DetectionLoss, name: str) -> None:
    counts = counts_of(loss)
    if counts is not None and counts.unit == "images":
        raise ConfigError(
            f"{name} was built from counts of images, and an image has many boxes of some classes "
            "and one of others. Count boxes: mlt.detection.class_counts_from_coco(annotations) or "
            "class_counts_from_dataset(dataset, num_classes), then create_loss(name, counts)."
        )


def _check_length(loss: DetectionLoss, name: str, num_classes: int) -> None:
    length = class_vector_length(loss)
    if length not in (None, num_classes):
        if counts_of(loss) is None:
            raise ConfigError(
                f"{name} was built for {length} classes, but is to be given {num_classes} columns. "
                "Build it for as many."
            )
        raise ConfigError(
            f"{name} was built with counts of {length} classes, but is to be given {num_classes} "
            f"columns. Give one count a column, in the order of the labels: "
            f"class_counts_from_coco(annotations, num_classes={num_classes}), or "
            f"BoxCounts.of(counts, labels, num_classes={num_classes}) where the background or "
            "unused ids have a column too."
        )


def _warn_of_row_weights(loss: DetectionLoss, name: str) -> None:
    # Made for images, nearly all of which have a label. Here nearly all rows are background.
    weighting = getattr(loss, "weighting", None)
    if isinstance(weighting, (InstanceWeighting, RarestWeighting, MeanCountWeighting)):
        vector = next(vector for vector in weighting.buffers() if vector.ndim == 1)
        mean = float(weighting(torch.eye(len(vector), device=vector.device))[0].mean())
        if not 0.25 <= mean <= 4:
            warnings.warn(
                f"{name} weighs a row by the classes it has: rows with a box weigh {mean:.2g} on "
                "average and the far more numerous background rows 1. For a detector give "
                'create_loss scheme="positive" or "column", or "instance", whose mean is 1.',
                stacklevel=4,
            )


def _try(loss: DetectionLoss, name: str, num_classes: int, device: torch.device | None) -> None:
    logits = torch.linspace(-1, 1, 2 * num_classes, device=device).view(2, num_classes)
    targets = torch.zeros_like(logits)
    targets[0] = 1
    moved = logits.clone()
    moved[0, 0] += 1
    try:
        with torch.no_grad(), torch.random.fork_rng():
            torch.manual_seed(0)
            values = loss(logits, targets)
            torch.manual_seed(0)
            others = loss(moved, targets)
    except Exception as error:
        raise ConfigError(
            f"{name} could not be called on logits and float targets of shape (2, {num_classes}): "
            f"{type(error).__name__}: {error}"
        ) from error
    if not isinstance(values, Tensor) or values.shape != logits.shape:
        got = f"shape {tuple(values.shape)}" if isinstance(values, Tensor) else repr(values)
        raise ConfigError(
            f"{name} gave {got} for logits of shape (2, {num_classes}); a detector needs a loss "
            f"for each of them. {REMEDY}"
        )
    changed = ~torch.isclose(values, others, equal_nan=True)
    changed[0, 0] = False
    if changed.any():
        raise ConfigError(
            f"{name} lets one logit change the loss of another: it is no loss of one anchor and "
            f"one class. {REMEDY}"
        )
