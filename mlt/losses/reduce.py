"""The one place where elements become a number, and where inputs are made ready."""

from __future__ import annotations

from typing import get_args

import torch
from torch import Tensor

from mlt.config.loss import Reduction
from mlt.errors import ConfigError

__all__ = ["check_reduction", "prepare", "reduce", "working_precision"]


def check_reduction(reduction: str) -> Reduction:
    """Give ``reduction`` back if it is one.

    Raises:
        ConfigError: If it is not one of none, mean, sum, batchmean.
    """
    if reduction not in get_args(Reduction):
        raise ConfigError(
            f"reduction must be one of {', '.join(get_args(Reduction))}, not {reduction!r}."
        )
    return reduction  # type: ignore[return-value]


def working_precision(values: Tensor) -> Tensor:
    """Give ``values`` in float64 if they are, else in float32.

    Half precision has too few digits for a probability near 1 and too little range for a logit's
    exponential, whatever autocast thinks.

    Example:
        >>> working_precision(torch.zeros(2, dtype=torch.float16)).dtype
        torch.float32
    """
    return values if values.dtype == torch.float64 else values.float()


def prepare(
    logits: Tensor, targets: Tensor, known: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Check shapes, go to working precision, and blank what nobody annotated.

    An unknown element may hold anything (-1, NaN): its logit and target become 0, so that it
    reaches no sum, and no gradient reaches its logit.

    Args:
        logits: Shape (..., C).
        targets: Same shape, values in [0, 1]; any real, integer or bool type.
        known: Same shape, True (or non-zero) where the label is annotated; None if all are.

    Returns:
        Logits, targets and mask; new tensors wherever something changed.

    Raises:
        ConfigError: If the shapes differ.
    """
    if targets.shape != logits.shape:
        raise ConfigError(
            f"Logits have shape {tuple(logits.shape)} but targets {tuple(targets.shape)}; give one "
            "target for each logit, 1 where the label applies."
        )
    z = working_precision(logits)
    y = targets.to(z.dtype)
    if known is None:
        return z, y, None
    if known.shape != logits.shape:
        raise ConfigError(
            f"Logits have shape {tuple(logits.shape)} but the known mask {tuple(known.shape)}."
        )
    known = known.bool()
    return torch.where(known, z, 0), torch.where(known, y, 0), known


def reduce(values: Tensor, reduction: Reduction, known: Tensor | None = None) -> Tensor:
    """Reduce element-wise losses.

    Args:
        values: Losses, shape (..., C).
        reduction: `none` keeps the elements (0 where unknown). `mean` divides the sum by the number
            of known elements. `sum` adds. `batchmean` divides the sum by the number of rows that
            have a known element. An empty sum is 0, still connected to the graph.
        known: Mask of annotated elements, same shape; None if all are.

    Example:
        >>> values = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
        >>> reduce(values, "batchmean")
        tensor(5.)
        >>> reduce(values, "mean", known=torch.tensor([[True, True], [True, False]]))
        tensor(2.)
    """
    if known is not None:
        values = torch.where(known, values, 0)
    if reduction == "none":
        return values
    total = values.sum()
    if reduction == "sum":
        return total
    if known is None:
        divisor = values.numel() if reduction == "mean" else values[..., 0].numel()
        return total / max(divisor, 1)
    present = known if reduction == "mean" else known.any(-1)
    return total / present.sum().clamp(min=1)
