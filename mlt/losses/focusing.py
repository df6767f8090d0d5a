"""Focusings: what a positive and a negative cost, given the logit of what is true.

Each has the plain formula (``positive``, ``negative``) and the same with its derivative written out
(``positive_with_derivative``, ``negative_with_derivative``).
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from mlt.losses import formulas, gradients, part_settings
from mlt.losses.gradients import WithDerivative
from mlt.losses.logistic import Logistic
from mlt.losses.one_pass import belongs
from mlt.losses.part_settings import SoftTargets

__all__ = ["Focusing", "build_focusing"]


class Focusing(nn.Module):
    """Cross entropy, and the base of the others: of a loss of one's own, too.

    Override `positive`, or `positive` and `negative`, with differentiable formulas of any shape;
    autograd does the rest. To be evaluated as fast as the losses of this package, a class may add
    `positive_with_derivative` and `negative_with_derivative`; these must then treat each element by
    itself. They count for the formulas beside them only: a subclass that overrides a formula alone
    is differentiated by autograd again.

    Example:
        >>> import torch
        >>> from mlt.losses import ElementwiseLoss
        >>> class SquaredHinge(Focusing):
        ...     def positive(self, signed):
        ...         return (1 - signed).clamp(min=0).square()
        >>> loss = ElementwiseLoss(focusing=SquaredHinge(), reduction="none")
        >>> loss(torch.tensor([[0.5, 0.5]]), torch.tensor([[1, 0]]))
        tensor([[0.2500, 2.2500]])
    """

    symmetric = True
    """Whether a negative at -z costs what a positive at z does: unless `negative` is overridden."""

    written_out = True
    """Whether derivatives of both formulas are written out."""

    factors: tuple[float, float] = (1.0, 1.0)
    """Constant factors on positives and on negatives."""

    mixes = False
    """Whether a soft label has a cost of its own, `mixed`, rather than the mean of the two."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.symmetric = cls.negative is Focusing.negative
        cls.written_out = belongs(cls, "positive_with_derivative", to="positive") and belongs(
            cls, "negative_with_derivative", to="negative"
        )

    def positive(self, signed: Tensor) -> Tensor:
        """Cost of a positive, given its logit."""
        return formulas.cross_entropy(signed)

    def negative(self, signed: Tensor) -> Tensor:
        """Cost of a negative, given minus its logit."""
        return self.positive(signed)

    def positive_with_derivative(self, at: Logistic) -> WithDerivative:
        """Cost of a positive and its derivative along its logit, each in memory of its own."""
        return gradients.cross_entropy(at)

    def negative_with_derivative(self, at: Logistic) -> WithDerivative:
        """Cost of a negative and its derivative along minus its logit."""
        return self.positive_with_derivative(at)

    def mixed(self, positive: Tensor, negative: Tensor, targets: Tensor) -> Tensor:
        """Cost of a soft label, given the logit of a positive and minus that of a negative."""
        raise NotImplementedError

    def mixed_with_derivatives(
        self, positive: Logistic, negative: Logistic, targets: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The same with its derivatives along both."""
        raise NotImplementedError


class _FocalPower(Focusing):
    """What focal and asymmetric focusing do with a soft label, if they mix it."""

    mixed_options: tuple[tuple[float, float], float, bool]
    """Both gammas, the margin, and whether the gradient stops at the power."""

    def mixed(self, positive: Tensor, negative: Tensor, targets: Tensor) -> Tensor:
        """Cost of a soft label, given the logit of a positive and minus that of a negative."""
        return formulas.mixed_focal(positive, negative, targets, *self.mixed_options)

    def mixed_with_derivatives(
        self, positive: Logistic, negative: Logistic, targets: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The same with its derivatives along both."""
        return gradients.mixed_focal(positive, negative, targets, *self.mixed_options)


class Focal(_FocalPower):
    """(1 - p_t)^gamma times cross entropy; alpha weighs positives, 1 - alpha negatives."""

    def __init__(
        self, gamma: float, alpha: float | None = None, soft_targets: SoftTargets = "mean"
    ) -> None:
        super().__init__()
        self.gamma = gamma
        self.mixes = soft_targets == "mixed"
        self.mixed_options = ((gamma, gamma), 0.0, False)
        if alpha is not None:
            self.factors = (alpha, 1 - alpha)

    def positive(self, signed: Tensor) -> Tensor:
        """Cost of a positive, given its logit."""
        return formulas.focal(signed, self.gamma)

    def positive_with_derivative(self, at: Logistic) -> WithDerivative:
        """Cost of a positive and its derivative along its logit."""
        return gradients.focal(at, self.gamma)


class Polynomial(Focal):
    """Focal plus epsilon (1 - p_t)^(gamma + 1)."""

    def __init__(self, epsilon: float, gamma: float, alpha: float | None = None) -> None:
        super().__init__(gamma, alpha)
        self.epsilon = epsilon

    def positive(self, signed: Tensor) -> Tensor:
        """Cost of a positive, given its logit."""
        return formulas.polynomial(signed, self.epsilon, self.gamma)

    def positive_with_derivative(self, at: Logistic) -> WithDerivative:
        """Cost of a positive and its derivative along its logit."""
        return gradients.polynomial(at, self.epsilon, self.gamma)


class Asymmetric(_FocalPower):
    """Focal with a gamma for each side, and a probability margin for negatives."""

    def __init__(
        self,
        gamma_pos: float,
        gamma_neg: float,
        clip: float,
        detached: bool,
        soft_targets: SoftTargets = "mean",
    ) -> None:
        super().__init__()
        self.mixes = soft_targets == "mixed"
        self.mixed_options = ((gamma_pos, gamma_neg), clip, detached)
        self.gamma_pos = gamma_pos
        self.gamma_neg = gamma_neg
        self.clip = clip
        self.detached = detached

    def positive(self, signed: Tensor) -> Tensor:
        """Cost of a positive, given its logit."""
        return formulas.focal(signed, self.gamma_pos, self.detached)

    def negative(self, signed: Tensor) -> Tensor:
        """Cost of a negative, given minus its logit."""
        if self.clip == 0:
            return formulas.focal(signed, self.gamma_neg, self.detached)
        return formulas.margin_focal(signed, self.gamma_neg, self.clip, self.detached)

    def positive_with_derivative(self, at: Logistic) -> WithDerivative:
        """Cost of a positive and its derivative along its logit."""
        return gradients.focal(at, self.gamma_pos, self.detached)

    def negative_with_derivative(self, at: Logistic) -> WithDerivative:
        """Cost of a negative and its derivative along minus its logit."""
        if self.clip == 0:
            return gradients.focal(at, self.gamma_neg, self.detached)
        return gradients.margin_focal(at, self.gamma_neg, self.clip, self.detached)


class RobustAsymmetric(Focusing):
    """ASL's negatives times a Hill-like factor, and a polynomial of degree 2 for positives."""

    def __init__(self, part: part_settings.RobustAsymmetric) -> None:
        super().__init__()
        self.for_positives = (part.gamma_pos, part.epsilon_pos, part.epsilon_pos_pow)
        self.for_negatives = (part.gamma_neg, part.clip, part.lamb)

    def positive(self, signed: Tensor) -> Tensor:
        """Cost of a positive, given its logit."""
        return formulas.robust_positive(signed, *self.for_positives)

    def negative(self, signed: Tensor) -> Tensor:
        """Cost of a negative, given minus its logit."""
        return formulas.robust_negative(signed, *self.for_negatives)

    def positive_with_derivative(self, at: Logistic) -> WithDerivative:
        """Cost of a positive and its derivative along its logit."""
        return gradients.robust_positive(at, *self.for_positives)

    def negative_with_derivative(self, at: Logistic) -> WithDerivative:
        """Cost of a negative and its derivative along minus its logit."""
        return gradients.robust_negative(at, *self.for_negatives)


class Hill(Focal):
    """Focal positives, and negatives (lamb - p) p^2."""

    def __init__(self, gamma: float, lamb: float) -> None:
        super().__init__(gamma)
        self.lamb = lamb

    def negative(self, signed: Tensor) -> Tensor:
        """Cost of a negative, given minus its logit."""
        return formulas.hill(signed, self.lamb)

    def negative_with_derivative(self, at: Logistic) -> WithDerivative:
        """Cost of a negative and its derivative along minus its logit."""
        return gradients.hill(at, self.lamb)


def build_focusing(part: part_settings.Focusing) -> Focusing:
    """Build the focusing that a configuration describes."""
    match part:
        case part_settings.NoFocusing():
            return Focusing()
        case part_settings.Focal():
            return Focal(part.gamma, part.alpha, part.soft_targets)
        case part_settings.Polynomial():
            return Polynomial(part.epsilon, part.gamma, part.alpha)
        case part_settings.Asymmetric():
            return Asymmetric(
                part.gamma_pos, part.gamma_neg, part.clip, part.detached, part.soft_targets
            )
        case part_settings.RobustAsymmetric():
            return RobustAsymmetric(part)
        case part_settings.Hill():
            return Hill(part.gamma, part.lamb)
