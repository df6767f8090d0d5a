"""What a run is handed from Python, in place of sections of its configuration."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mlt.data.own_data import Given, OwnPart, own_parts
from mlt.errors import ConfigError
from mlt.losses import Loss

__all__ = ["LossFunction", "Own", "OwnLoss", "check_loss"]

LossFunction = Callable[..., Tensor]
"""Called as ``loss(logits, targets)``, or with ``known=mask`` if it takes that; a number."""


@dataclass(frozen=True)
class Own:
    """The parts of a run that are not built from its configuration; None where they are.

    Attributes:
        data: ``train``, ``test`` and ``validation``.
        model: From images to logits (N, C).
        loss: From logits and targets to a number.
    """

    data: Mapping[str, OwnPart] | None = None
    model: nn.Module | None = None
    loss: Loss | OwnLoss | None = None

    @classmethod
    def of(
        cls,
        data: Mapping[str, Given] | None = None,
        model: nn.Module | None = None,
        loss: LossFunction | None = None,
        workers: int | None = 0,
    ) -> Own:
        """Check what was handed over.

        Args:
            data: See :func:`mlt.data.own_data.own_parts`.
            model: A module.
            loss: One of `mlt.losses`, another module, or a function.
            workers: Processes that read a data set without ``targets`` once.

        Raises:
            ConfigError: If something is of a type that cannot be used.
            DataError: If the data cannot be used.
        """
        if model is not None and not isinstance(model, nn.Module):
            raise ConfigError(
                f"model is a {type(model).__name__}; expected a torch.nn.Module from images to "
                "logits, one column per class"
            )
        if loss is not None and not callable(loss):
            raise ConfigError(
                f"loss is a {type(loss).__name__}; expected a module or a function of logits and "
                "targets, for example mlt.create_loss('focal')"
            )
        return cls(
            None if data is None else own_parts(data, workers),
            model,
            loss if loss is None or isinstance(loss, Loss) else OwnLoss(loss),
        )

    def describe(self) -> dict[str, Any]:
        """What was handed over, by section of the configuration that it replaces."""
        data = {
            name: f"{_name(part.table if part.items is None else part.items)}, "
            f"{len(part.table)} images"
            for name, part in (self.data or {}).items()
        }
        loss = self.loss.function if isinstance(self.loss, OwnLoss) else self.loss
        named = {"model": self.model, "loss": loss}
        given = {key: _name(value) for key, value in named.items() if value is not None}
        return ({"data": data} if data else {}) | given


class OwnLoss(nn.Module):
    """A loss of one's own, called as those of `mlt.losses` are.

    Args:
        function: A module, or a function, of logits and targets and perhaps ``known``.
    """

    def __init__(self, function: LossFunction) -> None:
        super().__init__()
        self.function = function  # registered if it is a module: its state is saved with the run
        called = function.forward if isinstance(function, nn.Module) else function
        try:
            self.takes_known = "known" in inspect.signature(called).parameters
        except (TypeError, ValueError):  # functions that are built in may have no signature
            self.takes_known = False

    def forward(self, logits: Tensor, targets: Tensor, known: Tensor | None = None) -> Tensor:
        """Return the loss; see :meth:`mlt.losses.Loss.forward`."""
        if known is None:
            return self.function(logits, targets)
        if not self.takes_known:
            raise ConfigError(
                f"loss: {_name(self.function)} has no argument `known`, but some labels of the "
                "data are not known; take it, as in loss(logits, targets, known=None), and leave "
                "out what is False"
            )
        return self.function(logits, targets, known=known)

    def set_epoch(self, epoch: int) -> None:
        """Pass on which epoch is trained, to a loss that wants to know."""
        tell = getattr(self.function, "set_epoch", None)
        if callable(tell):
            tell(epoch)


def check_loss(loss: nn.Module, num_classes: int, device: torch.device) -> None:
    """Show a loss two rows, so that one that cannot be trained with is refused at the start.

    Args:
        loss: On the device; a copy of it is tried where it can be copied.
        num_classes: C.
        device: Where to compute.

    Raises:
        ConfigError: If it fails, does not return one number that depends on the logits, or has
            parameters to train.
    """
    called = loss.function if isinstance(loss, OwnLoss) else loss
    name = _name(called)
    parameters = called.named_parameters() if isinstance(called, nn.Module) else ()
    if learned := [key for key, value in parameters if value.requires_grad]:
        raise ConfigError(
            f"loss: {name} has parameters of its own, {', '.join(learned)}, which the optimizer "
            "does not train; move them into the model, or turn requires_grad off"
        )
    logits = torch.zeros(2, num_classes, device=device, requires_grad=True)
    targets = torch.zeros(2, num_classes, device=device)
    targets[:, 0] = 1
    try:
        tried = copy.deepcopy(loss)  # some remember what they were shown
    except (TypeError, RuntimeError):  # a generator, for example, cannot be copied
        tried = loss
    try:
        value = tried(logits, targets)
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(
            f"loss: {name} could not be called on logits and targets of shape "
            f"(2, {num_classes}): {type(error).__name__}: {error}"
        ) from error
    if not isinstance(value, Tensor) or value.numel() != 1:
        got = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise ConfigError(
            f"loss: {name} returns {got}; training needs one number per batch. Most losses return "
            "it with reduction='mean'"
        )
    if not value.requires_grad:
        raise ConfigError(
            f"loss: what {name} returns does not depend on the logits, or it is computed without "
            "gradients; nothing could be learned"
        )


def _name(thing: object) -> str:
    """Module and name of a class or function, for a person to recognise."""
    named = thing if hasattr(thing, "__qualname__") else type(thing)
    return f"{named.__module__}.{getattr(named, '__qualname__', named)}"
