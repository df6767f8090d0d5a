"""The loss module against a double of mmdet's heads; mmdet itself cannot be installed here."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mlt.detection.mmdet import MltLoss, register
from mlt.errors import ConfigError, DataError

C = 3
EPS = torch.finfo(torch.float32).eps
BCE: dict[str, Any] = {"type": "MltLoss", "name": "bce", "use_sigmoid": True}


@pytest.fixture
def double(load_double: Callable[[str], ModuleType]) -> ModuleType:
    return load_double("mmdet_double")


@pytest.fixture
def models(double: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Any:
    registry = double.install(monkeypatch)
    register()
    register()  # again is fine
    return registry


@pytest.fixture
def logits() -> Tensor:
    return torch.randn(8, C, generator=torch.Generator().manual_seed(0)).requires_grad_()


LABELS = torch.tensor([0, 1, 2, C, C, C, 1, C])
HOT = F.one_hot(LABELS, C + 1)[:, :C].float()


def bce(logits: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, HOT, reduction="none")


def test_dense_head(double: ModuleType, models: Any, logits: Tensor) -> None:
    head = double.DenseHead(models, C, {**BCE, "loss_weight": 2.0})
    assert head.cls_out_channels == C
    weights = torch.tensor([1.0, 1, 1, 1, 0, 0, 1, 1])  # two anchors are left out
    level = logits.reshape(2, 2, 2, C).permute(0, 3, 1, 2)  # (B, C, H, W), one anchor a place
    value = head.anchor_loss(level, LABELS.view(2, 4), weights.view(2, 4))
    torch.testing.assert_close(value, 2 * (bce(logits) * weights[:, None]).sum() / (4 + EPS))
    value.backward()
    assert logits.grad is not None and (logits.grad[4:6] == 0).all()
    assert (logits.grad[:4] != 0).all()


def test_fcos(double: ModuleType, models: Any, logits: Tensor) -> None:
    head = double.DenseHead(models, C, BCE)
    losses = head.fcos_loss(logits, LABELS)
    torch.testing.assert_close(losses["loss_cls"], bce(logits).sum() / (4 + EPS))
    right = (logits.argmax(1) == LABELS)[LABELS < C].float().mean()
    torch.testing.assert_close(losses["acc_classes"], 100 * right)


def test_query_head(double: ModuleType, models: Any, logits: Tensor) -> None:
    head = double.QueryHead(models, C, BCE)
    assert head.cls_out_channels == C
    value = head.loss(logits.view(2, 4, C), LABELS, torch.ones(8))
    torch.testing.assert_close(value, bce(logits).sum() / (4 + EPS))


def test_quality_targets(double: ModuleType, models: Any, logits: Tensor) -> None:
    head = double.DenseHead(models, C, BCE)
    quality = torch.linspace(0, 1, 8)
    value = head.quality_loss(logits, LABELS, quality, torch.ones(8))
    soft = HOT * quality[:, None]
    expected = F.binary_cross_entropy_with_logits(logits, soft, reduction="sum")
    torch.testing.assert_close(value, expected)


def test_soft_rows(double: ModuleType, models: Any, logits: Tensor) -> None:
    head = double.DenseHead(models, C, {**BCE, "reduction": "sum"})
    soft = 0.7 * HOT
    expected = F.binary_cross_entropy_with_logits(logits, soft, reduction="sum") / 4
    torch.testing.assert_close(head.yolox_loss(logits, soft, 4.0), expected)


def test_two_stage_head(double: ModuleType, models: Any, logits: Tensor) -> None:
    head = double.BoxHead(models, C, BCE)
    assert head.fc_cls.out_features == C
    losses = head.loss(logits, LABELS, torch.ones(8))
    torch.testing.assert_close(losses["loss_cls"], bce(logits).sum() / (8 + EPS))
    assert "acc_classes" in losses and "loss" not in "acc_classes"
    elements = head.loss(logits, LABELS, torch.ones(8), reduction_override="none")["loss_cls"]
    torch.testing.assert_close(elements, bce(logits))
    refined = head.refined_labels(logits, LABELS)
    assert torch.equal(refined[LABELS < C], LABELS[LABELS < C])
    assert torch.equal(refined[LABELS == C], logits.argmax(1)[LABELS == C])


def test_scores_are_a_sigmoid_of_each_class_in_both_kinds_of_head(
    double: ModuleType, models: Any, logits: Tensor
) -> None:
    logits = logits.detach()
    expected = [
        (i, c, pytest.approx(float(logits[i, c].sigmoid())))
        for i in range(8)
        for c in range(C)
        if logits[i, c].sigmoid() > 0.05
    ]
    assert double.BoxHead(models, C, BCE).predict(logits) == expected
    assert double.DenseHead(models, C, BCE).predict(logits) == expected
    everything = double.DenseHead(models, C, BCE).predict(logits, score_thr=0.0)
    assert {c for _, c, _ in everything} == {0, 1, 2}  # no background, even without a threshold


@pytest.mark.parametrize("shape", [(8,), (8, C), (8 * C,)])
def test_weight_shapes(shape: tuple[int, ...], logits: Tensor) -> None:
    weight = torch.rand(shape, generator=torch.Generator().manual_seed(1))
    columns = weight[:, None] if shape == (8,) else weight.view(8, C)
    value = MltLoss("bce")(logits, LABELS, weight, avg_factor=2.0)
    torch.testing.assert_close(value, (bce(logits) * columns).sum() / (2 + EPS))


def test_reductions(logits: Tensor) -> None:
    loss = MltLoss("bce", loss_weight=0.5)
    torch.testing.assert_close(loss(logits, LABELS), 0.5 * bce(logits).mean())
    override: Any
    for override, expected in (
        ("sum", bce(logits).sum()),
        ("none", bce(logits)),
        ("mean", bce(logits).mean()),
    ):
        got = loss(logits, LABELS, reduction_override=override)
        torch.testing.assert_close(got, 0.5 * expected)
    untouched = loss(logits, LABELS, avg_factor=9.0, reduction_override="none")
    torch.testing.assert_close(untouched, 0.5 * bce(logits))
    with pytest.raises(ValueError, match="avg_factor"):
        loss(logits, LABELS, avg_factor=9.0, reduction_override="sum")
    with pytest.raises(ConfigError, match="reduction must be"):
        loss(logits, LABELS, reduction_override="median")
    with pytest.raises(ConfigError, match="weight has shape"):
        loss(logits, LABELS, torch.ones(5))


def test_labels_that_are_left_out(logits: Tensor) -> None:
    labels = LABELS.clone()
    labels[0], labels[1] = -1, 255
    loss = MltLoss("bce")
    value = loss(logits, labels, avg_factor=1.0, ignore_index=255)
    torch.testing.assert_close(value, bce(logits)[2:].sum())
    with pytest.raises(DataError, match="255"):
        loss(logits, labels, avg_factor=1.0)


def test_nothing_to_learn_from() -> None:
    logits = torch.zeros(0, C, requires_grad=True)
    for avg_factor in (None, 1.0):
        value = MltLoss("focal")(logits, torch.zeros(0, dtype=torch.int64), avg_factor=avg_factor)
        assert value == 0
        value.backward()
    logits = torch.zeros(4, C, requires_grad=True)
    value = MltLoss("focal")(logits, torch.full((4,), C), torch.zeros(4), avg_factor=1.0)
    value.backward()
    assert value == 0 and logits.grad is not None and (logits.grad == 0).all()


def test_one_class() -> None:
    loss = MltLoss("cb_focal", class_counts=[7], scheme="column")
    value = loss(torch.zeros(2, 1), torch.tensor([0, 1]), avg_factor=1.0)
    assert torch.isfinite(value)
    assert loss.get_cls_channels(1) == 1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype: torch.dtype) -> None:
    logits = torch.full((2, C), 12.0, dtype=dtype, requires_grad=True)
    value = MltLoss("focal")(logits, torch.tensor([0, C]), avg_factor=1.0)
    value.backward()
    assert value.dtype == torch.float32 and torch.isfinite(value)
    assert logits.grad is not None and torch.isfinite(logits.grad).all()


def test_weight_on_an_absent_class_changes_only_its_negatives(logits: Tensor) -> None:
    labels = LABELS.clamp(max=C).where(LABELS != 2, C)
    even = MltLoss("cb_bce", class_counts=[5, 5, 5], scheme="column", beta=0.9)
    rare = MltLoss("cb_bce", class_counts=[5, 5, 1], scheme="column", beta=0.9, normalise=False)
    plain = MltLoss("cb_bce", class_counts=[5, 5, 5], scheme="column", beta=0.9, normalise=False)
    assert torch.isfinite(even(logits, labels))
    one = rare(logits, labels, reduction_override="none")
    other = plain(logits, labels, reduction_override="none")
    assert torch.equal(one[:, :2], other[:, :2]) and (one[:, 2] > other[:, 2]).all()


def test_refusals() -> None:
    with pytest.raises(ConfigError, match="use_sigmoid"):
        MltLoss("bce", use_sigmoid=False)
    with pytest.raises(ConfigError):
        MltLoss("zlpr")
    with pytest.raises(ConfigError, match="2 classes"):
        MltLoss("cb_bce", class_counts=[5, 5], scheme="column", beta=0.9).get_cls_channels(C)
    with pytest.raises(ConfigError):
        MltLoss("bce", class_weight=1.0)


def test_what_a_loss_remembers_is_in_the_checkpoint(logits: Tensor) -> None:
    loss = MltLoss("eqlv2", class_counts=[5, 5, 5])
    loss(logits, LABELS, avg_factor=1.0)
    again = MltLoss("eqlv2", class_counts=[5, 5, 5])
    again.load_state_dict(loss.state_dict())
    assert torch.equal(again.loss.ratio, loss.loss.ratio)


def test_custom_imports(double: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = double.install(monkeypatch)
    monkeypatch.delitem(sys.modules, "mlt.detection.mmdet_registered", raising=False)
    importlib.import_module("mlt.detection.mmdet_registered")
    assert registry.modules == {"MltLoss": MltLoss}
