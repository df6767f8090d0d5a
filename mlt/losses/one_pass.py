"""Gradients that come with the value: how a loss is evaluated fast and in little memory.

Autograd would keep a tensor for each step of a formula and walk back through all of them. Here the
value and its slope along the logits are computed together, in blocks of rows that stay in the
processor's cache, and all that is kept for the backward pass is the slope. Where a second
derivative is asked for, the backward pass goes through the plain formula instead.

Only derivatives that are written out take this way; whatever comes without is left to autograd.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

__all__ = ["belongs", "evaluate", "wanted"]

BLOCK_ELEMENTS = {"cpu": 2**18, "other": 2**22}
"""Elements at a time: on a CPU what fits in its cache, elsewhere what fills the device."""

Blockwise = Callable[[Tensor, Tensor, Tensor | None], tuple[Tensor, Tensor]]
Plain = Callable[[Tensor], Tensor]


def belongs(cls: type, companion: str, *, to: str) -> bool:
    """Whether what a class says about a method is about the method that it has now.

    A subclass that overrides a formula alone inherits the derivative of another formula, which must
    not be used.

    Args:
        cls: A class that has both.
        companion: Name of what goes with the method, such as its derivative.
        to: Name of the method.
    """
    last_word = next(c for c in cls.__mro__ if companion in vars(c) or to in vars(c))
    return companion in vars(last_word)


def wanted(logits: Tensor, targets: Tensor) -> bool:
    """Whether the gradient to the logits, and to nothing else, will be asked for."""
    return (
        torch.is_grad_enabled()
        and logits.requires_grad
        and not targets.requires_grad
        and not torch.compiler.is_exporting()
    )


def evaluate(
    value_and_slope: Blockwise,
    plain: Plain,
    logits: Tensor,
    targets: Tensor,
    known: Tensor | None,
    keep_elements: bool,
) -> Tensor:
    """Return an element-wise loss that brings its gradient along.

    Args:
        value_and_slope: Returns value and slope of each element of some rows.
        plain: The same value as a differentiable formula of the logits, reduced alike.
        logits: Shape (..., C).
        targets: Same shape.
        known: Same shape, or None.
        keep_elements: Return the elements, rather than their sum.
    """
    with torch.no_grad():
        value, slope = _in_blocks(value_and_slope, logits, targets, known, keep_elements)
    return _WithSlope.apply(logits, value, slope, plain)


def _in_blocks(
    value_and_slope: Blockwise,
    logits: Tensor,
    targets: Tensor,
    known: Tensor | None,
    keep_elements: bool,
) -> tuple[Tensor, Tensor]:
    limit = BLOCK_ELEMENTS["cpu" if logits.device.type == "cpu" else "other"]
    if torch.compiler.is_compiling() or logits.numel() <= limit:
        value, slope = value_and_slope(logits, targets, known)
        return value if keep_elements else value.sum(), slope
    shape = logits.shape
    rows = max(limit // shape[-1], 1)
    blocks = [
        t.reshape(-1, shape[-1]).split(rows) for t in (logits, targets, known) if t is not None
    ]
    slope = torch.empty_like(logits, memory_format=torch.contiguous_format)
    values = torch.empty_like(slope) if keep_elements else slope.new_zeros(())
    slope_rows = slope.view(-1, shape[-1])
    for i, (z, y, *mask) in enumerate(zip(*blocks)):
        block = slice(i * rows, (i + 1) * rows)
        value, slope_rows[block] = value_and_slope(z, y, mask[0] if mask else None)
        if keep_elements:
            values.view(-1, shape[-1])[block] = value
        else:
            values += value.sum()
    return values, slope


class _WithSlope(torch.autograd.Function):
    @staticmethod
    def forward(logits: Tensor, value: Tensor, slope: Tensor, plain: Plain) -> Tensor:
        # Compiled code cannot mark an input as changed; a view of it may not be changed in place.
        return value.view_as(value) if torch.compiler.is_compiling() else value

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        logits, value, slope, plain = inputs
        if not torch.compiler.is_compiling():
            ctx.mark_dirty(value)
        ctx.plain = plain
        ctx.save_for_backward(logits, slope)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        logits, slope = ctx.saved_tensors
        (grad,) = grads
        if torch.is_grad_enabled() and not torch.compiler.is_compiling():
            # create_graph: the gradient itself is to be differentiated.
            (through,) = torch.autograd.grad(ctx.plain(logits), logits, grad, create_graph=True)
            return through, None, None, None
        return grad * slope, None, None, None


# torch asks for it at every call, and finding out takes longer than a loss of a small batch.
_WithSlope.forward.__signature__ = inspect.signature(_WithSlope.forward)  # type: ignore[attr-defined]
