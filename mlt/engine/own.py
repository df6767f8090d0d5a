"""What a run is handed from Python, in place of sections of its configuration."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from mlt.data.own_data import Given, OwnPart, own_parts
from mlt.errors import ConfigError
from mlt.losses import Loss

__all__ = ["LossFunction", "Own", "OwnLoss", "name_of"]

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

    def __post_init__(self) -> None:
        _ = self.names  # at once: sharding a model over processes gives it another class

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
        if isinstance(loss, type):
            raise ConfigError(
                f"loss is the class {name_of(loss)}; give an instance, {loss.__name__}(...)"
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

    @functools.cached_property
    def names(self) -> dict[str, Any]:
        """What was handed over, by section of the configuration that it replaces."""
        data = {
            name: f"{name_of(part.table if part.items is None else part.items)}, "
            f"{len(part.table)} images"
            for name, part in (self.data or {}).items()
        }
        loss = self.loss.function if isinstance(self.loss, OwnLoss) else self.loss
        named = {"model": self.model, "loss": loss}
        given = {key: name_of(value) for key, value in named.items() if value is not None}
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
                f"loss: {name_of(self.function)} has no argument `known`, but some labels of the "
                "data are not known; take it, as in loss(logits, targets, known=None), and leave "
                "out what is False"
            )
        return self.function(logits, targets, known=known)

    def set_epoch(self, epoch: int) -> None:
        """Pass on which epoch is trained, to a loss that wants to know."""
        tell = getattr(self.function, "set_epoch", None)
        if callable(tell):
            tell(epoch)


def name_of(thing: object) -> str:
    """Module and name of a class or function, for a person to recognise."""
    while isinstance(thing, functools.partial):
        thing = thing.func
    named = thing if hasattr(thing, "__qualname__") else type(thing)
    return f"{named.__module__}.{getattr(named, '__qualname__', named)}"
