"""What mmdet's heads ask of a loss: MltLoss against mmdet's own, call by call."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mlt.detection.mmdet import MltLoss
from mlt.errors import ConfigError, DataError

C = 3


@pytest.fixture
def logits() -> Tensor:
    return torch.randn(8, C, generator=torch.Generator().manual_seed(0)).requires_grad_()


LABELS = torch.tensor([0, 1, 2, C, C, C, 1, C])
HOT = F.one_hot(LABELS, C + 1)[:, :C].float()


def bce(logits: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, HOT, reduction="none")


CALLS: list[dict[str, Any]] = [
    {"avg_factor": 4.0},
    {"weight": torch.tensor([1.0, 1, 1, 1, 0, 0, 0.5, 1]), "avg_factor": 4.0},
    {"weight": torch.rand(8, C, generator=torch.Generator().manual_seed(1)), "avg_factor": 4.0},
    {"weight": torch.rand(8 * C, generator=torch.Generator().manual_seed(1))},
    {},
    {"reduction_override": "sum"},
    {"reduction_override": "none"},
    {"reduction_override": "none", "avg_factor": 9.0},
    {"reduction_override": "mean", "avg_factor": torch.tensor(3.0)},
]


@pytest.mark.parametrize("call", CALLS)
def test_every_call_gives_what_mmdets_focal_loss_gives(call: dict[str, Any]) -> None:
    from mmdet.models.losses import FocalLoss

    theirs: list[Tensor] = []
    for loss in (
        FocalLoss(gamma=1.5, alpha=0.3, loss_weight=2.0),
        MltLoss("focal", gamma=1.5, alpha=0.3, loss_weight=2.0),
    ):
        logits = torch.randn(8, C, generator=torch.Generator().manual_seed(0)).requires_grad_()
        value = loss(logits, LABELS, **call)
        value.sum().backward()
        assert logits.grad is not None
        theirs += [value.detach(), logits.grad]
    torch.testing.assert_close(theirs[2], theirs[0], rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(theirs[3], theirs[1], rtol=1e-5, atol=1e-7)


def test_rows_and_qualities(logits: Tensor) -> None:
    """As YOLOX gives rows, and GFL labels with the quality of their boxes."""
    quality = torch.linspace(0, 1, 8)
    soft = HOT * quality[:, None]
    expected = F.binary_cross_entropy_with_logits(logits, soft, reduction="sum")
    loss = MltLoss("bce", reduction="sum")
    torch.testing.assert_close(loss(logits, soft), expected)
    torch.testing.assert_close(loss(logits, (LABELS, quality)), expected)


def test_scores_and_accuracy(logits: Tensor) -> None:
    loss = MltLoss("bce")
    scores = loss.get_activation(logits)
    assert torch.equal(scores[:, :C], logits.sigmoid()) and (scores[:, C] == 0).all()
    right = (logits.argmax(1) == LABELS)[LABELS < C].float().mean()
    assert loss.get_accuracy(logits, LABELS)["acc_classes"] == pytest.approx(100 * float(right))


def test_wrong_calls(logits: Tensor) -> None:
    loss = MltLoss("bce")
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
    with pytest.raises(ConfigError, match="takes no counts"):
        MltLoss(torch.nn.BCEWithLogitsLoss(reduction="none"), class_counts=[3, 2])
    with pytest.raises(ConfigError, match="softmax loss"):
        MltLoss(torch.nn.CrossEntropyLoss(reduction="none"))


def test_what_a_loss_remembers_is_in_the_checkpoint(logits: Tensor) -> None:
    loss = MltLoss("eqlv2", class_counts=[5, 5, 5])
    loss(logits, LABELS, avg_factor=1.0)
    again = MltLoss("eqlv2", class_counts=[5, 5, 5])
    again.load_state_dict(loss.state_dict())
    assert torch.equal(again.loss.ratio, loss.loss.ratio)
