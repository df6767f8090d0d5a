"""The place that transformers leaves for a loss: ``model.loss_function``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import FunctionType
from typing import Any, Literal, NamedTuple, TypeVar, get_args

from torch import Tensor, nn

from mlt.detection.loss_checks import (
    DetectionLoss,
    check_loss,
    check_softmax_loss,
    is_softmax_loss,
    unwrap_hint,
)
from mlt.detection.transformers.classification import ClassificationLossFunction
from mlt.detection.transformers.terms import Term, no_object_term, query_term
from mlt.errors import ConfigError

__all__ = [
    "CLASSIFICATION",
    "FAMILIES",
    "LossFunction",
    "attach",
    "attached_loss",
    "detach",
    "framework_function",
    "known_name",
]

CLASSIFICATION = "ForSequenceClassificationLoss"
"""What `transformers.loss` calls the loss function of an image classifier."""

Targets = Literal["framework", "hard"]
Model = TypeVar("Model", bound=nn.Module)


class Family(NamedTuple):
    """What a loss function of transformers calls its criterion, and where that has our term."""

    criterion: str
    method: str
    key: str
    quality: str = "one"
    no_object: bool = False


FAMILIES = {
    "DeformableDetrForObjectDetectionLoss": Family(
        "DeformableDetrImageLoss", "loss_labels", "loss_ce"
    ),
    "DeformableDetrForSegmentationLoss": Family(
        "DeformableDetrImageLoss", "loss_labels", "loss_ce"
    ),
    "RTDetrForObjectDetectionLoss": Family("RTDetrLoss", "loss_labels_vfl", "loss_vfl", "iou"),
    "DFineForObjectDetectionLoss": Family("DFineLoss", "loss_labels_vfl", "loss_vfl", "iou"),
    "Deimv2ForObjectDetectionLoss": Family(
        "Deimv2Loss", "loss_labels_mal", "loss_mal", "iou_power"
    ),
    "LwDetrForObjectDetectionLoss": Family(
        "LwDetrImageLoss", "loss_labels", "loss_ce", "score_and_iou"
    ),
    "RfDetrForSegmentationLoss": Family(
        "RfDetrImageLoss", "loss_labels", "loss_ce", "score_and_iou"
    ),
    "ForObjectDetectionLoss": Family("ImageLoss", "loss_labels", "loss_ce", no_object=True),
    "ForSegmentationLoss": Family("ImageLoss", "loss_labels", "loss_ce", no_object=True),
}
"""By the name of the loss function in `transformers.loss`."""


def attach(model: Model, loss: DetectionLoss, targets: Targets = "framework") -> Model:
    """Let a detector or an image classifier of transformers learn its classes by ``loss``.

    The model's weights, state dict and inference stay as they are. The loss follows the model's
    device by itself; what it remembers (EQLv2, seesaw) is in its own state dict.

    Args:
        model: An object-detection or segmentation model of a family in the package's table, or an
            image classifier whose labels are rows of 0 and 1.
        loss: For detection element-wise, ``create_loss(..., reduction="none")``, for the
            ``model.config.num_labels`` classes. Where the model has a no-object column also one of
            mlt's softmax losses, for one class more: "no object" is the last. For image
            classification one that gives a single number, ``create_loss(...)``.
        targets: ``framework``: a matched query is told to predict what the framework's own loss
            would tell it, in some families the quality of its box (soft targets). ``hard``: 1.

    Returns:
        The model.

    Raises:
        ConfigError: If the model is of no such family or the loss does not fit it.

    Example:
        >>> from mlt.losses import create_loss
        >>> loss = create_loss("cb_focal", [9, 4, 3], scheme="positive", reduction="none")
        >>> attach(model, loss)  # doctest: +SKIP
        >>> model(pixel_values, labels=labels).loss.backward()  # doctest: +SKIP
    """
    plain, num_classes = framework_function(model)
    function: Any
    if getattr(plain, "__name__", "") == CLASSIFICATION:
        function = ClassificationLossFunction(loss, plain, num_classes)
    else:
        function = LossFunction(loss, plain, num_classes, targets)
    model.loss_function = function
    return model


def detach(model: Model) -> Model:
    """Restore the loss function that the model had before :func:`attach`.

    Returns:
        The model.

    Raises:
        ConfigError: If nothing is attached to it.
    """
    plugged: Any = getattr(model, "loss_function", None)
    if not isinstance(plugged, OURS):
        raise ConfigError(f"No loss of mlt is attached to this {type(model).__name__}.")
    plain: Any = plugged.plain
    model.loss_function = plain
    return model


def attached_loss(model: nn.Module) -> DetectionLoss | None:
    """Return the loss that is attached to a model, or None; for `set_epoch`, or to save it."""
    plugged: Any = getattr(model, "loss_function", None)
    return plugged.loss if isinstance(plugged, OURS) else None


class LossFunction:
    """What transformers calls as ``model.loss_function``: its own, but for the term of the classes.

    :func:`attach` makes one; by itself it is for models that are built in an unusual way. It can be
    copied and pickled with the model.

    Args:
        loss: See :func:`attach`.
        plain: The function of `transformers.loss` to change, for example
            ``DeformableDetrForObjectDetectionLoss``.
        num_classes: Classes, without "no object".
        targets: See :func:`attach`.

    Raises:
        ConfigError: If the function is unknown or the loss does not fit.
    """

    def __init__(
        self,
        loss: DetectionLoss,
        plain: Callable[..., Any],
        num_classes: int,
        targets: Targets = "framework",
    ) -> None:
        self.loss = loss
        self.plain = plain
        self.num_classes = num_classes
        self.targets = targets
        family = FAMILIES[known_name(plain)]
        term = _term(family, loss, num_classes, targets)
        self._function = _with_term(plain, family, term)

    def __call__(self, *args: Any, **kwargs: Any) -> tuple[Tensor, dict[str, Tensor], Any]:
        """Return (loss, parts of the loss, auxiliary outputs), called as transformers does."""
        return self._function(*args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        # The rebuilt function is in no module, so it is built again from what is.
        return LossFunction, (self.loss, self.plain, self.num_classes, self.targets)


OURS = (LossFunction, ClassificationLossFunction)


def framework_function(model: Any) -> tuple[Callable[..., Any], int]:
    """Return the model's own loss function, and its number of classes."""
    config: Any = getattr(model, "config", None)
    if not hasattr(config, "num_labels") or not hasattr(model, "loss_function"):
        hint = unwrap_hint(model) or " For torchvision's detectors use mlt.detection.torchvision."
        raise ConfigError(
            f"{type(model).__name__} is not a model of transformers with a loss_function.{hint}"
        )
    current: Any = model.loss_function
    return current.plain if isinstance(current, OURS) else current, config.num_labels


def known_name(plain: Callable[..., Any]) -> str:
    """Return the name of a loss function of `FAMILIES`; refuse another."""
    name = getattr(plain, "__name__", type(plain).__name__)
    if name in FAMILIES:
        return name
    reason = ""
    if "GroundingDino" in name:
        reason = " Grounding DINO compares queries with the words of a text: it has no classes."
    elif name == "ForCausalLMLoss":  # what transformers gives to a model without a task
        reason = " Is this only the body of a detector? Give the whole, the ...ForObjectDetection."
    raise ConfigError(
        f"The model's loss_function is {name}, whose classification term is not known here. Known "
        f"are {', '.join(FAMILIES)}.{reason}"
    )


def _term(family: Family, loss: DetectionLoss, num_classes: int, targets: Targets) -> Term:
    if targets not in get_args(Targets):
        raise ConfigError(f"targets must be one of {get_args(Targets)}, not {targets!r}.")
    if family.no_object and is_softmax_loss(loss):
        assert isinstance(loss, nn.Module)
        check_softmax_loss(loss, num_classes + 1)
        return partial(no_object_term, loss, family.key, True)
    check_loss(loss, num_classes)
    if family.no_object:
        return partial(no_object_term, loss, family.key, False)
    quality = "one" if targets == "hard" else family.quality
    return partial(query_term, loss, family.key, quality)


def _with_term(plain: Callable[..., Any], family: Family, term: Term) -> Callable[..., Any]:
    """Return ``plain`` with one method of its criterion replaced; ``plain`` itself is untouched.

    It builds its criterion anew in each call, from a class that it looks up by name in its module:
    a function of the same code, with a namespace in which that name stands for our builder.
    """
    build: Any = getattr(plain, "__globals__", {}).get(family.criterion)
    names = plain.__code__.co_names if isinstance(plain, FunctionType) else ()
    if family.criterion not in names or not hasattr(build, family.method):
        raise ConfigError(
            f"{known_name(plain)} does not build {family.criterion} with {family.method}, as that "
            "of transformers 5.23 does: it is another version's, or not the framework's own."
        )
    assert isinstance(plain, FunctionType)

    def criterion(*args: Any, **kwargs: Any) -> nn.Module:
        built = build(*args, **kwargs)
        setattr(built, family.method, partial(term, built))
        return built

    namespace = {**plain.__globals__, family.criterion: criterion}
    function = FunctionType(
        plain.__code__, namespace, plain.__name__, plain.__defaults__, plain.__closure__
    )
    function.__kwdefaults__ = plain.__kwdefaults__
    return function
