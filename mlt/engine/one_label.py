"""Runs on images with exactly one label each: which losses need that, and whether it is so."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import nn
from torch.nn import functional as F

from mlt.activation import Activation
from mlt.data.labels import LabelTable
from mlt.data.one_label import true_classes
from mlt.engine.own import OwnLoss, name_of
from mlt.errors import DataError

__all__ = ["activation_of", "check_one_label", "stated_activation"]


def activation_of(loss: nn.Module) -> Activation:
    """How the logits that a loss trains become probabilities: as it says, a sigmoid if it does not.

    Args:
        loss: Of `mlt.losses`, or handed over.
    """
    return stated_activation(loss) or "sigmoid"


def stated_activation(loss: nn.Module) -> Activation | None:
    """What a loss says in its attribute ``activation``; None if it says nothing.

    PyTorch's cross entropy does not say so, but is known to be a softmax loss, as a module and as a
    function, which may have some arguments bound (``functools.partial``).
    """
    function: Any = loss.function if isinstance(loss, OwnLoss) else loss
    while isinstance(function, partial) and not hasattr(function, "activation"):
        function = function.func
    if isinstance(function, nn.CrossEntropyLoss) or function is F.cross_entropy:
        return "softmax"
    return getattr(function, "activation", None)


def check_one_label(loss: nn.Module, parts: Mapping[str, LabelTable | None]) -> None:
    """Refuse images that do not have exactly one label each, where the loss is a softmax loss.

    Args:
        loss: Of a stage of the run.
        parts: Those whose loss is computed, by name; None where there is no such part.

    Raises:
        DataError: Naming the part and an image, and how many labels it has.
    """
    if activation_of(loss) != "softmax":
        return
    function = loss.function if isinstance(loss, OwnLoss) else loss
    for name, table in parts.items():
        if table is None:
            continue
        if table.num_classes < 2:
            raise DataError(
                f"loss: {name_of(function)} is a softmax loss, which chooses between classes, and "
                f"there is only {table.class_names[0]!r}; choose a sigmoid loss, such as bce"
            )
        try:
            true_classes(table)
        except DataError as error:
            raise DataError(
                f"loss: {name_of(function)} is a softmax loss. Of the {name} images {error}; "
                'for any number of labels choose a sigmoid loss: mlt.list_losses("sigmoid")'
            ) from None
