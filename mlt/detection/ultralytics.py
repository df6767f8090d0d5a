"""Our losses in Ultralytics YOLO (v8, 11, 26): the classification term of its detection criteria.

Ultralytics is licensed under the AGPL-3.0. It is not a dependency of this package, and is imported
only by :func:`make_trainer`, when you call it.

The criterion holds the loss of the classes as ``.bce`` and calls it on logits and soft targets, how
well each anchor's box fits; it divides the sum by the sum of the targets and multiplies by ``cls``
of the training arguments. All of that stays. Scores are a sigmoid of each class, so inference needs
no change. End-to-end models (YOLO26, v10) have two criteria, and both get the loss.
"""

from __future__ import annotations

import warnings
from typing import Any, Literal, get_args

from torch import Tensor, nn

from mlt.detection.call_loss import call_loss
from mlt.detection.loss_checks import DetectionLoss, check_callable, check_loss
from mlt.errors import ConfigError

__all__ = ["attach", "attached_loss", "detach", "make_trainer", "plug_criterion"]

Task = Literal["detect", "segment", "pose", "obb"]

RT_DETR = (
    "RT-DETR of Ultralytics has a criterion of its own, without a place for a loss. Train that of "
    "transformers, with mlt.detection.transformers.attach."
)


def make_trainer(loss: DetectionLoss, task: Task = "detect", base: type | None = None) -> type:
    """Return a trainer for ``YOLO(...).train(trainer=...)`` that learns the classes by ``loss``.

    The loss is attached when training starts, to the model and to its moving average, whose
    validation loss it then is too. Ultralytics leaves criteria out of what it saves, so checkpoints
    are as always, and load where this package is not installed.

    Args:
        loss: Element-wise, ``create_loss(..., reduction="none")``, for the classes of the data set;
            it must bear soft targets, as all element-wise losses of this package do.
        task: Of the model: ``detect``, ``segment``, ``pose`` or ``obb``.
        base: A trainer of your own to extend, instead of Ultralytics' for the task.

    Raises:
        ConfigError: If the loss or the task is none; from the trainer, if the model has another
            task or is an RT-DETR.
        ImportError: If Ultralytics is not installed.

    Example:
        >>> from mlt.losses import create_loss
        >>> loss = create_loss("cb_focal", [900, 40, 3], reduction="none", scheme="column")
        >>> YOLO("yolo11n.pt").train(data="my.yaml", trainer=make_trainer(loss))  # doctest: +SKIP
    """
    check_callable(loss)
    if task not in get_args(Task):
        raise ConfigError(f"task must be one of {', '.join(get_args(Task))}, not {task!r}.")
    parent: Any = _trainer_of(task) if base is None else base

    class LossTrainer(parent):
        """Ultralytics' trainer, with a loss of mlt for the classes."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            given = (kwargs.get("overrides") or {}).get("task", task)
            if base is None and given != task:
                raise ConfigError(
                    f"The model's task is {given!r}, the trainer is for {task!r}: call "
                    f"make_trainer(loss, task={given!r}). The tasks are "
                    f"{', '.join(get_args(Task))}."
                )
            super().__init__(*args, **kwargs)
            self.add_callback("on_train_start", _attach_to_models)

        def get_model(self, cfg: Any = None, *args: Any, **kwargs: Any) -> Any:
            if "rtdetr" in str(cfg).lower():
                raise ConfigError(RT_DETR)
            return super().get_model(cfg, *args, **kwargs)

    def _attach_to_models(trainer: Any) -> None:
        model = getattr(trainer.model, "module", trainer.model)  # of a distributed wrapper
        attach(model, loss)
        if trainer.ema is not None:
            attach(trainer.ema.ema, loss)

    return LossTrainer


def _trainer_of(task: Task) -> type:
    from ultralytics.models import yolo

    trainers: dict[str, type] = {
        "detect": yolo.detect.DetectionTrainer,
        "segment": yolo.segment.SegmentationTrainer,
        "pose": yolo.pose.PoseTrainer,
        "obb": yolo.obb.OBBTrainer,
    }
    return trainers[task]


def attach(model: Any, loss: DetectionLoss) -> Any:
    """Let a detection model of Ultralytics learn its classes by ``loss``, in your own loop.

    Its weights and state dict stay as they are. Call it where the model is on its device and has
    its training arguments (``model.args``), since it builds the criterion. It is **not** for
    ``YOLO(...).train()``, which trains a model that it builds itself: see :func:`make_trainer`.

    Args:
        model: A `DetectionModel` or one built of it, such as ``YOLO(...).model``.
        loss: See :func:`make_trainer`.

    Returns:
        The model.

    Raises:
        ConfigError: If it is not such a model or the loss does not fit its number of classes.
    """
    # Asked of the class: the YOLO object passes on whatever it is asked for itself.
    if not hasattr(type(model), "init_criterion"):
        raise ConfigError(
            f"{type(model).__name__} is not a model of Ultralytics with an init_criterion. "
            "YOLO(...).train() builds a model of its own: give it trainer=make_trainer(loss). "
            "attach is for a loop of your own, on the DetectionModel (YOLO(...).model)."
        )
    if "RTDETR" in type(model).__name__:
        raise ConfigError(RT_DETR)
    criterion = getattr(model, "criterion", None)
    if criterion is None:
        if not hasattr(model, "args"):
            raise ConfigError(
                f"This {type(model).__name__} has no training arguments, and its criterion is "
                "built of them: set model.args = ultralytics.cfg.get_cfg() before attaching."
            )
        criterion = model.init_criterion()
    plug_criterion(criterion, loss)
    model.criterion = criterion
    return model


def detach(model: Any) -> Any:
    """Restore the loss that the model's criteria had before :func:`attach`.

    Returns:
        The model.

    Raises:
        ConfigError: If nothing is attached to it.
    """
    plugged = _plugged_criteria(model)
    if not plugged:
        raise ConfigError(f"No loss of mlt is attached to this {type(model).__name__}.")
    for each in plugged:
        each.bce = each.bce.plain
    return model


def attached_loss(model: Any) -> DetectionLoss | None:
    """Return the loss that is attached to a model, or None; for `set_epoch`, or to save it."""
    plugged = _plugged_criteria(model)
    return plugged[0].bce.loss if plugged else None


def plug_criterion(criterion: Any, loss: DetectionLoss) -> None:
    """Replace the classification loss of a criterion, in both branches of an end-to-end one.

    Args:
        criterion: ``v8DetectionLoss`` or one built of it: oriented boxes, segmentation, pose,
            end-to-end.
        loss: See :func:`make_trainer`.

    Raises:
        ConfigError: If the criterion has no such term or the loss does not fit.

    Warns:
        UserWarning: If Ultralytics weighs the classes too (``cls_pw``): its weights multiply ours.
    """
    inner = _inner_criteria(criterion)
    if not inner:
        raise ConfigError(
            f"{type(criterion).__name__} has no element-wise classification loss (.bce). Models of "
            "detection, segmentation, pose and oriented boxes have; classification and RT-DETR not."
        )
    for each in inner:
        check_loss(loss, each.nc)
    for each in inner:
        plain = each.bce.plain if isinstance(each.bce, ClassTerm) else each.bce
        each.bce = ClassTerm(loss, plain)
    if any(getattr(each, "class_weights", None) is not None for each in inner):
        warnings.warn(
            "Ultralytics' own class weights are on (cls_pw > 0) and multiply those of the loss. "
            "Train with cls_pw=0 unless you want both.",
            stacklevel=2,
        )


class ClassTerm:
    """What a criterion calls as ``.bce``; a plain object, so that no state dict grows.

    Args:
        loss: Element-wise.
        plain: What it replaces.
    """

    def __init__(self, loss: DetectionLoss, plain: nn.Module) -> None:
        self.loss = loss
        self.plain = plain

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return a new tensor of the logits' shape (B, A, nc), which the caller may change."""
        # Cloned, since the criterion multiplies in place: autograd forbids that on what a loss of
        # this package gives, and would fail where a loss keeps its result for the backward pass.
        return call_loss(self.loss, logits, targets).clone()


def _plugged_criteria(model: Any) -> list[Any]:
    """Return the criteria of a model that hold a loss of ours."""
    criterion = getattr(model, "criterion", None)
    inner = [] if criterion is None else _inner_criteria(criterion)
    return [each for each in inner if isinstance(each.bce, ClassTerm)]


def _inner_criteria(criterion: Any) -> list[Any]:
    """Return the criteria that hold a ``.bce``: itself, or the branches it is made of."""
    if hasattr(criterion, "bce"):
        return [criterion]
    branches = [getattr(criterion, name, None) for name in ("one2many", "one2one", "vp_criterion")]
    return [each for branch in branches if branch is not None for each in _inner_criteria(branch)]
