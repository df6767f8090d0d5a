"""Against the implementations of timm and torchvision, within 1e-6."""

from __future__ import annotations

import pytest
import timm.loss as timm_loss
import torch

from mlt.losses import create_loss, functional
from mlt.losses.class_weights import effective_number_weights, sum_to_classes

COUNTS = [600, 300, 90, 20, 3]


@pytest.fixture(autouse=True)
def timm_in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    # timm casts to float32, whose rounding is as large as the tolerance.
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)


def batch(soft: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    logits = 3 * torch.randn(50, 5, generator=generator, dtype=torch.float64)
    targets = torch.rand(50, 5, generator=generator, dtype=torch.float64)
    return logits.requires_grad_(), targets if soft else (targets < 0.3).double()


def check(ours, theirs, soft: bool = False) -> None:
    logits, targets = batch(soft)
    value, expected = ours(logits, targets), theirs(logits, targets)
    torch.testing.assert_close(value, expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(
        torch.autograd.grad(value.sum(), logits),
        torch.autograd.grad(expected.sum(), logits),
        rtol=1e-6,
        atol=1e-6,
    )


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("alpha", [None, 0.25])
def test_focal_is_torchvisions(gamma: float, alpha: float | None, soft: bool) -> None:
    from torchvision.ops import sigmoid_focal_loss

    def theirs(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return sigmoid_focal_loss(logits, targets, -1 if alpha is None else alpha, gamma)

    options = {"gamma": gamma, "alpha": alpha, "soft_targets": "mixed" if soft else "mean"}
    check(create_loss("focal", reduction="none", **options), theirs, soft)
    check(lambda z, y: functional.focal(z, y, **options), theirs, soft)


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("neg_scale", [2.0, 5.0])
def test_distribution_balanced_is_timms(soft: bool, neg_scale: float) -> None:
    theirs = timm_loss.DistributionBalancedLoss(COUNTS, 1000, neg_scale=neg_scale, reduction="none")
    ours = create_loss("db_focal", COUNTS, 1000, reduction="none", neg_scale=neg_scale)
    check(ours, theirs, soft)
    counts = torch.tensor(COUNTS)
    check(
        lambda z, y: functional.distribution_balanced(z, y, counts, 1000, neg_scale=neg_scale),
        theirs,
        soft,
    )


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("gamma_pos", [0.0, 1.0])
@pytest.mark.parametrize("clip", [0.0, 0.05])
@pytest.mark.parametrize("detached", [False, True])
def test_asymmetric_is_timms(gamma_pos: float, clip: float, detached: bool, soft: bool) -> None:
    theirs = timm_loss.AsymmetricLossMultiLabel(
        gamma_pos=gamma_pos,
        clip=clip,
        disable_torch_grad_focal_loss=detached,
        reduction="none",
    )
    options = {"gamma_pos": gamma_pos, "clip": clip, "detached": detached}
    options["soft_targets"] = "mixed" if soft else "mean"
    check(create_loss("asl", reduction="none", **options), theirs, soft)
    check(lambda z, y: functional.asymmetric(z, y, **options), theirs, soft)


@pytest.mark.parametrize(
    ("name", "mean", "mixed"), [("focal", 0.387, 0.005), ("asl", 0.395, 0.0001)]
)
def test_both_readings_of_a_soft_target(name: str, mean: float, mixed: float) -> None:
    # The numbers of docs/losses.md: a label of 0.1 at logit -4.
    for kind, expected in (("mean", mean), ("mixed", mixed)):
        loss = create_loss(name, soft_targets=kind)
        value = loss(torch.tensor([[-4.0]]), torch.tensor([[0.1]]))
        assert value.item() == pytest.approx(expected, abs=6e-4)


@pytest.mark.parametrize("name", ["focal", "asl"])
@pytest.mark.parametrize("dtype", [torch.int64, torch.float32])
def test_mixed_soft_targets_leave_binary_ones_alone(name: str, dtype: torch.dtype) -> None:
    logits = batch()[0].detach().float().requires_grad_()
    targets = batch()[1].to(dtype)
    mean, mixed = (create_loss(name, soft_targets=kind) for kind in ("mean", "mixed"))
    torch.testing.assert_close(mixed(logits, targets), mean(logits, targets))
    torch.testing.assert_close(
        torch.autograd.grad(mixed(logits, targets), logits),
        torch.autograd.grad(mean(logits, targets), logits),
    )


@pytest.mark.parametrize("clip", [0.0, 0.05])
def test_mixed_label_smoothing_is_timms(clip: float) -> None:
    theirs = timm_loss.AsymmetricLossMultiLabel(clip=clip, reduction="none")
    options = {"clip": clip, "label_smoothing": 0.2, "soft_targets": "mixed"}
    check(create_loss("asl", reduction="none", **options), lambda z, y: theirs(z, 0.8 * y + 0.1))


@pytest.mark.parametrize("gamma", [0.0, 2.0])
@pytest.mark.parametrize("epsilon", [2.0, -1.0])
def test_poly_is_timms(gamma: float, epsilon: float) -> None:
    theirs = timm_loss.PolyBinaryCrossEntropy(epsilon, gamma, reduction="none")
    check(create_loss("poly", reduction="none", gamma=gamma, epsilon=epsilon), theirs)


def test_coupled_losses_are_timms() -> None:
    check(create_loss("two_way"), timm_loss.TwoWayLoss())
    check(create_loss("zlpr"), timm_loss.ZlprLoss())


@pytest.mark.parametrize("beta", [0.9, 0.999, 0.9999])
def test_effective_number_is_timms(beta: float) -> None:
    from timm.loss.class_weights import compute_class_weights

    _, expected = compute_class_weights(COUNTS, 1000, method="effective_num", beta=beta)
    counts = torch.tensor(COUNTS).double().numpy()
    weights = torch.from_numpy(sum_to_classes(effective_number_weights(counts, beta)))
    torch.testing.assert_close(weights, expected.double(), rtol=1e-6, atol=0)
