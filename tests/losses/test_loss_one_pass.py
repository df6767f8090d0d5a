"""Values and gradients computed in one pass, against autograd through the plain formulas."""

from __future__ import annotations

import pytest
import torch

from mlt.class_counts import ClassCounts
from mlt.losses import Loss, build_loss, create_loss, list_losses, one_pass
from mlt.losses.part_settings import Focal
from mlt.losses.reduce import blank_unknown, only_known
from mlt.losses.settings import Composition

COUNTS = [500, 300, 90, 20, 3]
ONE_PASS = [n for n in list_losses("sigmoid") if n not in ("two_way", "zlpr", "federated", "eqlv2")]
OTHERS = ["two_way", "zlpr"]

pytestmark = pytest.mark.filterwarnings("ignore:All class weights")


def make(name: str, reduction: str = "none", **options: object) -> Loss:
    loss = create_loss(name, COUNTS, 1000, reduction=reduction, **options)
    loss.set_epoch(1)  # SPLC corrects
    return loss


def batch(kind: str, rows: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    logits = 4 * torch.randn(rows, 5, generator=generator, dtype=torch.float64)
    targets = torch.rand(rows, 5, generator=generator, dtype=torch.float64)
    if kind != "soft":
        targets = (targets < 0.3).to(torch.bool if kind == "bool" else torch.float64)
    return logits.requires_grad_(), targets


def elements(
    loss: Loss, logits: torch.Tensor, targets: torch.Tensor, known: torch.Tensor | None = None
) -> torch.Tensor:
    """The plain formula, given what it is given in the loss."""
    return only_known(loss.elements(*blank_unknown(logits, targets, known), known), known)


@pytest.mark.parametrize("name", ONE_PASS)
@pytest.mark.parametrize("kind", ["soft", "binary", "bool"])
@pytest.mark.parametrize("masked", [False, True])
def test_agrees_with_autograd(name: str, kind: str, masked: bool) -> None:
    logits, targets = batch(kind)
    known = torch.rand(logits.shape) < 0.8 if masked else None
    weights = torch.rand_like(logits)
    loss = make(name)
    value = loss(logits, targets, known)
    assert "WithSlope" in type(value.grad_fn).__name__
    plain = elements(loss, logits, targets, known)
    torch.testing.assert_close(value, plain, rtol=1e-9, atol=1e-12)
    (grad,) = torch.autograd.grad((weights * value).sum(), logits)
    (expected,) = torch.autograd.grad((weights * plain).sum(), logits)
    torch.testing.assert_close(grad, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("focal", {"gamma": 3.7}),
        ("focal", {"gamma": 1}),
        ("focal", {"gamma": 5, "alpha": 0.25}),
        ("poly", {"gamma": 1, "alpha": 0.25}),
        ("asl", {"gamma_pos": 0, "gamma_neg": 0}),
        ("asl", {"gamma_neg": 1, "clip": 0, "detached": True}),
        ("asl", {"gamma_neg": 0.5, "detached": True}),
        ("focal", {"soft_targets": "mixed", "gamma": 0.5, "alpha": 0.25}),
        ("focal", {"soft_targets": "mixed", "label_smoothing": 0.1}),
        ("asl", {"soft_targets": "mixed"}),
        ("asl", {"soft_targets": "mixed", "clip": 0, "gamma_neg": 0.5}),
        ("asl", {"soft_targets": "mixed", "detached": True}),
        ("ral", {"gamma_pos": 1, "gamma_neg": 0, "clip": 0}),
        ("ral", {"gamma_pos": 0.5, "gamma_neg": 1}),
        ("hill", {"gamma": 0, "lamb": 2}),
        ("splc", {"gamma": 0}),
    ],
)
@pytest.mark.parametrize("kind", ["soft", "binary"])
def test_agrees_with_autograd_for_other_options(name: str, options: dict, kind: str) -> None:
    logits, targets = batch(kind)
    loss = make(name, **options)
    value, plain = loss(logits, targets), elements(loss, logits, targets)
    torch.testing.assert_close(value, plain, rtol=1e-9, atol=1e-12)
    (grad,) = torch.autograd.grad(value.sum(), logits)
    (expected,) = torch.autograd.grad(plain.sum(), logits)
    torch.testing.assert_close(grad, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["focal", "db_focal", "cb_bce", "asl"])
@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_blocks_change_nothing(name: str, reduction: str, monkeypatch: pytest.MonkeyPatch) -> None:
    logits, targets = batch("binary", rows=41)
    known = torch.rand(logits.shape) < 0.8
    results = []
    for limit in (10_000, 50):  # 41 rows at once, then 10 rows at a time and a rest of 1
        monkeypatch.setitem(one_pass.BLOCK_ELEMENTS, "cpu", limit)
        value = make(name, reduction)(logits, targets, known)
        results.append((value, *torch.autograd.grad(value.sum(), logits)))
    torch.testing.assert_close(results[0], results[1])


@pytest.mark.parametrize("name", ONE_PASS + OTHERS)
def test_gradcheck(name: str) -> None:
    logits, targets = batch("binary" if name in OTHERS else "soft", rows=3)
    with torch.no_grad():
        logits.mul_(0.5)
    loss = make(name, "none" if name in ONE_PASS else "mean")
    if name not in ("asl", "balanced_asl", "ral", "splc") or logits.abs().min() > 1e-3:
        assert torch.autograd.gradcheck(lambda z: loss(z, targets), logits)


@pytest.mark.parametrize("name", ONE_PASS + OTHERS)
def test_second_derivatives(name: str) -> None:
    logits, targets = batch("binary", rows=3)
    with torch.no_grad():
        logits.mul_(0.5)
    loss = make(name, "none" if name in ONE_PASS else "mean")
    assert torch.autograd.gradgradcheck(lambda z: loss(z, targets), logits)


@pytest.mark.parametrize("name", ["db_focal", "asl", "two_way"])
def test_autocast_changes_nothing(name: str) -> None:
    logits, targets = batch("binary")
    z = logits.detach().bfloat16().requires_grad_()
    loss = make(name, "mean")
    value = loss(z, targets)
    with torch.autocast("cpu", torch.bfloat16):
        under = loss(z, targets)
    assert under.dtype == torch.float32
    torch.testing.assert_close(under, value, rtol=0, atol=0)


def test_gradients_to_targets_go_through_the_plain_formula() -> None:
    logits, targets = batch("soft")
    targets.requires_grad_()
    make("focal", "sum")(logits, targets).backward()
    assert targets.grad.abs().max() > 0


def test_a_second_backward_pass_gives_the_same() -> None:
    logits, targets = batch("binary")
    value = make("focal", "mean")(logits, targets)
    first = torch.autograd.grad(value, logits, retain_graph=True)
    torch.testing.assert_close(torch.autograd.grad(value, logits), first)


def test_torch_func_grad() -> None:
    logits, targets = batch("binary")
    loss = make("db_focal", "mean")
    (expected,) = torch.autograd.grad(loss(logits, targets), logits)
    torch.testing.assert_close(torch.func.grad(loss)(logits.detach(), targets), expected)


@pytest.mark.parametrize("rows", [5, 3000])  # in one piece, in blocks
def test_elements_may_be_changed_in_place(rows: int) -> None:
    """Frameworks multiply what a loss of each element gives by weights of their own, in place."""
    torch.manual_seed(0)
    logits = torch.randn(rows, 80, requires_grad=True)
    targets = (torch.rand(rows, 80) < 0.1).float()
    weights = torch.rand(80)
    loss = create_loss("focal", reduction="none")
    elements = loss(logits, targets)
    elements *= weights
    (gradient,) = torch.autograd.grad(elements.sum(), logits)
    (expected,) = torch.autograd.grad((loss(logits, targets) * weights).sum(), logits)
    torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("clip", [1e-20, 1e-8, 1e-4, 0.05])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("asl", {}),
        ("asl", {"gamma_neg": 0}),
        ("asl", {"gamma_neg": 0.5}),
        ("asl", {"detached": True}),
        ("ral", {}),
    ],
)
def test_a_small_margin_costs_float32_no_digits(name: str, options: dict, clip: float) -> None:
    # As 1 - x, what is left of a probability next to 1 would be 0, and its logarithm infinite.
    loss = make(name, clip=clip, **options)
    logits = torch.tensor([[-3.0, 3.0, 15.0, 20.0, 200.0]], requires_grad=True)
    exact = logits.detach().double().requires_grad_()
    targets = torch.zeros(1, 5)
    expected = loss.elements(exact, targets.double(), None)
    (expected_slope,) = torch.autograd.grad(expected.sum(), exact)
    # Autograd's own sigmoid keeps fewer digits of a slope next to 0 than one pass does.
    for value, atol in (
        (loss(logits, targets), 1e-12),
        (loss.elements(logits, targets, None), 5e-6),
    ):
        (slope,) = torch.autograd.grad(value.sum(), logits)
        torch.testing.assert_close(value, expected.float(), rtol=1e-5, atol=1e-12)
        torch.testing.assert_close(slope, expected_slope.float(), rtol=1e-5, atol=atol)


def test_mixed_soft_targets_with_every_other_part() -> None:
    """Two logits per label, a factor on the negative half and weights of both kinds."""
    part = Composition.model_validate(
        {
            "adjustment": {"name": "negative_tolerant"},
            "focusing": {"name": "focal", "soft_targets": "mixed"},
            "weighting": {"name": "pos_weight"},
            "scale": 2,
            "reduction": "none",
        }
    )
    loss = build_loss(part, ClassCounts.from_counts(COUNTS, 1000))
    logits, targets = batch("soft")
    value, plain = loss(logits, targets), elements(loss, logits, targets)
    torch.testing.assert_close(value, plain, rtol=1e-9, atol=1e-12)
    (grad,) = torch.autograd.grad(value.sum(), logits)
    (expected,) = torch.autograd.grad(plain.sum(), logits)
    torch.testing.assert_close(grad, expected, rtol=1e-9, atol=1e-12)
    for label in (0, 1):  # a binary label costs what it costs anyway
        part = part.model_copy(update={"focusing": Focal(name="focal")})
        mean = build_loss(part, ClassCounts.from_counts(COUNTS, 1000))
        binary = torch.full_like(targets, label)
        torch.testing.assert_close(loss(logits, binary), mean(logits, binary))
