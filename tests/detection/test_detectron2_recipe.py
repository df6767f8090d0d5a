"""The recipe of the documentation, word for word, on a stand-in for detectron2's predictor.

detectron2 itself cannot be installed from PyPI: what is tested is what the recipe computes.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mlt.errors import ConfigError
from mlt.losses import create_loss

K = 3
LABELS = torch.tensor([0, 2, K, K, 1])


class FastRCNNOutputLayers(nn.Module):
    """The attributes and methods of detectron2's that the recipe touches."""

    def __init__(self) -> None:
        super().__init__()
        self.num_classes = K
        self.use_sigmoid_ce = False
        self.cls_score = nn.Linear(4, K + 1)

    def sigmoid_cross_entropy_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        raise AssertionError("the recipe replaces it")


@pytest.fixture
def recipe(repository: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    page = (repository / "docs" / "detection_frameworks.md").read_text()
    (code,) = re.findall(r"```python\n(from detectron2.*?)```", page, re.DOTALL)
    for name in ("", ".modeling", ".modeling.roi_heads", ".modeling.roi_heads.fast_rcnn"):
        module: Any = ModuleType(f"detectron2{name}")
        module.FastRCNNOutputLayers = FastRCNNOutputLayers
        monkeypatch.setitem(sys.modules, module.__name__, module)
    namespace: dict[str, Any] = {}
    exec(code, namespace)
    return namespace


def attached(recipe: dict[str, Any], name: str = "bce", **options: Any) -> FastRCNNOutputLayers:
    predictor = FastRCNNOutputLayers()
    model = SimpleNamespace(roi_heads=SimpleNamespace(box_predictor=predictor))
    recipe["attach"](model, create_loss(name, reduction="none", **options))
    return predictor


def test_value_and_gradient(recipe: dict[str, Any]) -> None:
    predictor = attached(recipe)
    assert predictor.use_sigmoid_ce
    logits = torch.randn(5, K + 1, generator=torch.Generator().manual_seed(0), requires_grad=True)
    value = predictor.sigmoid_cross_entropy_loss(logits, LABELS)
    hot = F.one_hot(LABELS, K + 1)[:, :K].float()
    expected = F.binary_cross_entropy_with_logits(logits[:, :K], hot, reduction="sum") / 5
    torch.testing.assert_close(value, expected)
    value.backward()
    assert logits.grad is not None
    assert (logits.grad[:, :K] != 0).all() and (logits.grad[:, K] == 0).all()


def test_no_boxes(recipe: dict[str, Any]) -> None:
    logits = torch.zeros(0, K + 1, requires_grad=True)
    value = attached(recipe).sigmoid_cross_entropy_loss(logits, LABELS[:0])
    value.backward()
    assert value == 0


def test_a_cascade_and_what_the_loss_remembers(recipe: dict[str, Any]) -> None:
    stages = nn.ModuleList([FastRCNNOutputLayers(), FastRCNNOutputLayers()])
    model = SimpleNamespace(roi_heads=SimpleNamespace(box_predictor=stages))
    recipe["attach"](model, create_loss("eqlv2", [9, 5, 3], reduction="none"))
    assert all(stage.use_sigmoid_ce for stage in stages)
    assert any("mlt_loss" in key for key in stages.state_dict())


def test_a_loss_that_does_not_fit_is_refused(recipe: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="counts of 4 classes"):
        attached(recipe, "cb_bce", class_counts=[9, 5, 3, 2], beta=0.9)
