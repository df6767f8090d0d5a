"""How the adapters call a loss that they hold, but that is not part of the model."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mlt.detection.loss_checks import DetectionLoss
from mlt.losses.reduce import working_precision

__all__ = ["call_loss"]


def call_loss(loss: DetectionLoss, logits: Tensor, targets: Tensor, **known: Tensor) -> Tensor:
    """Call a loss where the logits are, in float32 or better.

    The loss is in no state dict of the model and is not moved with it, so it is moved here. One
    that remembers (EQLv2, seesaw) learns only where gradients are computed.

    Args:
        loss: Any callable; a module is put back into its mode afterwards.
        logits: Shape (..., C).
        targets: What the loss takes; floats are converted to the logits' type.
        **known: Nothing, or ``known``.

    Example:
        >>> call_loss(nn.BCEWithLogitsLoss(), torch.zeros(2).half(), torch.ones(2)).dtype
        torch.float32
    """
    logits = working_precision(logits)
    if targets.is_floating_point():
        targets = targets.to(logits.dtype)
    function: Any = loss
    if not isinstance(loss, nn.Module):
        return function(logits, targets, **known)
    loss.to(logits.device)
    if not loss.training or (logits.requires_grad and torch.is_grad_enabled()):
        return function(logits, targets, **known)
    loss.eval()
    try:
        return function(logits, targets, **known)
    finally:
        loss.train()
