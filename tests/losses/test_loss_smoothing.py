"""Label smoothing, and pos_weight, against torch, timm and the plain formula."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mlt.errors import ConfigError
from mlt.losses import create_loss, list_losses, loss_options

COUNTS = [600, 300, 90, 20, 3]
PER_ELEMENT = [n for n in list_losses() if create_loss(n, COUNTS, 1000).gives == "element"]


def batch(soft: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    logits = 3 * torch.randn(50, 5, generator=generator, dtype=torch.float64)
    targets = torch.rand(50, 5, generator=generator, dtype=torch.float64)
    return logits.requires_grad_(), targets if soft else (targets < 0.3).double()


def value_and_gradient(loss, *arguments: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    value = loss(*arguments)
    return value, *torch.autograd.grad(value.sum(), arguments[0])


def test_every_loss_per_element_can_be_smoothed() -> None:
    assert [n for n in PER_ELEMENT if "label_smoothing" not in loss_options(n)] == []


@pytest.mark.filterwarnings("ignore:Equalization changes nothing", "ignore:The federated")
@pytest.mark.parametrize("name", PER_ELEMENT)
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_costs_are_taken_at_the_smoothed_target(name: str, soft: bool, masked: bool) -> None:
    """Y (1 - e) + e / 2, weights of rows and columns being those of y."""
    logits, targets = batch(soft)
    known = torch.rand(logits.shape) < 0.8 if masked else None
    if known is not None:
        logits = torch.where(known, logits.detach(), torch.nan).requires_grad_()
        targets = torch.where(known, targets, 0)
    smoothed = create_loss(name, COUNTS, 1000, reduction="none", label_smoothing=0.2).eval()
    plain = create_loss(name, COUNTS, 1000, reduction="none").eval()
    # Linear in the costs: positive and negative half, at the weights that y gives to both.
    halves = []
    for half in (torch.ones_like(targets), torch.zeros_like(targets)):
        weighting = getattr(plain, "weighting", None)
        if weighting is not None:
            plain.weighting.forward = lambda *_, forward=weighting.forward: forward(targets, known)
        halves.append(plain(logits, half, known))
        if weighting is not None:
            del plain.weighting.__dict__["forward"]
    y = 0.8 * targets + 0.1
    expected = y * halves[0] + (1 - y) * halves[1]
    expected = expected if known is None else torch.where(known, expected, 0)
    value, gradient = value_and_gradient(smoothed, logits, targets, *([known] if masked else []))
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected.sum(), logits)[0])
    with torch.no_grad():  # the plain formula
        torch.testing.assert_close(smoothed(logits, targets, known), value)


@pytest.mark.parametrize("soft", [False, True])
def test_smoothing_is_timms(soft: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    timm_loss = pytest.importorskip("timm.loss")
    if not hasattr(timm_loss, "DistributionBalancedLoss"):
        pytest.skip("timm before 1.0.31 has no multi-label losses")
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)  # timm casts to float32
    smoothing, none = {"smoothing": 0.1}, {"reduction": "none"}
    theirs = {
        "bce": timm_loss.BinaryCrossEntropy(smooth_dense=True, **smoothing, **none),
        "db_focal": timm_loss.DistributionBalancedLoss(COUNTS, 1000, **smoothing, **none),
        "poly": timm_loss.PolyBinaryCrossEntropy(2.0, 0.0, **smoothing, **none),
    }
    logits, targets = batch(soft)
    for name, peer in theirs.items():
        ours = create_loss(name, COUNTS, 1000, reduction="none", label_smoothing=0.1)
        expected = value_and_gradient(peer, logits, targets)
        torch.testing.assert_close(value_and_gradient(ours, logits, targets), expected)


def test_smoothing_out_of_range() -> None:
    with pytest.raises(ConfigError, match="label_smoothing: Input should be less than 1"):
        create_loss("focal", label_smoothing=1.0)


@pytest.mark.parametrize("soft", [False, True])
def test_pos_weight_is_torchs(soft: bool) -> None:
    counts = torch.tensor(COUNTS).double()
    theirs = nn.BCEWithLogitsLoss(reduction="none", pos_weight=(1000 - counts) / counts)
    ours = create_loss("pos_weight", COUNTS, 1000, reduction="none")
    logits, targets = batch(soft)
    for got, expected in zip(
        value_and_gradient(ours, logits, targets), value_and_gradient(theirs, logits, targets)
    ):
        torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-6)


def test_pos_weight_is_timms_neg_pos() -> None:
    class_weights = pytest.importorskip("timm.loss.class_weights")
    for options in ({}, {"power": 0.5}, {"max_weight": 10.0}):
        _, expected = class_weights.compute_class_weights(COUNTS, 1000, "neg_pos", **options)
        weight = create_loss("pos_weight", COUNTS, 1000, **options).weighting.weight
        torch.testing.assert_close(weight.float(), expected)


def test_pos_weight_balances_a_class() -> None:
    """As many positives as negatives by weight: half of each class at a logit of 0."""
    targets = torch.tensor([[1], [0], [0], [0]])
    loss = create_loss("pos_weight", [1], 4, reduction="none")
    positive, *negatives = loss(torch.zeros(4, 1), targets)
    torch.testing.assert_close(positive, sum(negatives))
