"""The per-label loss: adjustment, focusing and weighting put together."""

from __future__ import annotations

from typing import overload

import torch
from torch import Tensor

from mlt.losses import one_pass
from mlt.losses.adjustment import Adjusted, Adjustment
from mlt.losses.base import Loss
from mlt.losses.focusing import Focusing
from mlt.losses.formulas import mix
from mlt.losses.logistic import Logistic
from mlt.losses.reduce import (
    blank_unknown,
    check_inputs,
    divisor,
    only_known,
)
from mlt.losses.reweighting import Weighting
from mlt.losses.settings import Reduction

__all__ = ["ElementwiseLoss", "PerLabelLoss"]

Number = Tensor | float


class PerLabelLoss(Loss):
    """The base of losses of each label by itself; they say what an element costs, and its slope."""

    couples_rows = False
    """Whether an element's weight depends on other rows; then it is not evaluated in blocks."""

    def forward(self, logits: Tensor, targets: Tensor, known: Tensor | None = None) -> Tensor:
        """Give the loss; see :meth:`Loss.forward`."""
        logits, known = check_inputs(logits, targets, known, self.num_columns)
        keep = self.reduction == "none"

        def plain(z: Tensor) -> Tensor:
            elements = self.elements(z, targets, known)
            return elements if keep else elements.sum()

        if one_pass.wanted(logits, targets) and not self.couples_rows:
            value = one_pass.evaluate(self.elements_and_slopes, plain, logits, targets, known, keep)
        else:
            value = plain(logits)
        return value if keep else value / divisor(self.reduction, logits, known)

    def elements(self, logits: Tensor, targets: Tensor, known: Tensor | None) -> Tensor:
        """Give the loss of each element as a plain differentiable formula.

        Args:
            logits: Shape (..., C), in working precision.
            targets: Same shape.
            known: Same shape, or None.
        """
        raise NotImplementedError

    def elements_and_slopes(
        self, logits: Tensor, targets: Tensor, known: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Give the loss of each element and its slope along its logit, in one pass.

        Args:
            logits: Shape (..., C), in working precision.
            targets: Same shape; bools and integers are known to be binary.
            known: Same shape, or None.
        """
        raise NotImplementedError


class ElementwiseLoss(PerLabelLoss):
    """A loss of each label by itself, made of three parts.

    A label y in [0, 1] costs y w_pos positive(z_pos) + (1 - y) w_neg negative(z_neg): for a soft
    label the mean of the costs of its two readings. Targets of a bool or integer type are binary
    and cost half the work; float targets may be soft.

    Args:
        adjustment: Gives z_pos and z_neg, and a factor on the negative half.
        focusing: Gives the costs.
        weighting: Gives w_pos and w_neg from the targets.
        scale: Constant factor.
        reduction: `none`, `mean`, `sum` or `batchmean`.

    Example:
        >>> loss = ElementwiseLoss(reduction="sum")
        >>> loss(torch.zeros(1, 2), torch.tensor([[1, 0]]))
        tensor(1.3863)
    """

    def __init__(
        self,
        adjustment: Adjustment | None = None,
        focusing: Focusing | None = None,
        weighting: Weighting | None = None,
        scale: float = 1.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(reduction)
        self.adjustment = adjustment or Adjustment()
        self.focusing = focusing or Focusing()
        self.weighting = weighting or Weighting()
        self.scale = scale
        self.couples_rows = self.weighting.couples_rows
        lengths = [len(vector) for vector in self.buffers() if vector.ndim == 1]
        self.num_columns = lengths[0] if lengths else None

    def elements(self, logits: Tensor, targets: Tensor, known: Tensor | None) -> Tensor:
        """Give the loss of each element; see :meth:`PerLabelLoss.elements`."""
        z, y = blank_unknown(logits, targets, known)
        adjusted = self.adjustment(z)
        positive_weight, negative_weight = self._weights(y, known, adjusted)
        positive = _times(positive_weight, self.focusing.positive(adjusted.positive))
        negative = _times(negative_weight, self.focusing.negative(-adjusted.negative))
        return only_known(mix(y, positive, negative), known)

    def elements_and_slopes(
        self, logits: Tensor, targets: Tensor, known: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Give losses and slopes; see :meth:`PerLabelLoss.elements_and_slopes`."""
        z, y = blank_unknown(logits, targets, known)
        adjusted = self.adjustment(z)
        weights = self._weights(y, known, adjusted)
        halves = self._one_half if _are_binary(targets, y) else self._both_halves
        cost, slope = halves(y, adjusted, *weights)
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
        self, targets: Tensor, adjusted: Adjusted, positive_weight: Number, negative_weight: Number
    ) -> tuple[Tensor, Tensor]:
        # A binary label has one half: one evaluation, at the logit of that half. The slope along
        # the logit given is minus the fall for a positive, the fall for a negative.
        rate = _between(targets, -adjusted.positive_rate, adjusted.negative_rate)
        if adjusted.negative is adjusted.positive:  # and moves with the logit: the rate is -+1
            signed = (rate * adjusted.positive).neg_()
        else:
            signed = mix(targets, adjusted.positive, -adjusted.negative)
        at = Logistic.of(signed)
        cost, fall = self.focusing.positive_fall(at)
        if not self.focusing.symmetric:
            other_cost, other_fall = self.focusing.negative_fall(at)
            cost, fall = mix(targets, cost, other_cost), mix(targets, fall, other_fall)
        weight = _between(targets, positive_weight, negative_weight)
        return _times(weight, cost), _times(weight, rate * fall)

    def _both_halves(
        self, targets: Tensor, adjusted: Adjusted, positive_weight: Number, negative_weight: Number
    ) -> tuple[Tensor, Tensor]:
        at = Logistic.of(adjusted.positive)
        positive, positive_fall = self.focusing.positive_fall(at)
        if adjusted.negative is not adjusted.positive:
            at = Logistic.of(adjusted.negative)
        negative, negative_fall = self.focusing.negative_fall(at.flipped())
        return (
            mix(targets, _times(positive_weight, positive), _times(negative_weight, negative)),
            mix(
                targets,
                -adjusted.positive_rate * positive_weight * positive_fall,
                _times(adjusted.negative_rate * negative_weight, negative_fall),
            ),
        )


def _are_binary(targets: Tensor, values: Tensor) -> bool:
    if not targets.is_floating_point():
        return True
    # Looking costs little on a CPU. It would stall another device, and cannot be compiled.
    if torch.compiler.is_compiling() or values.device.type != "cpu":
        return False
    if values.numel() == 0:
        return True
    low, high = torch.addcmul(values, values, values, value=-1).aminmax()  # of y (1 - y)
    return bool(low == 0) and bool(high == 0)


@overload
def _times(factor: Number, values: Tensor) -> Tensor: ...
@overload
def _times(factor: Number, values: Number) -> Number: ...
def _times(factor: Number, values: Number) -> Number:
    if isinstance(factor, float) and factor == 1.0:
        return values
    return factor * values


def _between(targets: Tensor, positive: Number, negative: Number) -> Number:
    """Give `positive` where the target is 1 and `negative` where it is 0."""
    if positive is negative:
        return positive
    if isinstance(positive, Tensor) or isinstance(negative, Tensor):
        return mix(targets, _tensor(positive, targets), _tensor(negative, targets))
    return positive if positive == negative else (targets * (positive - negative)).add_(negative)


def _tensor(value: Number, like: Tensor) -> Tensor:
    return value if isinstance(value, Tensor) else torch.full_like(like[..., :1], value)
