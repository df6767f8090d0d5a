"""Whether a model and a loss of one's own can be trained with: tried before anything is written."""

from __future__ import annotations

import copy
from typing import Any, get_args

import torch
from torch import Tensor, nn

from mlt.activation import Activation
from mlt.engine.one_label import stated_activation
from mlt.engine.own import OwnLoss, name_of
from mlt.errors import ConfigError

__all__ = ["check_logits", "check_loss", "check_model"]


def check_loss(
    loss: nn.Module,
    num_classes: int,
    device: torch.device,
    partly_known: bool = False,
    soft_targets: bool = False,
) -> None:
    """Show a loss two rows, so that one that cannot be trained with is refused at the start.

    Args:
        loss: A copy of it is tried where it can be copied.
        num_classes: C.
        device: Where training computes.
        partly_known: Whether some labels of the training data are not known.
        soft_targets: Whether training mixes labels, to targets between 0 and 1.

    Raises:
        ConfigError: If it fails, does not return one number that depends on the logits, says that
            it needs targets of 0 and 1 where they are mixed, says no such activation, or looks like
            a softmax loss and does not say whether it is.
    """
    function = loss.function if isinstance(loss, OwnLoss) else loss
    name, activation = name_of(function), stated_activation(loss)
    if activation not in (None, *get_args(Activation)):
        raise ConfigError(
            f"loss: {name}.activation is {activation!r}; mlt reads there how logits become "
            "probabilities, 'sigmoid' or 'softmax'. Give something else another name"
        )
    if soft_targets and not getattr(function, "takes_soft_targets", True):
        union = "" if activation == "softmax" else "transforms.mix.labels: union, or "
        raise ConfigError(
            f"loss: {name} needs targets of 0 and 1, but transforms.mix gives mixed images targets "
            f"between them; choose {union}another loss"
        )
    logits = torch.linspace(-2, 2, 2 * num_classes, device=device).view(2, num_classes)
    logits.requires_grad_()
    targets = torch.zeros_like(logits, requires_grad=False)
    targets[:, 0] = 0.5 if soft_targets else 1
    known = torch.ones_like(targets, dtype=torch.bool) if partly_known else None
    try:
        tried = copy.deepcopy(loss)  # some remember what they were shown
    except Exception:  # a generator, for example, cannot be copied; nor can tensors with a graph
        tried = loss
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        try:
            value = tried.to(device)(logits, targets, known)
            shift = torch.arange(1.0, 3.0, device=device)[:, None]
            moved = None if activation else tried(logits + shift, targets, known)
        except ConfigError:
            raise
        except Exception as error:
            raise ConfigError(
                f"loss: {name} could not be called on logits and targets of shape "
                f"(2, {num_classes}): {type(error).__name__}: {error}"
            ) from error
    if not isinstance(value, Tensor) or value.numel() != 1 or not value.is_floating_point():
        got = (
            f"shape {tuple(value.shape)} of {value.dtype}"
            if isinstance(value, Tensor)
            else type(value).__name__
        )
        raise ConfigError(
            f"loss: {name} returns {got}; training needs one number per batch, a tensor. Most "
            "losses return it with reduction='mean'"
        )
    if not _depends(value, logits):
        raise ConfigError(
            f"loss: what {name} returns does not depend on the logits, or it is computed without "
            "gradients; nothing could be learned"
        )
    if num_classes > 1 and isinstance(moved, Tensor) and torch.allclose(moved, value, rtol=1e-4):
        raise ConfigError(
            f"loss: {name} stays the same when all logits of an image grow alike, as softmax "
            "losses do. Say how its logits become probabilities: give it the attribute activation, "
            "'softmax' (then every image needs exactly one label) or 'sigmoid'"
        )


def check_logits(logits: Any, shape: tuple[int, ...], in_training: bool = False) -> None:
    """Refuse what a model returns if it is not logits of this shape.

    Args:
        logits: What it returns.
        shape: (N, C).
        in_training: Whether it has to depend on the model's parameters.

    Raises:
        ConfigError: Saying what it is, and what to do.
    """
    mode = " in training mode" if in_training else ""
    if not isinstance(logits, Tensor) or logits.shape != shape:
        is_tensor = isinstance(logits, Tensor)
        got = f"shape {tuple(logits.shape)}" if is_tensor else type(logits).__name__
        wrap = "a module whose forward returns model(images).logits"
        hint = f"; wrap it in {wrap}" if hasattr(logits, "logits") else ""
        raise ConfigError(
            f"model: for a batch of {shape[0]} it returns {got}{mode}; expected logits of shape "
            f"{shape}, one column per class{hint}"
        )
    if in_training and not logits.requires_grad:
        raise ConfigError(
            f"model: the logits, of {logits.dtype}, do not depend on parameters that are trained: "
            "they are detached, rounded, or computed without gradients; nothing could be learned"
        )


def _depends(value: Tensor, logits: Tensor) -> bool:
    """Whether a gradient reaches the logits, and not only parameters of the loss."""
    if not value.requires_grad:
        return False
    return torch.autograd.grad(value.sum(), logits, allow_unused=True)[0] is not None


def check_model(
    model: nn.Module,
    image: Tensor,
    num_classes: int,
    device: torch.device,
    failed: str | None = None,
) -> None:
    """Show a model a blank image, so that one of a size or type it cannot take is found early.

    Args:
        model: On the device; it is switched to evaluation mode.
        image: One image as the data have them.
        num_classes: C.
        device: Where to compute.
        failed: Begins the message; None says shape and type of the image.

    Raises:
        ConfigError: If it fails, or returns something else than logits.
    """
    failed = failed or f"model: it cannot take images of shape {tuple(image.shape)}, {image.dtype}"
    try:
        with torch.no_grad():
            logits = model.eval()(torch.zeros_like(image)[None].to(device))
    except (RuntimeError, AssertionError, ValueError, TypeError) as error:
        raise ConfigError(f"{failed}{_type_hint(model, image)}: {error}") from error
    check_logits(logits, (1, num_classes))


def _type_hint(model: nn.Module, image: Tensor) -> str:
    """What to do where images and weights are of different types; empty if they are not."""
    types = {p.dtype for p in model.parameters() if p.is_floating_point()}
    if not types or image.dtype in types:
        return ""
    if types == {torch.float32}:
        return "; make them float32 in the data set's transform, for example image.float() / 255"
    return (
        f", but has weights of {', '.join(map(str, types))}; make it model.float(), and "
        "choose half precision with training.autocast"
    )
