"""Whether a loss can serve in a detection head, and what to change where it cannot.

A detector leaves out ignored anchors and divides by a number of its own, mostly that of the matched
anchors. So the loss of a sigmoid head must give one value per logit, from that logit alone, and
that of a softmax head one value per row. A loss describes itself by three attributes, which those
of `mlt.losses` have and an ``nn.Module`` of your own may have:

- ``gives``: ``"element"`` (one value per row and class), ``"row"`` or ``"batch"``;
- ``activation``: ``"sigmoid"`` or ``"softmax"``;
- ``num_columns``: the number of classes it was built for; None for any.

A callable without them is taken for a loss of single elements. Whatever a loss says, it is also
tried on two rows.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from mlt.errors import ConfigError

__all__ = [
    "DetectionLoss",
    "check_callable",
    "check_loss",
    "check_softmax_loss",
    "is_softmax_loss",
    "num_columns",
    "unwrap_hint",
]

DetectionLoss: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""``loss(logits, targets)``: both (..., C), the result too."""

SOFTMAX_HINT = (
    'If it takes one class per row, set activation = "softmax" and gives = "row" on it, for heads '
    "that have a background column."
)
REMEDY = (
    'Use an element-wise loss, for example create_loss("cb_focal", counts, scheme="positive", '
    'reduction="none"); docs/detection.md lists which losses are.'
)


def check_callable(loss: object) -> None:
    """Refuse what is not a loss at all, such as the name of one.

    Raises:
        ConfigError: Saying how to make one.
    """
    if not callable(loss):
        raise ConfigError(
            f"{loss!r} is not a loss. Make one by its name, for example "
            'create_loss("focal", reduction="none") of mlt.losses.'
        )


def check_loss(loss: DetectionLoss, num_classes: int, device: torch.device | None = None) -> None:
    """Refuse what cannot be the loss of a sigmoid head, saying why and what to do instead.

    A weighting that was made for images, and would drown the boxes in background, is warned about.

    Args:
        loss: Called as ``loss(logits, targets)``, both (..., C), the targets float.
        num_classes: Columns C that the loss will be given.
        device: Where to try the loss; if not given, where its buffers are, or else the CPU.

    Raises:
        ConfigError: If the loss gives a single number or one per row, lets logits interfere with
            each other, keeps a column for the background, was built for another number of classes,
            or from counts of images.

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
    if is_softmax_loss(loss):
        raise ConfigError(
            f'{name} is a softmax loss (activation = "softmax"): it takes exactly one class per '
            f"box. This head has one sigmoid per class, whose scores it would not train. {REMEDY}"
        )
    if (gives := getattr(loss, "gives", "element")) != "element":
        raise ConfigError(
            f"{name} compares the labels of a row (or column) with each other (gives = {gives!r}) "
            "and has no loss of a single anchor and class, which a detector needs to leave anchors "
            f"out and to divide by its number of matched ones. {REMEDY} If it is a loss of your "
            'own that returns one value per logit, set gives = "element" on it.'
        )
    if getattr(loss, "background", False) is True:
        raise ConfigError(
            f"{name} takes its last column for the background, but in this head that is a class, "
            "and a background box is a row of zeros. Build it with background=False."
        )
    _check_reduction(loss, name)
    _check_unit(loss, name)
    _check_length(loss, name, num_classes)
    _try_elements(loss, name, num_classes, device)
    _warn_of_row_weights(loss, name)


def check_softmax_loss(
    loss: DetectionLoss, num_classes: int, device: torch.device | None = None
) -> None:
    """Refuse what cannot be the loss of a softmax head; ``nn.CrossEntropyLoss`` can.

    Args:
        loss: Called as ``loss(logits, labels)``, (R, C) and (R,), giving one number per row.
        num_classes: Columns C of the head, the background among them.
        device: Where to try the loss; if not given, where its buffers are, or else the CPU.

    Raises:
        ConfigError: If it does not give one number per row, or the class vectors have another
            length.

    Example:
        >>> check_softmax_loss(nn.CrossEntropyLoss(reduction="none"), num_classes=91)
    """
    name = _name(loss)
    _check_reduction(loss, name)
    _check_unit(loss, name)
    _check_length(loss, name, num_classes)
    logits = _two_rows(num_classes, _device(loss, device))
    labels = torch.tensor([0, num_classes - 1], device=logits.device)
    values = _call(loss, name, logits, labels, "integer labels of shape (2,)")
    if not isinstance(values, Tensor) or values.shape != (2,):
        raise ConfigError(
            f"{name} gave {_shown(values)} for logits of shape (2, {num_classes}) and two labels; "
            'a softmax head needs one value per row (gives = "row").'
        )


def is_softmax_loss(loss: DetectionLoss) -> bool:
    """Whether a loss takes one class per row: it says so, or is ``nn.CrossEntropyLoss``."""
    return (
        isinstance(loss, nn.CrossEntropyLoss) or getattr(loss, "activation", "sigmoid") == "softmax"
    )


def num_columns(loss: DetectionLoss) -> int | None:
    """For how many classes a loss was built; None if any number will do.

    PyTorch's own losses do not say so, but have a ``weight`` or ``pos_weight``.

    Example:
        >>> num_columns(nn.CrossEntropyLoss(weight=torch.ones(3))), num_columns(nn.Identity())
        (3, None)
    """
    if hasattr(loss, "num_columns"):
        return loss.num_columns
    vectors = (getattr(loss, name, None) for name in ("weight", "pos_weight"))
    return next((len(v) for v in vectors if isinstance(v, Tensor) and v.ndim == 1), None)


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
    if getattr(getattr(loss, "class_counts", None), "unit", None) == "images":
        raise ConfigError(
            f"{name} was built from counts of images, and an image has many boxes of some classes "
            "and one of others. Count boxes: mlt.detection.class_counts_from_coco(annotations) or "
            "class_counts_from_dataset(dataset, num_classes), then create_loss(name, counts)."
        )


def _check_length(loss: DetectionLoss, name: str, num_classes: int) -> None:
    length = num_columns(loss)
    if length in (None, num_classes):
        return
    if getattr(loss, "class_counts", None) is None:
        raise ConfigError(
            f"{name} was built for {length} classes, but is to be given {num_classes} columns. "
            "Build it for as many (its num_columns)."
        )
    raise ConfigError(
        f"{name} was built with counts of {length} classes, but is to be given {num_classes} "
        f"columns. Give one count per column, in the order of the labels: "
        f"class_counts_from_coco(annotations, num_classes={num_classes}), or "
        f"ClassCounts.at_columns(counts, labels, num_columns={num_classes}) where the "
        "background or unused ids have a column too."
    )


def _warn_of_row_weights(loss: DetectionLoss, name: str) -> None:
    # Some weightings weigh a row by the classes it has. They were made for images, nearly all of
    # which have a label; here nearly all rows are background, and weigh what such a row does.
    weighting, columns = getattr(loss, "weighting", None), getattr(loss, "num_columns", None)
    device = _device(loss, None)
    if not callable(weighting) or not columns or device.type == "meta":
        return
    one_box_each = torch.eye(columns, device=device)
    background = torch.zeros(1, columns, device=device)
    with torch.no_grad(), torch.random.fork_rng():
        _, negative = weighting(torch.cat([one_box_each, background]))
    weights = torch.as_tensor(negative, dtype=torch.float32, device=device)
    weights = weights.expand(columns + 1, columns)
    ratio = float(weights[:-1].mean() / weights[-1].mean())
    if not 0.25 <= ratio <= 4:
        warnings.warn(
            f"{name} weighs a row by the classes it has: rows with a box weigh {ratio:.2g} on "
            "average and the far more numerous background rows 1. For a detector give "
            'create_loss scheme="positive" or "column", or "instance", whose mean is 1.',
            stacklevel=4,
        )


def _try_elements(
    loss: DetectionLoss, name: str, num_classes: int, device: torch.device | None
) -> None:
    logits = _two_rows(num_classes, _device(loss, device))
    targets = torch.zeros_like(logits)
    targets[0] = 1
    moved = logits.clone()
    moved[0, 0] += 1
    values, others = (
        _call(loss, name, z, targets, f"float targets of shape (2, {num_classes})")
        for z in (logits, moved)
    )
    if not isinstance(values, Tensor) or values.shape != logits.shape:
        raise ConfigError(
            f"{name} gave {_shown(values)} for logits of shape (2, {num_classes}); a detector "
            f"needs a loss for each of them. {REMEDY} {SOFTMAX_HINT}"
        )
    if values.is_meta:  # has no values to compare
        return
    changed = ~torch.isclose(values, others, equal_nan=True)
    changed[0, 0] = False
    if changed.any():
        raise ConfigError(
            f"{name} lets one logit change the loss of another: it is not a loss of one anchor and "
            f"one class. {REMEDY} {SOFTMAX_HINT}"
        )


def _call(loss: DetectionLoss, name: str, logits: Tensor, targets: Tensor, given: str) -> Any:
    try:
        with torch.no_grad(), torch.random.fork_rng(), _evaluating(loss):
            torch.manual_seed(0)
            return loss(logits, targets)
    except Exception as error:
        raise ConfigError(
            f"{name} could not be called on logits of shape {tuple(logits.shape)} and {given}: "
            f"{type(error).__name__}: {error}"
        ) from error


@contextmanager
def _evaluating(loss: DetectionLoss) -> Iterator[None]:
    """Let a loss with a memory learn nothing."""
    training = isinstance(loss, nn.Module) and loss.training
    if training:
        loss.eval()  # type: ignore[attr-defined]
    try:
        yield
    finally:
        if training:
            loss.train()  # type: ignore[attr-defined]


def _two_rows(num_classes: int, device: torch.device) -> Tensor:
    return torch.linspace(-1, 1, 2 * num_classes, device=device).view(2, num_classes)


def _device(loss: DetectionLoss, device: torch.device | None) -> torch.device:
    if device is not None or not isinstance(loss, nn.Module):
        return device or torch.device("cpu")
    tensors = [*loss.buffers(), *loss.parameters()]
    return tensors[0].device if tensors else torch.device("cpu")


def _shown(values: object) -> str:
    return f"shape {tuple(values.shape)}" if isinstance(values, Tensor) else repr(values)
