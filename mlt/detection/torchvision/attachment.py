"""How a loss gets into one detector and out again: its head changes class, and back.

Only the class of one instance changes, so that no other model notices, and no parameter, buffer or
submodule is added, so that the state dict stays what it was. The loss lies in the instance's
``__dict__``, past `nn.Module`'s books.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from mlt.detection.call_loss import call_loss
from mlt.detection.loss_checks import DetectionLoss
from mlt.losses.elementwise import ElementwiseLoss
from mlt.losses.reduce import working_precision

__all__ = ["Attachment", "detached", "element_losses", "insert"]


class Attachment(nn.Module):
    """What every head with a loss of its own has; a base beside the head's own class."""

    # Not at run time, where TorchScript reads the annotations of torchvision's class.
    if TYPE_CHECKING:
        classification_loss: DetectionLoss

        def __getattr__(self, name: str) -> Any: ...

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Attachment:
        # `to`, `cuda` and the like: the loss follows to the device, but keeps its precision.
        super()._apply(fn, recurse)
        if isinstance(self.classification_loss, nn.Module):
            self.classification_loss.to(next(self.parameters()).device)
        return self

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        # The class is made on the fly, so copying and pickling must know how.
        extension, own = type(self).__bases__
        return _blank, (extension, own), self.__dict__


def insert(head: nn.Module, extension: type[Attachment], loss: DetectionLoss) -> None:
    """Turn an instance into one of ``extension`` that remembers its own class.

    Args:
        head: The instance.
        extension: A subclass of :class:`Attachment` and of a class of torchvision.
        loss: On the device of the head.
    """
    head.__dict__["classification_loss"] = loss
    head.__class__ = _extended(extension, type(head))


def detached(head: nn.Module) -> bool:
    """Turn an instance back into one of its own class; return whether there was anything to do."""
    if not isinstance(head, Attachment):
        return False
    head.__class__ = type(head).__bases__[1]
    del head.__dict__["classification_loss"]
    return True


def element_losses(loss: DetectionLoss, logits: Tensor, targets: Tensor) -> Tensor:
    """Return the loss of each element, in float32 or better.

    Args:
        loss: An :class:`ElementwiseLoss` is given the targets as they are, which costs it half the
            work; others are given floats.
        logits: Shape (..., C).
        targets: Same shape, bools.
    """
    if not isinstance(loss, ElementwiseLoss):
        targets = targets.to(working_precision(logits).dtype)
    return call_loss(loss, logits, targets)


def _extended(extension: type[Attachment], own: type[nn.Module]) -> type[Attachment]:
    names = {
        "__module__": extension.__module__,
        "__doc__": own.__doc__,
        "__annotations__": getattr(own, "__annotations__", {}),  # TorchScript's; not inherited
    }
    return type(f"{own.__name__}WithLoss", (extension, own), names)


def _blank(extension: type[Attachment], own: type[nn.Module]) -> nn.Module:
    kind = _extended(extension, own)
    return kind.__new__(kind)
