"""Softmax losses where some labels are not known."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from mlt.errors import ConfigError, DataError
from mlt.losses import create_loss
from mlt.losses.seesaw import SeesawLoss
from mlt.losses.softmax_classes import (
    BalancedSoftmaxLoss,
    ClassBalancedSoftmaxLoss,
    LDAMSoftmaxLoss,
    LogitAdjustedSoftmaxLoss,
)
from mlt.losses.softmax_functional import seesaw, softmax_cross_entropy

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
    smaller.num_columns = len(KEPT)
    for key, vector in list(smaller.named_buffers()):
        owner, _, buffer = key.rpartition(".")
        setattr(smaller.get_submodule(owner), buffer, vector[KEPT])
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


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_is_that_of_torch(smoothing: float) -> None:
    logits, labels = torch.randn(6, 5).double(), torch.tensor([0, 2, 3, 3, 2, 4])
    expected = torch.nn.functional.cross_entropy(logits, labels, label_smoothing=smoothing)
    loss = create_loss("ce", label_smoothing=smoothing)
    torch.testing.assert_close(loss(logits, labels), expected)
    torch.testing.assert_close(loss(logits, torch.eye(5)[labels]), expected)


def test_smoothed_rows_weigh_as_their_own_class() -> None:
    logits, labels = torch.randn(3, 5).double(), torch.tensor([0, 4, 2])
    plain = create_loss("ce", label_smoothing=0.1, reduction="none")(logits, labels)
    loss = create_loss("cb_softmax", COUNTS, beta=0.9, label_smoothing=0.1, reduction="none")
    torch.testing.assert_close(loss(logits, labels), loss.weight[labels] * plain)


def test_labels_are_smoothed_over_known_classes_only() -> None:
    logits = torch.tensor([[1.0, 2.0, 9.0]])
    known = torch.tensor([[True, True, False]])
    loss = create_loss("ce", label_smoothing=0.2)
    torch.testing.assert_close(
        loss(logits, torch.tensor([0]), known), loss(logits[:, :2], torch.tensor([0]))
    )


@pytest.mark.parametrize(
    ("name", "options"),
    [("cb_softmax", {"start_epoch": 2}), ("ldam_softmax", {"drw_epoch": 2, "s": 3.0})],
)
def test_deferred_weights_start_at_their_epoch(name: str, options: dict[str, float]) -> None:
    logits, labels = torch.randn(4, 5).double(), torch.tensor([0, 4, 2, 1])
    without = {"cb_softmax": ("ce", {}), "ldam_softmax": ("ldam_softmax", {"s": 3.0})}[name]
    plain = create_loss(without[0], COUNTS, reduction="none", **without[1])(logits, labels)
    loss = create_loss(name, COUNTS, beta=0.9, reduction="none", **options)
    weight = ClassBalancedSoftmaxLoss(COUNTS, beta=0.9).weight[labels]
    for epoch, expected in ((0, plain), (1, plain), (2, weight * plain), (3, weight * plain)):
        loss.set_epoch(epoch)
        torch.testing.assert_close(loss(logits, labels), expected)
        again = create_loss(name, COUNTS, beta=0.9, reduction="none", **options)
        again.load_state_dict(loss.state_dict())  # a resumed run
        torch.testing.assert_close(again(logits, labels), expected)


@pytest.mark.parametrize("name", ["cb_softmax", "balanced_softmax", "logit_adjusted_softmax",
                                  "ldam_softmax", "seesaw"])  # fmt: skip
@pytest.mark.parametrize(("counts", "columns"), [([9, 3, 1], 4), ([9], 4)])
def test_logits_of_other_classes_are_refused(name: str, counts: list[int], columns: int) -> None:
    loss = create_loss(name, counts)
    with pytest.raises(ConfigError, match=f"built with the counts of {len(counts)} classes"):
        loss(torch.zeros(2, columns), torch.eye(columns)[:2])


def test_a_class_index_that_there_is_not_is_refused() -> None:
    for index in (-1, 3):
        with pytest.raises(DataError, match="class indices from 0 to 2"):
            create_loss("ce")(torch.zeros(1, 3), torch.tensor([index]))
