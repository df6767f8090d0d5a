"""How the adapters call a loss that they hold, but that is no part of the model."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mlt.detection.contract import DetectionLoss

__all__ = ["evaluate", "working_dtype"]


def evaluate(loss: DetectionLoss, logits: Tensor, targets: Tensor, **known: Tensor) -> Tensor:
    """Call the loss where the logits are, in float32 or better.

    The loss is in no state dict of the model and is not moved with it, so it is moved here. One
    that remembers (EQLv2, seesaw) learns only while the model does: not without gradients.

    Args:
        loss: Any callable; a module is put back into its mode afterwards.
        logits: Shape (..., C).
        targets: What the loss takes; floats are given in the logits' type.
        **known: Nothing, or ``known``.

    Example:
        >>> evaluate(nn.BCEWithLogitsLoss(), torch.zeros(2).half(), torch.ones(2)).dtype
        torch.float32
    """
    logits = logits.to(working_dtype(logits))
    if targets.is_floating_point():
        targets = targets.to(logits.dtype)
    function: Any = loss
    if not isinstance(loss, nn.Module):
        return function(logits, targets, **known)
    loss.to(logits.device)
    was_training = loss.training
    loss.train(was_training and logits.requires_grad)
    try:
        return function(logits, targets, **known)
    finally:
        loss.train(was_training)


def working_dtype(logits: Tensor) -> torch.dtype:
    """Give float64 for float64, else float32."""
    return torch.promote_types(logits.dtype, torch.float32)
