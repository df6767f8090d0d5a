"""A detector's integer labels as the targets that a loss takes."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from mlt.errors import DataError

__all__ = ["Background", "one_hot"]

Background = Literal["first", "last", "none"]


def one_hot(
    labels: Tensor,
    num_classes: int,
    background: Background = "none",
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Return targets for a head of ``num_classes`` columns; the background is a row of zeros.

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
