"""The predictor against a double of detectron2's, which cannot be installed here from a wheel."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mlt.detection.detectron2 import attach, detach, make_predictor
from mlt.errors import ConfigError
from mlt.losses import create_loss

K = 3
CLASSES = torch.tensor([0, 1, K, K, 2])  # K is the background


@pytest.fixture
def double(load_double: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = load_double("detectron2_double")
    module.install(monkeypatch)
    return module


def bce(logits: Tensor, targets: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, targets, reduction="none")


def losses(predictor: Any, classes: Tensor = CLASSES) -> dict[str, Tensor]:
    features = torch.randn(len(classes), 4, generator=torch.Generator().manual_seed(0))
    proposals = [SimpleNamespace(gt_classes=part) for part in classes.split(2)]
    torch.manual_seed(0)
    return predictor.losses(predictor(features), proposals)


def test_own_loss_gives_own_number(double: ModuleType) -> None:
    predictor = double.FastRCNNOutputLayers(4, K, use_sigmoid_ce=True)
    model = double.make_model(predictor)
    expected = losses(predictor)
    attach(model, bce)
    got = losses(predictor)
    torch.testing.assert_close(got["loss_cls"], expected["loss_cls"], rtol=1e-6, atol=1e-6)
    assert torch.equal(got["loss_box_reg"], expected["loss_box_reg"])


def test_softmax_predictor_gets_sigmoid_scores_and_its_own_back(double: ModuleType) -> None:
    torch.manual_seed(0)
    predictor = double.FastRCNNOutputLayers(4, K)
    model = double.make_model(predictor)
    names = list(model.state_dict())
    before = losses(predictor)
    features = torch.randn(5, 4)
    logits = predictor(features)[0]
    attach(model, create_loss("focal", reduction="none"))
    attach(model, create_loss("cb_focal", [9, 3, 1], reduction="none", scheme="column"))
    assert list(model.state_dict()) == names
    during = losses(predictor)
    assert during["loss_cls"] != before["loss_cls"]
    assert torch.equal(during["loss_box_reg"], before["loss_box_reg"])
    assert torch.equal(predictor.predict_probs(predictor(features)), logits.sigmoid())
    during["loss_cls"].backward()
    slope = predictor.cls_score.weight.grad
    assert (slope[:-1] != 0).all() and (slope[-1] == 0).all()  # the background has no part
    detach(model)
    assert type(predictor) is double.FastRCNNOutputLayers
    assert torch.equal(losses(predictor)["loss_cls"], before["loss_cls"])
    assert torch.equal(predictor.predict_probs(predictor(features)), logits.softmax(-1))
    with pytest.raises(ConfigError, match="No loss of mlt is attached"):
        detach(model)


def test_made_predictor(double: ModuleType) -> None:
    torch.manual_seed(0)
    predictor = make_predictor(create_loss("bce", reduction="none"))(4, K)
    assert isinstance(predictor, double.FastRCNNOutputLayers)
    torch.manual_seed(0)
    twin = double.FastRCNNOutputLayers(4, K, use_sigmoid_ce=True)
    torch.testing.assert_close(losses(predictor)["loss_cls"], losses(twin)["loss_cls"])


def test_federated_classes_of_detectron2(double: ModuleType) -> None:
    options = {
        "use_sigmoid_ce": True,
        "use_fed_loss": True,
        "fed_loss_num_classes": 4,
        "fed_loss_cls_weights": torch.rand(9),
    }
    torch.manual_seed(1)
    predictor = double.FastRCNNOutputLayers(4, 9, **options)
    classes = torch.tensor([0, 9, 9])
    expected = losses(predictor, classes)["loss_cls"]
    attach(double.make_model(predictor), bce)
    torch.testing.assert_close(losses(predictor, classes)["loss_cls"], expected)


def test_cascade(double: ModuleType) -> None:
    predictors = [double.FastRCNNOutputLayers(4, K) for _ in range(3)]
    model = double.make_model(predictors)
    attach(model, create_loss("focal", reduction="none"))
    assert all(predictor.use_sigmoid_ce for predictor in predictors)
    detach(model)
    assert not any(predictor.use_sigmoid_ce for predictor in predictors)


def test_no_proposals_stay_connected(double: ModuleType) -> None:
    predictor = double.FastRCNNOutputLayers(4, K)
    attach(double.make_model(predictor), create_loss("focal", reduction="none"))
    value = predictor.losses(predictor(torch.zeros(0, 4)), [])["loss_cls"]
    assert value == 0
    value.backward()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_only_background_in_half_precision(double: ModuleType, dtype: torch.dtype) -> None:
    predictor = double.FastRCNNOutputLayers(4, K)
    attach(double.make_model(predictor), create_loss("focal", reduction="none"))
    logits = torch.full((2, K + 1), 12.0, dtype=dtype, requires_grad=True)
    value = predictor.sigmoid_cross_entropy_loss(logits, torch.tensor([K, K]))
    value.backward()
    assert value.dtype == torch.float32 and torch.isfinite(value)
    assert logits.grad is not None and (logits.grad[:, :K] > 0).all()


def test_one_class(double: ModuleType) -> None:
    predictor = double.FastRCNNOutputLayers(4, 1)
    loss = create_loss("cb_focal", [7], reduction="none", scheme="column")
    attach(double.make_model(predictor), loss)
    assert torch.isfinite(losses(predictor, torch.tensor([0, 1]))["loss_cls"])


def test_refusals(double: ModuleType) -> None:
    model = double.make_model(double.FastRCNNOutputLayers(4, K))
    with pytest.raises(ConfigError):
        attach(model, create_loss("bce"))
    with pytest.raises(ConfigError, match="4 classes"):  # the background is no class here
        attach(model, create_loss("cb_bce", [9, 3, 1, 1], reduction="none", scheme="column"))
    with pytest.raises(ConfigError, match="box_predictor"):
        attach(nn.Linear(2, 2), create_loss("bce", reduction="none"))
    with pytest.raises(ConfigError, match="sigmoid mode"):
        attach(double.make_model(nn.Linear(2, 2)), create_loss("bce", reduction="none"))
