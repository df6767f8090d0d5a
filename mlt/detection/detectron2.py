"""Our losses in detectron2's two-stage heads (Faster, Mask, Cascade R-CNN).

detectron2's box predictor has a sigmoid mode, in which its scores are a sigmoid of each class; the
loss takes the place of that mode's cross entropy. Tested against a double of detectron2's predictor
that was written from its source, since it cannot be installed from a wheel. RetinaNet and FCOS of
detectron2 mix their classification and box losses in one method and are not supported.
"""

from __future__ import annotations

from typing import Any, TypeVar

from torch import Tensor, nn

from mlt.detection.contract import DetectionLoss, check_loss, one_hot
from mlt.detection.evaluate import evaluate
from mlt.errors import ConfigError

__all__ = ["attach", "detach", "make_predictor"]

Model = TypeVar("Model", bound=nn.Module)


def make_predictor(loss: DetectionLoss, base: type | None = None) -> Any:
    """Give a box predictor that learns the classes by ``loss``.

    In a LazyConfig: ``model.roi_heads.box_predictor._target_ = make_predictor(loss)``. A model that
    is built already is easier changed with :func:`attach`.

    Args:
        loss: Element-wise, ``create_loss(..., reduction="none")``, for the classes without the
            background.
        base: The predictor to extend; ``FastRCNNOutputLayers`` if not given.

    Returns:
        A subclass of `base`. Its federated loss (``use_fed_loss``) still chooses classes, if it is
        on; a loss named ``federated`` of this package needs no help from it.

    Raises:
        ImportError: If detectron2 is not installed.
    """
    if base is None:
        from detectron2.modeling.roi_heads.fast_rcnn import FastRCNNOutputLayers

        base = FastRCNNOutputLayers

    class LossPredictor(base):  # type: ignore[misc, valid-type]
        """detectron2's box predictor in its sigmoid mode, with a loss of mlt for the classes."""

        plain = base

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            check_loss(loss, self.num_classes)
            self.use_sigmoid_ce = True

        def sigmoid_cross_entropy_loss(
            self, pred_class_logits: Tensor, gt_classes: Tensor
        ) -> Tensor:
            """Give the loss: the sum over all elements, over the number of boxes.

            Args:
                pred_class_logits: Shape (R, K + 1); the last column, the background's, has no part.
                gt_classes: Shape (R,), K being the background.
            """
            boxes, num_classes = pred_class_logits.shape[0], pred_class_logits.shape[1] - 1
            if boxes == 0:
                return 0.0 * pred_class_logits.sum()
            targets = one_hot(gt_classes, num_classes, "last")
            elements = evaluate(loss, pred_class_logits[:, :-1], targets)
            if getattr(self, "use_fed_loss", False):
                chosen = self.get_fed_loss_classes(
                    gt_classes,
                    num_fed_loss_classes=self.fed_loss_num_classes,
                    num_classes=num_classes,
                    weight=self.fed_loss_cls_weights,
                )
                mask = elements.new_zeros(num_classes + 1)
                mask[chosen] = 1
                elements = elements * mask[:-1]
            return elements.sum() / boxes

    return LossPredictor


def attach(model: Model, loss: DetectionLoss) -> Model:
    """Let a built model learn its classes by ``loss``; its weights and state dict stay.

    Scores become a sigmoid of each class, in training and inference. A head that was trained with a
    softmax has to be fine-tuned for that.

    Args:
        model: With ``roi_heads.box_predictor``, one or (Cascade R-CNN) several.
        loss: See :func:`make_predictor`.

    Returns:
        The model.

    Raises:
        ConfigError: If there is no such predictor or the loss does not fit.
    """
    predictors = _predictors(model)
    for predictor in predictors:
        check_loss(loss, predictor.num_classes)
    for predictor in predictors:
        if (plain := getattr(type(predictor), "plain", None)) is None:
            plain = type(predictor)
            predictor._plain_use_sigmoid_ce = predictor.use_sigmoid_ce
        predictor.__class__ = make_predictor(loss, plain)
        predictor.use_sigmoid_ce = True
    return model


def detach(model: Model) -> Model:
    """Give the model's predictors their own loss and scores back.

    Returns:
        The model.

    Raises:
        ConfigError: If nothing is attached to it.
    """
    predictors = _predictors(model)
    if not all(hasattr(predictor, "_plain_use_sigmoid_ce") for predictor in predictors):
        raise ConfigError(f"No loss of mlt is attached to this {type(model).__name__}.")
    for predictor in predictors:
        predictor.__class__ = type(predictor).plain
        predictor.use_sigmoid_ce = predictor._plain_use_sigmoid_ce
        del predictor._plain_use_sigmoid_ce
    return model


def _predictors(model: Any) -> list[Any]:
    predictor = getattr(getattr(model, "roi_heads", None), "box_predictor", None)
    if predictor is None:
        raise ConfigError(
            f"{type(model).__name__} has no roi_heads.box_predictor. detectron2's Faster, Mask and "
            "Cascade R-CNN have; RetinaNet and FCOS are not supported."
        )
    found = list(predictor) if isinstance(predictor, nn.ModuleList) else [predictor]
    for each in found:
        if not hasattr(each, "use_sigmoid_ce"):
            raise ConfigError(
                f"{type(each).__name__} has no sigmoid mode (use_sigmoid_ce); it must be "
                "detectron2's FastRCNNOutputLayers, of 2022 or newer."
            )
    return found
