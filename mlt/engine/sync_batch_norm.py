"""Batch norm over the whole batch of several processes, as one process would do it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from timm.layers import convert_sync_batchnorm
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

__all__ = ["synced_batch_norm", "with_synced_batch_norm"]


def with_synced_batch_norm(model: nn.Module, device: torch.device) -> nn.Module:
    """The model with torch's own synchronised batch norm, which only accelerators have.

    Args:
        model: Its layers of batch norm are replaced, those of timm with what they do besides.
        device: Where it is.
    """
    return convert_sync_batchnorm(model) if device.type == "cuda" else model


def synced_batch_norm(device: torch.device) -> AbstractContextManager[object]:
    """Let batch norm in the block normalise over all processes, where torch has no layer for it.

    Args:
        device: Where the model is.
    """
    return nullcontext() if device.type == "cuda" else _Synced()


class _Synced(TorchFunctionMode):
    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is F.batch_norm:
            return _batch_norm(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


class _Sum(torch.autograd.Function):
    """The sum over all processes, each of which goes on with it: so do the gradients."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        total = tensor.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.contiguous().clone()
        dist.all_reduce(total)
        return total


def _batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """``torch.nn.functional.batch_norm``, whose arguments these are, over all processes."""
    if not training:
        return F.batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    others = [dim for dim in range(input.ndim) if dim != 1]
    shape = [1, -1, *[1] * (input.ndim - 2)]
    values = input.float()
    number = torch.tensor(float(input.numel() / input.shape[1]), device=input.device)
    number, total = _Sum.apply(number), _Sum.apply(values.sum(others))
    mean = total / number
    centred = values - mean.view(shape)
    var = _Sum.apply(centred.square().sum(others)) / number
    if running_mean is not None and running_var is not None:
        with torch.no_grad():
            running_mean.lerp_(mean.to(running_mean.dtype), momentum)
            unbiased = var * number / (number - 1)
            running_var.lerp_(unbiased.to(running_var.dtype), momentum)
    result = centred * torch.rsqrt(var + eps).view(shape)
    if weight is not None:
        result = result * weight.view(shape)
    if bias is not None:
        result = result + bias.view(shape)
    return result.to(input.dtype)
