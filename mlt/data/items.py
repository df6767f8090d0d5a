"""What an item of a data set of one's own must be, and targets and masks as checked arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mlt.arrays import check_not_masked
from mlt.errors import DataError

__all__ = ["check_item", "known_array", "one_hot", "target_array"]


def check_item(
    item: Any, class_names: Sequence[str], where: str
) -> tuple[Tensor | Image.Image, Tensor, Any]:
    """Take an item apart and refuse what training could not use.

    Args:
        item: ``(image, target)`` or ``(image, target, known)``.
        class_names: C names; a target has one number for each.
        where: What the item is, for messages.

    Returns:
        The image, a tensor as it came but for its graph, or Pillow's; the target, (C,) float32 in
        [0, 1], of a class index 1 for that class; which labels were annotated, (C,) bool, or None.

    Raises:
        DataError: If it is anything else; says what it is and what to give instead.

    Example:
        >>> image, target, known = check_item((torch.zeros(3, 8, 8), [0, 1]), ["a", "b"], "item 0")
        >>> target, known
        (tensor([0., 1.]), None)
    """
    if isinstance(item, Mapping):
        raise DataError(
            f"{where} is a dictionary with the keys {', '.join(map(str, item))}; expected a tuple "
            "(image, target) or (image, target, known)"
        )
    if not isinstance(item, (tuple, list)) or len(item) not in (2, 3):
        amount = f" of {len(item)}" if isinstance(item, (tuple, list)) else ""
        raise DataError(
            f"{where} is a {type(item).__name__}{amount}; expected a tuple (image, target) or "
            "(image, target, known)"
        )
    image = item[0]
    if not isinstance(image, (Tensor, Image.Image)):
        raise DataError(
            f"{where}: the image is a {type(image).__module__}.{type(image).__name__}, expected an "
            "image of Pillow, which goes through the configured transforms, or a tensor, which is "
            "used as it comes. In the data set's transform, convert it, for example with "
            "torchvision.transforms.v2.Compose([ToImage(), ToDtype(torch.float32, scale=True), "
            "Normalize(mean, std)])"
        )
    shape = (len(class_names),)
    if (row := one_hot([item[1]], class_names, f"{where}: the target")) is not None:
        target = row[0]
    else:
        target = target_array(item[1], shape, class_names, f"{where}: the target")
    known = item[2] if len(item) == 3 else None
    if known is not None:
        known = torch.from_numpy(known_array(known, shape, f"{where}: known"))
    # A tensor with a graph could not leave a worker, which would wait for ever.
    image = image.detach() if isinstance(image, Tensor) else image
    return image, torch.from_numpy(target), known


def one_hot(values: Any, class_names: Sequence[str], what: str) -> np.ndarray | None:
    """Targets of class indices, as data sets of one label per image have them.

    Args:
        values: N whole numbers. Of a single class it would not be certain that they are indices.
        class_names: C names.
        what: Begins the message.

    Returns:
        (N, C) float32, 0 and 1; None if the values are something else.

    Raises:
        DataError: If a number is of no class.
    """
    if not len(values) or np.ndim(values[0]) or len(class_names) == 1:
        return None
    try:
        indices = np.asarray([v.item() if hasattr(v, "item") else v for v in values])
    except ValueError:  # numbers and lists
        return None
    if indices.ndim != 1 or indices.dtype.kind not in "iu":
        return None
    wrong = indices[(indices < 0) | (indices >= len(class_names))]
    if len(wrong):
        raise DataError(
            f"{what} is the class {wrong[0]}, but the {len(class_names)} class_names are 0 to "
            f"{len(class_names) - 1}"
        )
    return (indices[:, None] == np.arange(len(class_names))).astype(np.float32)


def target_array(
    values: Any, shape: tuple[int, ...], class_names: Sequence[str], what: str
) -> np.ndarray:
    """Targets as float32 of this shape, whose last axis is the classes; all are in [0, 1].

    Args:
        values: A tensor, an array or nested lists.
        shape: ``(C,)`` for an item, ``(N, C)`` for a data set.
        class_names: C names.
        what: Begins the messages.

    Raises:
        DataError: If the shape is another, or a value is NaN or outside [0, 1]; names the first.
    """
    targets = _array(values, what)
    if targets.dtype.kind not in "biuf":
        raise DataError(
            f"{what} must be numbers in [0, 1], got {_shown(values, targets)}: expected the shape "
            f"{shape}, one number for each of the {len(class_names)} class_names, 1 where the "
            "image has the class"
        )
    if targets.shape != shape:
        expected = "one number per class, 1 where the image has it" if len(shape) == 1 else (
            "one row per image and one column per class, 1 where the image has it"
        )  # fmt: skip
        raise DataError(
            f"{what} has the shape {targets.shape}, but {shape} is expected for the "
            f"{len(class_names)} class_names: {expected}"
        )
    right = (targets >= 0) & (targets <= 1)  # NaN is neither
    if not right.all():
        wrong = np.argwhere(~right)
        place = tuple(wrong[0])
        row = f" of item {place[0]}" if len(shape) == 2 else ""
        raise DataError(
            f"{what}{row} is {targets[place]} for {class_names[place[-1]]!r}, expected 0 to 1; for "
            "a label that was not annotated give 0, and False in known"
        )
    return targets.astype(np.float32)


def known_array(values: Any, shape: tuple[int, ...], what: str) -> np.ndarray:
    """A mask of annotated labels as bool of this shape.

    Args:
        values: A tensor, an array or nested lists of True and False, or 1 and 0.
        shape: ``(C,)`` for an item, ``(N, C)`` for a data set.
        what: Begins the messages.

    Raises:
        DataError: If the shape is another, or a value is something else.
    """
    known = _array(values, what)
    if known.shape != shape:
        raise DataError(
            f"{what} has the shape {known.shape}, but {shape} is expected, that of the targets"
        )
    if known.dtype.kind not in "biuf" or not bool(((known == 0) | (known == 1)).all()):
        raise DataError(f"{what} must be True where a label was annotated and False where not")
    return known.astype(bool)


def _shown(values: Any, array: np.ndarray) -> str:
    kind = type(values).__name__
    return f"a {kind}, {str(values)[:60]}" if array.ndim == 0 else f"an array of {array.dtype}"


def _array(values: Any, what: str) -> np.ndarray:
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        return (values.float() if values.is_floating_point() else values).numpy()
    check_not_masked(values, what)
    try:
        return np.asarray(values)
    except ValueError as error:  # lists of different lengths
        raise DataError(f"{what} cannot be made into an array: {error}") from None
