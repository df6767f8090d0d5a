"""Losses from outside: every public base with the one method that its docstring names."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mlt.errors import ConfigError
from mlt.losses import (
    Adjusted,
    Adjustment,
    ElementwiseLoss,
    FocalLoss,
    Focusing,
    Loss,
    PerLabelLoss,
    SelfPacedLoss,
    Weighting,
    create_loss,
    one_pass,
)
from mlt.losses.adjustment import Margin, PriorShift
from mlt.losses.focusing import Asymmetric, Focal, Hill
from mlt.losses.reweighting import ColumnWeighting


class SquaredPositive(Focusing):
    def positive(self, signed: Tensor) -> Tensor:
        return torch.nn.functional.softplus(-signed) ** 2


class SquaredNegative(Focusing):
    def negative(self, signed: Tensor) -> Tensor:
        return torch.nn.functional.softplus(-signed) ** 2


class SquaredFocal(Focal):
    def positive(self, signed: Tensor) -> Tensor:
        return super().positive(signed) ** 2


class FocalNegative(Focal):
    def negative(self, signed: Tensor) -> Tensor:
        return torch.sigmoid(-signed) ** 3


class HillPositive(Hill):
    def positive(self, signed: Tensor) -> Tensor:
        return torch.sigmoid(-signed) ** 3


class AsymmetricNegative(Asymmetric):
    def negative(self, signed: Tensor) -> Tensor:
        return torch.sigmoid(-signed) ** 3


class FromAMixin:
    def positive(self, signed: Tensor) -> Tensor:
        return torch.sigmoid(-signed) ** 3


class MixedIn(FromAMixin, Focal):
    pass


class WithAParameter(Focusing):
    def __init__(self) -> None:
        super().__init__()
        self.power = nn.Parameter(torch.tensor(1.5, dtype=torch.float64))

    def positive(self, signed: Tensor) -> Tensor:
        return torch.sigmoid(-signed) ** self.power


class ACoupledCost(Focusing):
    def positive(self, signed: Tensor) -> Tensor:
        return torch.nn.functional.softplus(-signed) / (1 + signed.square().mean())


class Temperature(Adjustment):
    def forward(self, logits: Tensor) -> Adjusted:
        return Adjusted(logits / 2, logits / 2)


class Centred(Adjustment):
    def forward(self, logits: Tensor) -> Adjusted:
        return Adjusted(logits - logits.mean(-1, keepdim=True), 1.5 * logits, 0.5)


class BentShift(PriorShift):
    def forward(self, logits: Tensor) -> Adjusted:
        shifted = logits.sinh() + self.shift
        return Adjusted(shifted, shifted)


class NegativesOfTheBatch(Weighting):
    def forward(self, targets: Tensor, known: Tensor | None = None) -> tuple[Any, Any]:
        return 1.0, targets.mean(0)


class ColumnsOfTheBatch(ColumnWeighting):
    def forward(self, targets: Tensor, known: Tensor | None = None) -> tuple[Any, Any]:
        return self.weight, targets.mean(0)


class SquaredError(PerLabelLoss):
    def elements(self, logits: Tensor, targets: Tensor, known: Tensor | None) -> Tensor:
        return (logits.sigmoid() - targets).square()


class RowError(PerLabelLoss):
    def elements(self, logits: Tensor, targets: Tensor, known: Tensor | None) -> Tensor:
        return (logits.softmax(-1) - targets).square()


class DoubledFocal(FocalLoss):
    def elements(self, logits: Tensor, targets: Tensor, known: Tensor | None) -> Tensor:
        return 2 * super().elements(logits, targets, known).square()


class SquaredSPLC(SelfPacedLoss):
    def elements(self, logits: Tensor, targets: Tensor, known: Tensor | None) -> Tensor:
        return super().elements(logits, targets, known).square()


class WholeLoss(Loss):
    def forward(self, logits: Tensor, targets: Tensor, known: Tensor | None = None) -> Tensor:
        elements = (logits.sigmoid() - targets.to(logits.dtype)).square()
        return elements if self.reduction == "none" else elements.mean()


def focused(focusing: Focusing, reduction: Any) -> Loss:
    return ElementwiseLoss(focusing=focusing, reduction=reduction)


SHIFT = torch.tensor([0.1, -1.0, -2.0, 0.3], dtype=torch.float64)
LOSSES = {
    "positive": lambda r: focused(SquaredPositive(), r),
    "negative": lambda r: focused(SquaredNegative(), r),
    "focal, positive": lambda r: focused(SquaredFocal(2.0), r),
    "focal, negative": lambda r: focused(FocalNegative(2.0), r),
    "hill, positive": lambda r: focused(HillPositive(2.0, 1.5), r),
    "asymmetric, negative": lambda r: focused(AsymmetricNegative(0.0, 4.0, 0.05, False), r),
    "mixin": lambda r: focused(MixedIn(2.0), r),
    "parameter": lambda r: focused(WithAParameter(), r),
    "coupled cost": lambda r: focused(ACoupledCost(), r),
    "temperature": lambda r: ElementwiseLoss(adjustment=Temperature(), reduction=r),
    "centred": lambda r: ElementwiseLoss(adjustment=Centred(), reduction=r),
    "bent shift": lambda r: ElementwiseLoss(adjustment=BentShift(SHIFT), reduction=r),
    "weighting": lambda r: ElementwiseLoss(weighting=NegativesOfTheBatch(), reduction=r),
    "column weighting": lambda r: ElementwiseLoss(
        weighting=ColumnsOfTheBatch(SHIFT.exp()), reduction=r
    ),
    "elements": lambda r: SquaredError(r),
    "elements of a row": lambda r: RowError(r),
    "elements of a focal loss": lambda r: DoubledFocal(reduction=r),
    "elements of SPLC": lambda r: SquaredSPLC(reduction=r),
    "loss": lambda r: WholeLoss(r),
}


def formula(name: str, z: Tensor, y: Tensor) -> Tensor:
    """The loss of each element, written out by hand."""
    loss = LOSSES[name]("none")
    if isinstance(loss, ElementwiseLoss) and not isinstance(loss, FocalLoss):
        parts = loss.adjustment(z), loss.weighting(y), loss.focusing
        adjusted, (positive_weight, negative_weight), focusing = parts
        return y * positive_weight * focusing.positive(adjusted.positive) + (
            1 - y
        ) * negative_weight * adjusted.negative_factor * focusing.negative(-adjusted.negative)
    return loss.elements(z, y, None) if isinstance(loss, PerLabelLoss) else loss(z, y)


def batch(kind: str, rows: int = 6) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(rows, 4, generator=generator, dtype=torch.float64)
    targets = torch.rand(rows, 4, generator=generator, dtype=torch.float64)
    if kind != "soft":
        targets = (targets < 0.4).to(torch.bool if kind == "bool" else torch.float64)
    return logits.requires_grad_(), targets


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("kind", ["bool", "binary", "soft"])
@pytest.mark.parametrize("reduction", ["none", "mean"])
@pytest.mark.parametrize("block", [10_000, 8])
def test_value_and_gradient_are_those_of_what_was_overridden(
    name: str, kind: str, reduction: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(one_pass.BLOCK_ELEMENTS, "cpu", block)
    logits, targets = batch(kind)
    loss = LOSSES[name](reduction)
    value = loss(logits, targets)
    with torch.no_grad():
        torch.testing.assert_close(loss(logits, targets), value)
    expected = formula(name, logits, targets.double())
    expected = expected if reduction == "none" else expected.mean()
    torch.testing.assert_close(value, expected)
    weights = torch.rand_like(value)
    (gradient,) = torch.autograd.grad(value, logits, weights)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, logits, weights)[0])


@pytest.mark.parametrize("name", LOSSES)
def test_finite_differences(name: str) -> None:
    logits, targets = batch("binary", rows=3)
    loss = LOSSES[name]("none")
    assert torch.autograd.gradcheck(lambda z: loss(z, targets), logits)
    assert torch.autograd.gradgradcheck(lambda z: loss(z, targets), logits)


@pytest.mark.slow
@pytest.mark.parametrize("name", LOSSES)
def test_compiled(name: str) -> None:
    logits, targets = batch("binary")
    loss = LOSSES[name]("mean")
    torch._dynamo.reset()
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    (gradient,) = torch.autograd.grad(compiled(logits, targets), logits)
    torch.testing.assert_close(gradient, torch.autograd.grad(loss(logits, targets), logits)[0])


COUPLED = ("loss", "coupled cost", "centred", "elements of a row")
"""Losses here that look at the other logits of a row, which are 0 where unknown."""


@pytest.mark.parametrize("name", [name for name in LOSSES if name not in COUPLED])
def test_a_masked_label_costs_nothing(name: str) -> None:
    logits, targets = batch("binary")
    known = torch.rand(logits.shape, generator=torch.Generator().manual_seed(1)) < 0.7
    loss, results = LOSSES[name]("mean"), []
    for filler in (0.0, torch.nan):
        z = torch.where(known, logits.detach(), filler).requires_grad_()
        value = loss(z, torch.where(known, targets, filler), known)
        (gradient,) = torch.autograd.grad(value, z)
        assert not gradient[~known].any()
        results += [(value, gradient)]
    torch.testing.assert_close(results[0], results[1])


def test_the_cost_in_the_issue() -> None:
    # softplus(-s)**2 was 0.220 where a gradient was wanted: plain cross entropy.
    loss = ElementwiseLoss(focusing=SquaredPositive())
    logits, targets = torch.tensor([[1.0, -2.0]], requires_grad=True), torch.tensor([[1, 0]])
    value = loss(logits, targets)
    expected = torch.nn.functional.softplus(torch.tensor([-1.0, -2.0])).square().mean()
    torch.testing.assert_close(value, expected)


def test_a_parameter_of_a_loss_is_trained() -> None:
    loss = ElementwiseLoss(focusing=WithAParameter())
    logits, targets = batch("binary")
    loss(logits, targets).backward()
    assert loss.focusing.power.grad.abs() > 0
    learned = Focal(nn.Parameter(torch.tensor(2.0)))  # derivatives along logits are written out
    ElementwiseLoss(focusing=learned)(logits, targets).backward()
    assert learned.gamma.grad.abs() > 0


def test_derivatives_that_are_written_out_are_used_where_they_belong() -> None:
    class Both(Focal):
        def positive(self, signed: Tensor) -> Tensor:
            return super().positive(signed)

        def positive_with_derivative(self, at: Any) -> Any:
            return super().positive_with_derivative(at)

    class Renamed(Focal):
        pass

    class RowByRow(NegativesOfTheBatch):
        couples_rows = False

    for focusing in (Focusing(), Focal(2.0), Both(2.0), Renamed(2.0), Hill(2.0, 1.5)):
        assert focusing.written_out, focusing
    for focusing in (SquaredPositive(), SquaredNegative(), SquaredFocal(2.0), MixedIn(2.0)):
        assert not focusing.written_out, focusing
    assert Margin(torch.tensor(1.0)).written_out
    assert not Temperature().written_out
    assert NegativesOfTheBatch().couples_rows
    assert not RowByRow().couples_rows
    logits, targets = batch("binary")
    for loss in (ElementwiseLoss(), ElementwiseLoss(focusing=Both(2.0)), create_loss("db", *DB)):
        assert "WithSlope" in type(loss(logits, targets).grad_fn.next_functions[0][0]).__name__


DB = ([5, 4, 3, 2], 9)


class Mean(Focusing):
    def positive(self, signed: Tensor) -> Tensor:
        return signed.mean()


class Plain(Focusing):
    def negative(self, signed: Tensor) -> float:
        return 1.0


class Reduced(PerLabelLoss):
    def elements(self, logits: Tensor, targets: Tensor, known: Tensor | None) -> Tensor:
        return logits.mean(0)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (ElementwiseLoss(focusing=Mean()), r"^Mean\.positive returns shape \(\) for .* \(2, 3\)"),
        (ElementwiseLoss(focusing=Plain()), r"^Plain\.negative returns float for logits"),
        (Reduced(), r"^Reduced\.elements returns shape \(3,\) for logits of shape \(2, 3\)"),
    ],
)
def test_a_formula_that_reduces_by_itself_is_refused(loss: Loss, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        loss(torch.zeros(2, 3, requires_grad=True), torch.zeros(2, 3))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"focusing": SquaredPositive}, "focusing is the class SquaredPositive; expected an inst"),
        ({"focusing": "focal"}, "focusing is 'focal'; expected an instance of mlt.losses.Focusing"),
        ({"weighting": [1, 2]}, r"weighting is \[1, 2\]; expected an instance"),
        ({"adjustment": 3}, "adjustment is 3; expected an instance of mlt.losses.Adjustment"),
    ],
)
def test_parts_of_another_type_are_refused(parts: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ElementwiseLoss(**parts)
