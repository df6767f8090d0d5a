"""Softmax losses where some labels are not known."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from mlt.losses.softmax_classes import (
    BalancedSoftmaxLoss,
    ClassBalancedSoftmaxLoss,
    LDAMSoftmaxLoss,
    LogitAdjustedSoftmaxLoss,
    SeesawLoss,
    seesaw,
    softmax_cross_entropy,
)

COUNTS = [60, 30, 9, 2, 1]
KEPT = [0, 2, 3]


def seesaw_loss(reduction: str) -> SeesawLoss:
    loss = SeesawLoss(len(COUNTS), reduction=reduction)
    loss.counts = torch.tensor(COUNTS).double()
    return loss.eval()


MAKERS: dict[str, Callable[[str], torch.nn.Module]] = {
    "balanced": lambda r: BalancedSoftmaxLoss(COUNTS, reduction=r),
    "class_balanced": lambda r: ClassBalancedSoftmaxLoss(COUNTS, reduction=r),
    "ldam": lambda r: LDAMSoftmaxLoss(COUNTS, s=3, reduction=r),
    "logit_adjusted": lambda r: LogitAdjustedSoftmaxLoss(COUNTS, tau=0.7, reduction=r),
    "seesaw": seesaw_loss,
}


def value_and_gradient(loss: Callable[..., Tensor], logits: Tensor, *rest: Tensor) -> list[Tensor]:
    z = logits.clone().requires_grad_()
    value = loss(z, *rest)
    (gradient,) = torch.autograd.grad(value.sum(), z)
    return [value.detach(), gradient]


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("filler", [0.0, 9.0, torch.nan])
@pytest.mark.parametrize("soft", [False, True])
def test_a_masked_class_is_as_good_as_removed(
    name: str, reduction: str, filler: float, soft: bool
) -> None:
    logits = torch.randn(6, 5, generator=torch.Generator().manual_seed(0)).double() * 3
    targets = torch.zeros(6, 5).double()
    targets[range(6), [0, 2, 3, 3, 2, 0]] = 1
    if soft and name != "seesaw":  # whose rows are one-hot
        targets = 0.8 * targets + 0.1
    known = torch.zeros(6, 5, dtype=torch.bool)
    known[:, KEPT] = True
    loss, smaller = MAKERS[name](reduction), MAKERS[name](reduction)
    for key, vector in smaller.named_buffers():
        setattr(smaller, key, vector[KEPT])
    value, gradient = value_and_gradient(
        loss, logits.where(known, filler), targets.where(known, filler), known
    )
    expected, smaller_gradient = value_and_gradient(smaller, logits[:, KEPT], targets[:, KEPT])
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(gradient[:, KEPT], smaller_gradient)
    assert not gradient[~known].any()


def test_an_unknown_class_plays_no_part_in_the_probabilities_of_seesaw() -> None:
    logits, counts = torch.tensor([[0.0, 2.0, 9.0]]), torch.tensor([10.0, 10.0, 10.0])
    known = torch.tensor([[True, True, False]])
    masked = seesaw(logits, torch.tensor([0]), counts, known)
    torch.testing.assert_close(masked, seesaw(logits[:, :2], torch.tensor([0]), counts[:2]))


def test_seesaw_counts_known_labels_only() -> None:
    loss = SeesawLoss(3)
    rows = torch.tensor([[1.0, 0.0, torch.nan], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    known = torch.tensor([[True, True, False], [True, False, True], [True, True, True]])
    loss(torch.zeros(3, 3), rows, known)
    assert loss.counts.tolist() == [1, 0, 1]


def test_a_row_of_unknown_labels_costs_nothing() -> None:
    logits = torch.full((2, 3), torch.nan, requires_grad=True)
    unknown = torch.zeros(2, 3, dtype=torch.bool)
    for loss in (SeesawLoss(3), ClassBalancedSoftmaxLoss([9, 5, 1]), softmax_cross_entropy):
        value, gradient = value_and_gradient(loss, logits.detach(), torch.tensor([0, 1]), unknown)
        assert not value.any()
        assert not gradient.any()
