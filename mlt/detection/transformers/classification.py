"""Our losses in transformers' image classification, with several labels per image.

The labels are a row of 0 and 1 (or soft values) per image; -100 marks a label that nobody
annotated, as everywhere in transformers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mlt.detection.call_loss import call_loss
from mlt.detection.loss_checks import DetectionLoss, is_softmax_loss
from mlt.errors import ConfigError

__all__ = ["ClassificationLossFunction", "trainer_loss"]

UNKNOWN = -100


class ClassificationLossFunction:
    """What an image classifier of transformers calls as ``model.loss_function``.

    Args:
        loss: Any of `mlt.losses` that gives one number (reduction `mean`, `batchmean` or `sum`).
        plain: The function it replaces.
        num_classes: Classes of the model.

    Raises:
        ConfigError: If the loss does not give one number for so many classes.

    Example:
        >>> from mlt.losses import create_loss
        >>> function = ClassificationLossFunction(create_loss("bce"), None, num_classes=2)
        >>> function(torch.tensor([[1, 0]]), torch.zeros(1, 2), config=None)
        tensor(0.6931)
    """

    def __init__(self, loss: DetectionLoss, plain: Any, num_classes: int) -> None:
        _check_scalar(loss, num_classes)
        self.loss = loss
        self.plain = plain

    def __call__(
        self,
        labels: Tensor,
        pooled_logits: Tensor,
        config: Any,
        num_items_in_batch: Tensor | int | None = None,
        **kwargs: Any,
    ) -> Tensor:
        """Return the loss, called as transformers does: labels first."""
        return _value(self.loss, pooled_logits, labels, num_items_in_batch)


def trainer_loss(loss: DetectionLoss) -> Callable[..., Tensor]:
    """Return what ``transformers.Trainer(compute_loss_func=...)`` wants, for image classification.

    With gradient accumulation a batch's mean is weighted by the batch's share of all labels that
    are accumulated, as the Trainer expects.

    Args:
        loss: Any of `mlt.losses` that gives one number.

    Raises:
        ConfigError: When called, if the model is a detector: the Trainer takes the labels away
            before the model sees them, so that nothing could be matched. Use ``attach`` there.

    Example:
        >>> from mlt.losses import create_loss
        >>> compute = trainer_loss(create_loss("focal"))
        >>> compute({"logits": torch.zeros(1, 2)}, torch.tensor([[1, 0]]))
        tensor(0.1733)
    """

    def compute(
        outputs: Any, labels: Tensor, num_items_in_batch: Tensor | int | None = None
    ) -> Tensor:
        if isinstance(outputs, dict) and "pred_boxes" in outputs:
            raise ConfigError(
                "Trainer(compute_loss_func=...) cannot train a detector: it takes the labels away "
                "before the model sees them, so that nothing can be matched or denoised. Use "
                "mlt.detection.transformers.attach(model, loss) and no compute_loss_func."
            )
        logits = outputs["logits"] if isinstance(outputs, dict) else outputs[0]
        return _value(loss, logits, labels, num_items_in_batch)

    return compute


def _value(
    loss: DetectionLoss, logits: Tensor, labels: Tensor, num_items: Tensor | int | None
) -> Tensor:
    if labels is None or labels.shape != logits.shape:
        raise ConfigError(
            f"Logits have shape {tuple(logits.shape)}, labels "
            f"{None if labels is None else tuple(labels.shape)}: give a row of 0 and 1 per image, "
            'one for each class (problem_type="multi_label_classification").'
        )
    labels = labels.to(logits.device)
    known = labels != UNKNOWN
    if known.all():
        value = call_loss(loss, logits, labels)
    else:
        value = call_loss(loss, logits, labels, known=known)
    if num_items is None or getattr(loss, "reduction", "mean") == "sum":
        return value
    # The Trainer adds up the batches of one step and has counted their labels that are not -100.
    return value * (known.sum() / num_items)


def _check_scalar(loss: DetectionLoss, num_classes: int) -> None:
    if is_softmax_loss(loss):
        raise ConfigError(
            f"{type(loss).__name__} is a softmax loss, for exactly one class an image; here are "
            "several. Use one of create_loss."
        )
    logits = torch.zeros(2, num_classes)
    with torch.no_grad():
        value = call_loss(loss, logits, torch.zeros_like(logits))
    if value.numel() != 1:
        raise ConfigError(
            f"The loss gives shape {tuple(value.shape)} for logits of shape {tuple(logits.shape)}, "
            'but image classification needs one number: create it with reduction="mean".'
        )
