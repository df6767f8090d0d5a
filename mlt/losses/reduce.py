"""The one place where elements become a number, and where inputs are made ready."""

from __future__ import annotations

from typing import get_args

import torch
from torch import Tensor

from mlt.errors import ConfigError, DataError
from mlt.losses.settings import Reduction

__all__ = [
    "blank_unknown",
    "check_cost",
    "check_inputs",
    "check_label_smoothing",
    "check_reduction",
    "divisor",
    "only_known",
    "reduce",
    "reduce_rows",
    "smooth",
    "working_precision",
]


_OUTSIDE = "targets must lie between 0 and 1"
_GIVE_KNOWN = (
    "For labels that are uncertain or that nobody annotated, give known=, False for each of them"
)


def check_reduction(reduction: str) -> Reduction:
    """Return ``reduction`` if it is one.

    Raises:
        ConfigError: If it is not one of none, mean, sum, batchmean.
    """
    if reduction not in get_args(Reduction):
        raise ConfigError(
            f"reduction must be one of {', '.join(get_args(Reduction))}, not {reduction!r}."
        )
    return reduction  # type: ignore[return-value]


def working_precision(values: Tensor) -> Tensor:
    """Return ``values`` in float64 if they are, else in float32.

    Half precision has too few digits for a probability near 1 and too little range for a logit's
    exponential, whatever autocast thinks.

    Example:
        >>> working_precision(torch.zeros(2, dtype=torch.float16)).dtype
        torch.float32
    """
    return values if values.dtype == torch.float64 else values.float()


def check_inputs(
    logits: Tensor, targets: Tensor, known: Tensor | None, num_classes: int | None = None
) -> tuple[Tensor, Tensor | None]:
    """Check that shapes agree; return the logits in working precision and the mask as bools.

    Args:
        logits: Shape (..., C).
        targets: Same shape, values in [0, 1]; any real, integer or bool type.
        known: Same shape, True (or non-zero) where the label is annotated; None if all are.
        num_classes: C, if the loss has class vectors.

    Raises:
        ConfigError: If the shapes differ.
        DataError: If a known target lies outside [0, 1]. No device is waited for to find out: a
            GPU, or a compiled call, fails with a RuntimeError when it gets there. Where nothing can
            be raised (other devices, torch.jit.trace, a compiled vmap), the loss is NaN.
    """
    check_columns(logits, num_classes)
    if targets.shape != logits.shape:
        raise ConfigError(
            f"Logits have shape {tuple(logits.shape)} but targets {tuple(targets.shape)}; give one "
            "target for each logit, 1 where the label applies."
        )
    if known is not None and known.shape != logits.shape:
        raise ConfigError(
            f"Logits have shape {tuple(logits.shape)} but the known mask {tuple(known.shape)}."
        )
    known = None if known is None else known.bool()
    return _refuse_outside(working_precision(logits), targets, known), known


def check_columns(logits: Tensor, num_classes: int | None) -> None:
    """Refuse logits of another number of classes than a loss was built for.

    Raises:
        ConfigError: If they differ; None: any number will do.
    """
    if num_classes is not None and logits.shape[-1] != num_classes:
        raise ConfigError(
            f"The loss was built with the counts of {num_classes} classes, but the logits have "
            f"shape {tuple(logits.shape)}: their last axis must be the classes, in the same order."
        )


def _refuse_outside(logits: Tensor, targets: Tensor, known: Tensor | None) -> Tensor:
    """Return the logits if all known targets lie in [0, 1]; see :func:`check_inputs`."""
    if targets.dtype == torch.bool or targets.numel() == 0:
        return logits
    seen = targets.detach()
    low, high = _all_rows(seen if known is None else torch.where(known, seen, 0)).aminmax()
    # Mixed labels may be past 1 by rounding, in bfloat16 by 1/128.
    slack = max(1e-3, torch.finfo(seen.dtype).eps if seen.is_floating_point() else 0.0)
    tracing = torch._C._get_tracing_state() is not None
    device = low.device.type
    if device == "cpu" and not tracing and not torch.compiler.is_compiling():
        lowest, highest = low.item(), high.item()
        if not (lowest >= -slack and highest <= 1 + slack):
            raise DataError(f"{_OUTSIDE}; they go from {lowest:g} to {highest:g}. {_GIVE_KNOWN}")
        return logits
    # In the targets' type the limits could be rounded to 0 and 1.
    inside = (low.float() >= -slack) & (high.float() <= 1 + slack)
    if device in ("cpu", "cuda") and not tracing and not _is_batched(inside):
        torch._assert_async(inside, f"{_OUTSIDE}. {_GIVE_KNOWN}")
        return logits
    return torch.where(inside, logits, torch.nan)


def _all_rows(values: Tensor) -> Tensor:
    """Return all that is behind a tensor of which torch.func shows one row (vmap)."""
    while not torch.compiler.is_compiling() and _is_batched(values):
        values = torch._C._functorch.get_unwrapped(values)
    return values


def _is_batched(values: Tensor) -> bool:
    return torch._C._functorch.is_batchedtensor(values)


def blank_unknown(logits: Tensor, targets: Tensor, known: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return logits and targets of one type, both 0 where nobody annotated.

    An unknown element may hold anything (-1, NaN): blanked, it reaches no sum, and no gradient
    reaches its logit.
    """
    targets = targets.to(logits.dtype)
    return only_known(logits, known), only_known(targets, known)


def smooth(targets: Tensor, label_smoothing: float) -> Tensor:
    """Return targets moved towards 0.5: y (1 - e) + e / 2, for binary and soft ones alike.

    Example:
        >>> smooth(torch.tensor([0.0, 0.5, 1.0]), 0.1)
        tensor([0.0500, 0.5000, 0.9500])
    """
    if label_smoothing == 0:
        return targets
    return targets * (1 - label_smoothing) + label_smoothing / 2


def check_label_smoothing(label_smoothing: float) -> float:
    """Return ``label_smoothing`` if it is in [0, 1).

    Raises:
        ConfigError: If it is not.
    """
    if not 0 <= label_smoothing < 1:
        raise ConfigError(f"label_smoothing must be in [0, 1), not {label_smoothing!r}.")
    return label_smoothing


def check_cost(cost: object, logits: Tensor, owner: object, method: str) -> None:
    """Refuse what a formula of a user's class returns if it is not one cost per logit.

    Raises:
        ConfigError: Naming the class and its method.
    """
    if isinstance(cost, Tensor) and cost.shape == logits.shape:
        return
    got = f"shape {tuple(cost.shape)}" if isinstance(cost, Tensor) else type(cost).__name__
    raise ConfigError(
        f"{type(owner).__name__}.{method} returns {got} for logits of shape "
        f"{tuple(logits.shape)}; return one cost for each of them, a tensor: the reduction comes "
        "afterwards."
    )


def only_known(values: Tensor, known: Tensor | None) -> Tensor:
    """Return ``values``, 0 where unknown."""
    return values if known is None else torch.where(known, values, 0)


def divisor(reduction: Reduction, logits: Tensor, known: Tensor | None) -> Tensor | int:
    """What a sum of elements is divided by: 1, or the elements or rows that are known; never 0.

    Args:
        reduction: `mean`, `batchmean` or `sum`.
        logits: Shape (..., C).
        known: Mask of the same shape, or None.
    """
    if reduction == "sum":
        return 1
    if known is None:
        return max(logits.numel() if reduction == "mean" else logits[..., 0].numel(), 1)
    return (known if reduction == "mean" else known.any(-1)).sum().clamp(min=1)


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
    values = only_known(values, known)
    return values if reduction == "none" else values.sum() / divisor(reduction, values, known)


def reduce_rows(rows: Tensor, reduction: Reduction, known: Tensor | None = None) -> Tensor:
    """Reduce losses that exist by row only; `mean` and `batchmean` are both the mean over rows.

    Args:
        rows: Losses, shape (...).
        reduction: See :func:`reduce`.
        known: Mask of annotated elements, shape (..., C); a row without any is not counted.

    Example:
        >>> reduce_rows(torch.tensor([1.0, 3.0]), "mean")
        tensor(2.)
    """
    if reduction == "none":
        return rows
    total = rows.sum()
    if reduction == "sum":
        return total
    if known is None:
        return total / max(rows.numel(), 1)
    return total / known.bool().any(-1).sum().clamp(min=1)
