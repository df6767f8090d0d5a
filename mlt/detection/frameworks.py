"""One `attach` for all frameworks: the model's class says which one it is from.

Nothing is imported to find out: a framework whose model is here has been imported already.
"""

from __future__ import annotations

import importlib
from typing import Any, TypeVar

from torch import nn

from mlt.detection.loss_checks import DetectionLoss, unwrap_hint
from mlt.errors import ConfigError

__all__ = ["attach", "attached_loss", "detach", "set_prior"]

Model = TypeVar("Model", bound=nn.Module)

ADAPTERS = ("torchvision", "transformers", "ultralytics")
ELSEWHERE = {
    "mmdet": (
        " mmdet takes its losses from the configuration: see MltLoss of mlt.detection.mmdet."
    ),
    "detectron2": (
        " For detectron2 there is a recipe: see docs/detection_frameworks.md#detectron2."
    ),
}


def attach(model: Model, loss: DetectionLoss) -> Model:
    """Let a detector learn its classes by ``loss``; boxes, matching and weights stay as they are.

    It calls ``attach`` of `mlt.detection.torchvision`, `mlt.detection.transformers` or
    `mlt.detection.ultralytics`, which say what changes and which options they have.

    Args:
        model: A detector of torchvision or transformers, a ``DetectionModel`` of Ultralytics, or an
            image classifier of transformers. Changed in place; a loss that is attached already is
            replaced.
        loss: For a detector built with ``reduction="none"``, from counts of boxes.

    Returns:
        The model.

    Raises:
        ConfigError: If the model is of another framework, or the loss cannot serve in it.

    Example:
        >>> from torchvision.models.detection import retinanet_resnet50_fpn
        >>> from mlt.losses import create_loss
        >>> model = retinanet_resnet50_fpn(weights=None, weights_backbone=None, num_classes=3)
        >>> loss = create_loss("focal", gamma=2, alpha=0.25, reduction="none")
        >>> attached_loss(attach(model, loss)) is loss
        True
        >>> attached_loss(detach(model)) is None
        True
    """
    return _adapter(model).attach(model, loss)


def detach(model: Model) -> Model:
    """Restore the loss that the model had before :func:`attach`.

    Returns:
        The model.

    Raises:
        ConfigError: If nothing is attached to it, or it is of another framework.
    """
    return _adapter(model).detach(model)


def attached_loss(model: nn.Module) -> DetectionLoss | None:
    """Return the loss that is attached to a model, or None; for `set_epoch`, or to save it.

    Raises:
        ConfigError: If the model is of another framework.
    """
    return _adapter(model).attached_loss(model)


def set_prior(model: Model, probability: float = 0.01) -> Model:
    """Let every class of a new classifier start with one probability.

    See ``set_prior`` of `mlt.detection.torchvision` and `mlt.detection.transformers`.

    Args:
        model: A detector of torchvision or transformers; changed in place.
        probability: Of each class, in (0, 1).

    Returns:
        The model.

    Raises:
        ConfigError: If the model is of another framework, or the probability is out of range.
    """
    adapter = _adapter(model)
    if not hasattr(adapter, "set_prior"):
        raise ConfigError(
            f"{type(model).__name__} starts at low probabilities by itself; nothing has to be set."
        )
    return adapter.set_prior(model, probability)


def _adapter(model: object) -> Any:
    """Return the module of this package for the framework that the model's class comes from."""
    packages = [base.__module__.partition(".")[0] for base in type(model).__mro__]
    for package in packages:
        if package in ADAPTERS:
            return importlib.import_module(f"mlt.detection.{package}")
    elsewhere = next((ELSEWHERE[package] for package in packages if package in ELSEWHERE), "")
    raise ConfigError(
        f"{type(model).__name__} (of {type(model).__module__}) is not a model of "
        f"{', '.join(ADAPTERS[:-1])} or {ADAPTERS[-1]}, whose losses can be replaced."
        f"{elsewhere}{unwrap_hint(model)} A model of your own calls its loss itself: "
        "loss(logits, targets); docs/detection.md says how."
    )
