"""A double of detectron2's `FastRCNNOutputLayers`, as far as its classes go, in our words."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FastRCNNOutputLayers(nn.Module):
    """Two linear layers; the classes' losses and scores in softmax and in sigmoid mode."""

    def __init__(
        self,
        input_size: int,
        num_classes: int,
        use_sigmoid_ce: bool = False,
        use_fed_loss: bool = False,
        fed_loss_num_classes: int = 50,
        fed_loss_cls_weights: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.cls_score = nn.Linear(input_size, num_classes + 1)
        self.bbox_pred = nn.Linear(input_size, num_classes * 4)
        self.use_sigmoid_ce = use_sigmoid_ce
        self.use_fed_loss = use_fed_loss
        self.fed_loss_num_classes = fed_loss_num_classes
        if use_fed_loss:
            assert use_sigmoid_ce, "Please use sigmoid cross entropy loss with federated loss"
            self.register_buffer("fed_loss_cls_weights", fed_loss_cls_weights)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        return self.cls_score(features), self.bbox_pred(features)

    def losses(
        self, predictions: tuple[Tensor, Tensor], proposals: list[SimpleNamespace]
    ) -> dict[str, Tensor]:
        scores, deltas = predictions
        classes = [p.gt_classes for p in proposals]
        gt_classes = torch.cat(classes) if classes else torch.empty(0)
        if self.use_sigmoid_ce:
            loss_cls = self.sigmoid_cross_entropy_loss(scores, gt_classes)
        else:
            loss_cls = F.cross_entropy(scores, gt_classes)
        return {"loss_cls": loss_cls, "loss_box_reg": deltas.abs().sum() / max(len(deltas), 1)}

    def get_fed_loss_classes(
        self, gt_classes: Tensor, num_fed_loss_classes: int, num_classes: int, weight: Tensor
    ) -> Tensor:
        """The classes present, the background among them, and a draw of others."""
        present = torch.unique(gt_classes)
        odds = present.new_ones(num_classes + 1).float()
        odds[-1] = 0
        if len(present) < num_fed_loss_classes:
            odds[:num_classes] = weight.float().clone()
            odds[present] = 0
            drawn = torch.multinomial(odds, num_fed_loss_classes - len(present), replacement=False)
            present = torch.cat([present, drawn])
        return present

    def sigmoid_cross_entropy_loss(self, pred_class_logits: Tensor, gt_classes: Tensor) -> Tensor:
        if pred_class_logits.numel() == 0:
            return pred_class_logits.new_zeros([1])[0]
        boxes, columns = pred_class_logits.shape
        target = pred_class_logits.new_zeros(boxes, columns)
        target[range(len(gt_classes)), gt_classes] = 1
        elements = F.binary_cross_entropy_with_logits(
            pred_class_logits[:, :-1], target[:, :-1], reduction="none"
        )
        weight = torch.ones(columns - 1)
        if self.use_fed_loss:
            chosen = self.get_fed_loss_classes(
                gt_classes,
                num_fed_loss_classes=self.fed_loss_num_classes,
                num_classes=columns - 1,
                weight=self.fed_loss_cls_weights,
            )
            mask = torch.zeros(columns)
            mask[chosen] = 1
            weight = mask[:-1]
        return torch.sum(elements * weight) / boxes

    def predict_probs(self, predictions: tuple[Tensor, Tensor]) -> Tensor:
        scores, _ = predictions
        return scores.sigmoid() if self.use_sigmoid_ce else scores.softmax(-1)


def install(patch: pytest.MonkeyPatch) -> None:
    """Make detectron2's import path give the double."""
    names = "detectron2", "modeling", "roi_heads", "fast_rcnn"
    for depth in range(1, 5):
        module = ModuleType(".".join(names[:depth]))
        patch.setitem(sys.modules, module.__name__, module)
    module.FastRCNNOutputLayers = FastRCNNOutputLayers  # type: ignore[attr-defined]


def make_model(predictor: nn.Module | list[nn.Module]) -> nn.Module:
    """A model with the predictor, or with several as Cascade R-CNN has, where they belong."""
    model = nn.Module()
    model.roi_heads = nn.Module()
    several = isinstance(predictor, list)
    model.roi_heads.box_predictor = nn.ModuleList(predictor) if several else predictor
    return model
