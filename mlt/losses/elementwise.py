"""The per-label loss: adjustment, focusing and weighting put together."""

from __future__ import annotations

from typing import Any, overload

import torch
from torch import Tensor, nn

from mlt.errors import ConfigError
from mlt.losses import one_pass
from mlt.losses.adjustment import Adjusted, Adjustment
from mlt.losses.base import Loss
from mlt.losses.focusing import Focusing
from mlt.losses.formulas import mix
from mlt.losses.logistic import Logistic
from mlt.losses.reduce import (
    blank_unknown,
    check_cost,
    check_inputs,
    check_label_smoothing,
    divisor,
    only_known,
    smooth,
)
from mlt.losses.reweighting import Weighting
from mlt.losses.settings import Reduction

__all__ = ["ElementwiseLoss", "PerLabelLoss"]

Number = Tensor | float


class PerLabelLoss(Loss):
    """The base of losses that are a number per row and class; reductions and masks are done here.

    Override `elements` with a differentiable formula; autograd does the rest. To be evaluated as
    fast as the losses of this package, a class may add `elements_and_slopes`; each element must
    then depend on its own logit alone.

    Example:
        >>> class SquaredError(PerLabelLoss):
        ...     def elements(self, logits, targets, known):
        ...         return (logits.sigmoid() - targets).square()
        >>> SquaredError()(torch.zeros(1, 2), torch.tensor([[1, 0]]))
        tensor(0.2500)
    """

    written_out = False
    """Whether `elements_and_slopes` is that of `elements`."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.written_out = one_pass.belongs(cls, "elements_and_slopes", to="elements")

    def forward(self, logits: Tensor, targets: Tensor, known: Tensor | None = None) -> Tensor:
        """Return the loss; see :meth:`Loss.forward`."""
        logits, known = check_inputs(logits, targets, known, self.num_columns)
        keep = self.reduction == "none"

        def plain(z: Tensor) -> Tensor:
            elements = self.elements(*blank_unknown(z, targets, known), known)
            check_cost(elements, z, self, "elements")
            elements = only_known(elements, known)
            return elements if keep else elements.sum()

        if one_pass.wanted(logits, targets) and self._has_slopes():
            value = one_pass.evaluate(self.elements_and_slopes, plain, logits, targets, known, keep)
        else:
            value = plain(logits)
        return value if keep else value / divisor(self.reduction, logits, known)

    def _has_slopes(self) -> bool:
        # Slopes are those along the logits only: a parameter needs autograd.
        return self.written_out and not _has_parameters(self)

    def elements(self, logits: Tensor, targets: Tensor, known: Tensor | None) -> Tensor:
        """Return the loss of each element as a plain differentiable formula.

        Args:
            logits: Shape (..., C), in working precision; 0 where unknown.
            targets: Same shape and type; 0 where unknown.
            known: Same shape, or None. What is returned where it is False does not matter.
        """
        raise NotImplementedError

    def elements_and_slopes(
        self, logits: Tensor, targets: Tensor, known: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return the loss of each element and its slope along its logit, 0 where unknown.

        Args:
            logits: Shape (..., C), in working precision; anything where unknown.
            targets: Same shape; bools and integers are known to be binary.
            known: Same shape, or None.
        """
        raise NotImplementedError


class ElementwiseLoss(PerLabelLoss):
    """A loss of each label by itself, made of three parts.

    A label y in [0, 1] costs y w_pos positive(z_pos) + (1 - y) w_neg negative(z_neg): for a soft
    label the mean of the costs of its two readings, unless the focusing has a cost of its own for
    it (`mixes`), whose weight is y w_pos + (1 - y) w_neg. Targets of a bool or integer type are
    binary and cost half the work; float targets may be soft.

    Args:
        adjustment: Gives z_pos and z_neg, and a factor on the negative half; None for z, z and 1.
        focusing: Gives the costs; None for cross entropy.
        weighting: Gives w_pos and w_neg from the targets; None for 1 and 1.
        scale: Constant factor.
        label_smoothing: e in [0, 1): costs are taken at y (1 - e) + e / 2, binary or soft; the
            weights are those of y.
        reduction: `none`, `mean`, `sum` or `batchmean`.

    Raises:
        ConfigError: If an option is out of range, or two parts are for different numbers of
            classes.

    Example:
        >>> loss = ElementwiseLoss(reduction="sum")
        >>> loss(torch.zeros(1, 2), torch.tensor([[1, 0]]))
        tensor(1.3863)
    """

    def __init__(
        self,
        *,
        adjustment: Adjustment | None = None,
        focusing: Focusing | None = None,
        weighting: Weighting | None = None,
        scale: float = 1.0,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(reduction)
        _check_part("adjustment", adjustment, Adjustment)
        _check_part("focusing", focusing, Focusing)
        _check_part("weighting", weighting, Weighting)
        self.adjustment = adjustment or Adjustment()
        self.focusing = focusing or Focusing()
        self.weighting = weighting or Weighting()
        self.scale = scale
        self.label_smoothing = check_label_smoothing(label_smoothing)
        self.num_columns = _common_length(self.adjustment, self.weighting)

    def _has_slopes(self) -> bool:
        return (
            self.adjustment.written_out
            and self.focusing.written_out
            and not self.weighting.couples_rows  # blocks of rows are evaluated one by one
            and super()._has_slopes()
        )

    def elements(self, logits: Tensor, targets: Tensor, known: Tensor | None) -> Tensor:
        """Return the loss of each element; see :meth:`PerLabelLoss.elements`."""
        adjusted = self.adjustment(logits)
        positive_weight, negative_weight = self._weights(targets, known, adjusted)
        y = smooth(targets, self.label_smoothing)
        if self.focusing.mixes:
            cost = self.focusing.mixed(adjusted.positive, -adjusted.negative, y)
            return _times(_between(y, positive_weight, negative_weight), cost)
        return mix(
            y,
            _times(positive_weight, self._cost("positive", adjusted.positive)),
            _times(negative_weight, self._cost("negative", -adjusted.negative)),
        )

    def _cost(self, half: str, signed: Tensor) -> Tensor:
        cost = getattr(self.focusing, half)(signed)
        check_cost(cost, signed, self.focusing, half)
        return cost

    def elements_and_slopes(
        self, logits: Tensor, targets: Tensor, known: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return losses and slopes; see :meth:`PerLabelLoss.elements_and_slopes`."""
        z, y = blank_unknown(logits, targets, known)
        adjusted = self.adjustment(z)
        weights = self._weights(y, known, adjusted)
        one_half = self.label_smoothing == 0 and _are_binary(targets, y)
        halves = self._one_half if one_half else self._both_halves
        cost, slope = halves(y, adjusted, self.adjustment.rates(z), weights)
        return only_known(cost, known), only_known(slope, known)

    def _weights(
        self, targets: Tensor, known: Tensor | None, adjusted: Adjusted
    ) -> tuple[Number, Number]:
        with torch.no_grad():
            positive, negative = self.weighting(targets, known)
        positive_factor, negative_factor = self.focusing.factors
        return (
            _times(self.scale * positive_factor, positive),
            _times(self.scale * negative_factor * adjusted.negative_factor, negative),
        )

    def _one_half(
        self,
        targets: Tensor,
        adjusted: Adjusted,
        rates: tuple[Number, Number],
        weights: tuple[Number, Number],
    ) -> tuple[Tensor, Tensor]:
        # A binary label has one half: one evaluation, at the signed logit of that half.
        sign = (2 * targets).sub_(1)
        if adjusted.negative is adjusted.positive:
            signed = sign * adjusted.positive
        else:
            signed = mix(targets, adjusted.positive, -adjusted.negative)
        at = Logistic.of(signed)
        cost, derivative = self.focusing.positive_with_derivative(at)
        if not self.focusing.symmetric:
            others = self.focusing.negative_with_derivative(at)
            cost, derivative = mix(targets, cost, others[0]), mix(targets, derivative, others[1])
        weight = _between(targets, *weights)
        slope = _times(weight, _times(_between(targets, *rates), derivative.mul_(sign)))
        return _times(weight, cost), slope

    def _both_halves(
        self,
        targets: Tensor,
        adjusted: Adjusted,
        rates: tuple[Number, Number],
        weights: tuple[Number, Number],
    ) -> tuple[Tensor, Tensor]:
        at = at_positive = Logistic.of(adjusted.positive)
        if adjusted.negative is not adjusted.positive:
            at = Logistic.of(adjusted.negative)
        y = smooth(targets, self.label_smoothing)
        if self.focusing.mixes:
            cost, *along = self.focusing.mixed_with_derivatives(at_positive, at.flipped(), y)
            weight = _between(y, *weights)
            slope = _times(rates[0], along[0]) - _times(rates[1], along[1])
            return _times(weight, cost), _times(weight, slope)
        positive, positive_derivative = self.focusing.positive_with_derivative(at_positive)
        negative, negative_derivative = self.focusing.negative_with_derivative(at.flipped())
        return (
            mix(y, _times(weights[0], positive), _times(weights[1], negative)),
            mix(
                y,
                _times(rates[0] * weights[0], positive_derivative),
                _times(-rates[1] * weights[1], negative_derivative),
            ),
        )


def _check_part(name: str, given: object, kind: type) -> None:
    if given is not None and not isinstance(given, kind):
        what = f"the class {given.__name__}" if isinstance(given, type) else repr(given)
        raise ConfigError(
            f"{name} is {what}; expected an instance of mlt.losses.{kind.__name__} or of a class "
            "of your own derived from it. Losses with a name are made by create_loss."
        )


def _has_parameters(module: nn.Module) -> bool:
    # As module.parameters(), but in a fifth of its time, which a small batch notices.
    return bool(module._parameters) or any(
        _has_parameters(child) for child in module._modules.values() if child is not None
    )


def _common_length(*parts: Adjustment | Weighting) -> int | None:
    lengths = [part.num_columns for part in parts if part.num_columns is not None]
    if len(set(lengths)) > 1:
        raise ConfigError(
            f"The adjustment is for {lengths[0]} classes and the weighting for {lengths[1]}; build "
            "both from the same counts."
        )
    return lengths[0] if lengths else None


def _are_binary(targets: Tensor, values: Tensor) -> bool:
    if not targets.is_floating_point():
        return True
    # Looking costs little on a CPU. It would stall another device, and cannot be compiled.
    if torch.compiler.is_compiling() or values.device.type != "cpu":
        return False
    return torch.equal(values * values, values)


@overload
def _times(factor: Number, values: Tensor) -> Tensor: ...
@overload
def _times(factor: Number, values: Number) -> Number: ...
def _times(factor: Number, values: Number) -> Number:
    if isinstance(factor, float) and factor == 1.0:
        return values
    return factor * values


def _between(targets: Tensor, positive: Number, negative: Number) -> Number:
    """Return `positive` where the target is 1 and `negative` where it is 0."""
    if positive is negative:
        return positive
    if isinstance(positive, Tensor) or isinstance(negative, Tensor):
        return mix(targets, _tensor(positive, targets), _tensor(negative, targets))
    return positive if positive == negative else (targets * (positive - negative)).add_(negative)


def _tensor(value: Number, like: Tensor) -> Tensor:
    return value if isinstance(value, Tensor) else torch.full_like(like[..., :1], value)
