"""A loss of one's own is accepted or refused as those of the package are."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection import RetinaNet
from torchvision.models.detection.retinanet import RetinaNetHead

from mlt.detection import attach, attached_loss, check_loss, check_softmax_loss
from mlt.errors import ConfigError
from mlt.losses import ElementwiseLoss
from mlt.losses.focusing import Focusing


class Squared(nn.Module):
    """Element-wise, and says nothing about itself."""

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        return (logits.sigmoid() - targets).square()


class OfTwoClasses(Squared):
    gives = "element"
    activation = "sigmoid"
    num_columns = 2


class OfRows(nn.Module):
    gives = "row"

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        return (logits.sigmoid() - targets).square().sum(-1)


class SaysElementsGivesRows(OfRows):
    gives = "element"


class MySoftmax(nn.Module):
    gives = "row"
    activation = "softmax"

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(logits, labels, reduction="none", label_smoothing=0.1)


class SilentSoftmax(nn.Module):
    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(logits, labels, reduction="none")


class ScalarSoftmax(nn.Module):
    activation = "softmax"

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(logits, labels)


class Hinge(Focusing):
    """Squared softplus, with no slope of its own."""

    def positive(self, at: Any) -> Tensor:
        return F.softplus(-at) ** 2

    def negative(self, at: Any) -> Tensor:
        return F.softplus(-at) ** 2


def hinge() -> ElementwiseLoss:
    return ElementwiseLoss(focusing=Hinge(), reduction="none")


@pytest.mark.parametrize("loss", [Squared(), OfTwoClasses(), hinge()])
def test_accepted(loss: nn.Module) -> None:
    check_loss(loss, 2)


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (OfTwoClasses(), r"built for 2 classes, but is to be given 3 columns.*num_columns"),
        (OfRows(), r"\(gives = 'row'\).* set gives = \"element\" on it"),
        (SaysElementsGivesRows(), r"gave shape \(2,\) for logits of shape \(2, 3\)"),
        (MySoftmax(), r'softmax loss \(activation = "softmax"\)'),
        (SilentSoftmax(), r'set activation = "softmax" and gives = "row" on it'),
    ],
)
def test_refused_in_a_sigmoid_head(loss: nn.Module, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_loss(loss, 3)


def test_softmax_heads() -> None:
    check_softmax_loss(MySoftmax(), 3)
    with pytest.raises(ConfigError, match=r"ScalarSoftmax gave shape \(\).*gives = \"row\""):
        check_softmax_loss(ScalarSoftmax(), 3)


def test_trying_a_loss_teaches_it_nothing() -> None:
    class Counting(Squared):
        calls = 0

        def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
            self.calls += self.training
            return super().forward(logits, targets)

    loss = Counting()
    check_loss(loss, 3)
    assert loss.calls == 0 and loss.training


@pytest.mark.parametrize("loss", [Squared(), hinge()])
def test_a_detector_learns_by_it(loss: nn.Module) -> None:
    backbone: Any = nn.Identity()
    backbone.out_channels = 4
    model = attach(RetinaNet(backbone, 3, head=RetinaNetHead(4, 1, 3)), loss)
    assert attached_loss(model) is loss
    logits = torch.randn(1, 5, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    matched = torch.tensor([0, -1, 0, -1, -2])  # the last is between the thresholds
    targets = [{"labels": torch.tensor([2])}]
    head: Any = model.head.classification_head
    value = head.compute_loss(targets, {"cls_logits": logits}, [matched])
    hot = torch.zeros(4, 3)
    hot[[0, 2], 2] = 1
    expected = loss(logits[0, :4], hot).sum() / 2
    torch.testing.assert_close(value, expected)
    (gradient,) = torch.autograd.grad(value, logits)
    (wanted,) = torch.autograd.grad(expected, logits)
    torch.testing.assert_close(gradient, wanted)
