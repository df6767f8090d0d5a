"""A double of what mmdet 3.3 does with a head's `loss_cls`: written from its source, in our words.

Only the calls and what surrounds them: registry and build, the channels a head makes, the arguments
of the call, what it does with the answer, and how scores are made and used.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn


class Registry:
    """mmengine's registry, as far as losses need it."""

    def __init__(self) -> None:
        self.modules: dict[str, type] = {}

    def register_module(
        self, name: str | None = None, force: bool = False, module: type | None = None
    ) -> Any:
        assert module is not None and name is not None
        if not force and name in self.modules:
            raise KeyError(f"{name} is already registered in model")
        self.modules[name] = module
        return module

    def build(self, cfg: dict[str, Any]) -> nn.Module:
        arguments = dict(cfg)
        return self.modules[arguments.pop("type")](**arguments)


def install(patch: pytest.MonkeyPatch) -> Registry:
    """Make ``from mmdet.registry import MODELS`` give an empty registry."""
    registry = Registry()
    package, module = ModuleType("mmdet"), ModuleType("mmdet.registry")
    module.MODELS = registry  # type: ignore[attr-defined]
    patch.setitem(sys.modules, "mmdet", package)
    patch.setitem(sys.modules, "mmdet.registry", module)
    return registry


class DenseHead(nn.Module):
    """AnchorHead and its kin: channels from the configuration's `use_sigmoid`."""

    def __init__(self, models: Registry, num_classes: int, loss_cls: dict[str, Any]) -> None:
        super().__init__()
        self.use_sigmoid_cls = loss_cls.get("use_sigmoid", False)
        self.cls_out_channels = num_classes if self.use_sigmoid_cls else num_classes + 1
        self.loss_cls = models.build(loss_cls)

    def anchor_loss(self, cls_score: Tensor, labels: Tensor, label_weights: Tensor) -> Tensor:
        """Of one level: (B, A C, H, W) scores; labels and weights (B, H W A)."""
        flat = cls_score.permute(0, 2, 3, 1).reshape(-1, self.cls_out_channels)
        positive = ((labels >= 0) & (labels < self.cls_out_channels)).sum()
        return self.loss_cls(
            flat, labels.reshape(-1), label_weights.reshape(-1), avg_factor=float(positive)
        )

    def fcos_loss(self, flat: Tensor, labels: Tensor) -> dict[str, Tensor]:
        positive = ((labels >= 0) & (labels < self.cls_out_channels)).sum().float()
        losses = {"loss_cls": self.loss_cls(flat, labels, avg_factor=max(positive, 1.0))}
        if getattr(self.loss_cls, "custom_accuracy", False):
            losses.update(self.loss_cls.get_accuracy(flat, labels))
        return losses

    def quality_loss(
        self, flat: Tensor, labels: Tensor, quality: Tensor, weights: Tensor
    ) -> Tensor:
        """GFLHead and RTMDetHead give labels and qualities as one target."""
        return self.loss_cls(flat, (labels, quality), weight=weights, avg_factor=1.0)

    def yolox_loss(self, flat: Tensor, soft: Tensor, num_samples: float) -> Tensor:
        return self.loss_cls(flat, soft) / num_samples

    def predict(self, flat: Tensor, score_thr: float = 0.05) -> list[tuple[int, int, float]]:
        """Boxes kept, as (box, class, score)."""
        if getattr(self.loss_cls, "custom_cls_channels", False):
            scores = self.loss_cls.get_activation(flat)
        elif self.use_sigmoid_cls:
            scores = flat.sigmoid()
        else:
            scores = flat.softmax(-1)[:, :-1]
        kept = torch.nonzero(scores > score_thr)
        return [(int(i), int(c), float(scores[i, c])) for i, c in kept]


class QueryHead(nn.Module):
    """DETRHead and its kin: channels from the built module's `use_sigmoid`."""

    def __init__(self, models: Registry, num_classes: int, loss_cls: dict[str, Any]) -> None:
        super().__init__()
        assert loss_cls.get("class_weight") is None or isinstance(loss_cls["class_weight"], float)
        self.loss_cls = models.build(loss_cls)
        self.cls_out_channels = num_classes if self.loss_cls.use_sigmoid else num_classes + 1

    def loss(self, scores: Tensor, labels: Tensor, label_weights: Tensor) -> Tensor:
        flat = scores.reshape(-1, self.cls_out_channels)
        positive = float((labels < self.cls_out_channels).sum())
        return self.loss_cls(flat, labels, label_weights, avg_factor=max(positive, 1))


class BoxHead(nn.Module):
    """BBoxHead: the second stage, which asks the loss for channels, scores and accuracy."""

    def __init__(self, models: Registry, num_classes: int, loss_cls: dict[str, Any]) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.loss_cls = models.build(loss_cls)
        channels = num_classes + 1
        if getattr(self.loss_cls, "custom_cls_channels", False):
            channels = self.loss_cls.get_cls_channels(num_classes)
        self.fc_cls = nn.Linear(4, channels)

    def loss(
        self,
        cls_score: Tensor,
        labels: Tensor,
        label_weights: Tensor,
        reduction_override: str | None = None,
    ) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = {}
        avg_factor = max(torch.sum(label_weights > 0).float().item(), 1.0)
        if cls_score.numel() > 0:
            value = self.loss_cls(
                cls_score,
                labels,
                label_weights,
                avg_factor=avg_factor,
                reduction_override=reduction_override,
            )
            losses.update(value if isinstance(value, dict) else {"loss_cls": value})
            if getattr(self.loss_cls, "custom_activation", False):
                losses.update(self.loss_cls.get_accuracy(cls_score, labels))
            else:
                raise NotImplementedError("the softmax accuracy")
        return losses

    def predict(self, cls_score: Tensor, score_thr: float = 0.05) -> list[tuple[int, int, float]]:
        if getattr(self.loss_cls, "custom_cls_channels", False):
            scores = self.loss_cls.get_activation(cls_score)
        else:
            scores = cls_score.softmax(-1)
        scores = scores[:, :-1]  # multiclass_nms drops the background
        kept = torch.nonzero(scores > score_thr)
        return [(int(i), int(c), float(scores[i, c])) for i, c in kept]

    def refined_labels(self, cls_score: Tensor, labels: Tensor) -> Tensor:
        """Cascade R-CNN takes the best class for boxes labelled background."""
        scores = self.loss_cls.get_activation(cls_score)
        if scores.shape[-1] == self.num_classes + 1:
            scores = scores[:, :-1]
        elif scores.shape[-1] != self.num_classes:
            raise ValueError("The last dim of cls_scores is wrong")
        return torch.where(labels == self.num_classes, scores.argmax(1), labels)
