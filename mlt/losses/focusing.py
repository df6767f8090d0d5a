"""Focusings: what a positive and a negative cost, given the logit of what is true.

Each has the plain formula (``positive``, ``negative``) and the one that comes with its fall, which
is minus its derivative (``positive_fall``, ``negative_fall``).
"""

from __future__ import annotations

from torch import Tensor, nn

from mlt.losses import formulas as terms
from mlt.losses import gradients as slopes
from mlt.losses import part_settings as config
from mlt.losses.gradients import Cost
from mlt.losses.logistic import Logistic

__all__ = ["Focusing", "build_focusing"]


class Focusing(nn.Module):
    """Cross entropy, and the base of the others."""

    symmetric = True
    """Whether a negative at -z costs what a positive at z does."""

    factors: tuple[float, float] = (1.0, 1.0)
    """Constant factors on positives and on negatives."""

    def positive(self, signed: Tensor) -> Tensor:
        """Cost of a positive, given its logit."""
        return terms.cross_entropy(signed)

    def negative(self, signed: Tensor) -> Tensor:
        """Cost of a negative, given minus its logit."""
        return self.positive(signed)

    def positive_fall(self, at: Logistic) -> Cost:
        """Cost of a positive and its fall along its logit."""
        return slopes.cross_entropy(at)

    def negative_fall(self, at: Logistic) -> Cost:
        """Cost of a negative and its fall along minus its logit."""
        return self.positive_fall(at)


class Focal(Focusing):
    """(1 - p_t)^gamma times cross entropy; alpha weighs positives, 1 - alpha negatives."""

    def __init__(self, gamma: float, alpha: float | None = None) -> None:
        super().__init__()
        self.gamma = gamma
        if alpha is not None:
            self.factors = (alpha, 1 - alpha)

    def positive(self, signed: Tensor) -> Tensor:
        """Cost of a positive, given its logit."""
        return terms.focal(signed, self.gamma)

    def positive_fall(self, at: Logistic) -> Cost:
        """Cost of a positive and its fall along its logit."""
        return slopes.focal(at, self.gamma)


class Polynomial(Focal):
    """Focal plus epsilon (1 - p_t)^(gamma + 1)."""

    def __init__(self, epsilon: float, gamma: float, alpha: float | None = None) -> None:
        super().__init__(gamma, alpha)
        self.epsilon = epsilon

    def positive(self, signed: Tensor) -> Tensor:
        """Cost of a positive, given its logit."""
        return terms.polynomial(signed, self.epsilon, self.gamma)

    def positive_fall(self, at: Logistic) -> Cost:
        """Cost of a positive and its fall along its logit."""
        return slopes.polynomial(at, self.epsilon, self.gamma)


class Asymmetric(Focusing):
    """Focal with a gamma for each side, and a probability margin for negatives."""

    symmetric = False

    def __init__(self, gamma_pos: float, gamma_neg: float, clip: float, detached: bool) -> None:
        super().__init__()
        self.gamma_pos = gamma_pos
        self.gamma_neg = gamma_neg
        self.clip = clip
        self.detached = detached

    def positive(self, signed: Tensor) -> Tensor:
        """Cost of a positive, given its logit."""
        return terms.focal(signed, self.gamma_pos, self.detached)

    def negative(self, signed: Tensor) -> Tensor:
        """Cost of a negative, given minus its logit."""
        if self.clip == 0:
            return terms.focal(signed, self.gamma_neg, self.detached)
        return terms.margin_focal(signed, self.gamma_neg, self.clip, self.detached)

    def positive_fall(self, at: Logistic) -> Cost:
        """Cost of a positive and its fall along its logit."""
        return slopes.focal(at, self.gamma_pos, self.detached)

    def negative_fall(self, at: Logistic) -> Cost:
        """Cost of a negative and its fall along minus its logit."""
        if self.clip == 0:
            return slopes.focal(at, self.gamma_neg, self.detached)
        return slopes.margin_focal(at, self.gamma_neg, self.clip, self.detached)


class RobustAsymmetric(Focusing):
    """ASL's negatives times a Hill-like factor, and a polynomial of degree 2 for positives."""

    symmetric = False

    def __init__(self, part: config.RobustAsymmetric) -> None:
        super().__init__()
        self.for_positives = (part.gamma_pos, part.epsilon_pos, part.epsilon_pos_pow)
        self.for_negatives = (part.gamma_neg, part.clip, part.lamb)

    def positive(self, signed: Tensor) -> Tensor:
        """Cost of a positive, given its logit."""
        return terms.robust_positive(signed, *self.for_positives)

    def negative(self, signed: Tensor) -> Tensor:
        """Cost of a negative, given minus its logit."""
        return terms.robust_negative(signed, *self.for_negatives)

    def positive_fall(self, at: Logistic) -> Cost:
        """Cost of a positive and its fall along its logit."""
        return slopes.robust_positive(at, *self.for_positives)

    def negative_fall(self, at: Logistic) -> Cost:
        """Cost of a negative and its fall along minus its logit."""
        return slopes.robust_negative(at, *self.for_negatives)


class Hill(Focal):
    """Focal positives, and negatives (lamb - p) p^2."""

    symmetric = False

    def __init__(self, gamma: float, lamb: float) -> None:
        super().__init__(gamma)
        self.lamb = lamb

    def negative(self, signed: Tensor) -> Tensor:
        """Cost of a negative, given minus its logit."""
        return terms.hill(signed, self.lamb)

    def negative_fall(self, at: Logistic) -> Cost:
        """Cost of a negative and its fall along minus its logit."""
        return slopes.hill(at, self.lamb)


def build_focusing(part: config.Focusing) -> Focusing:
    """Build the focusing that a configuration describes."""
    match part:
        case config.NoFocusing():
            return Focusing()
        case config.Focal():
            return Focal(part.gamma, part.alpha)
        case config.Polynomial():
            return Polynomial(part.epsilon, part.gamma, part.alpha)
        case config.Asymmetric():
            return Asymmetric(part.gamma_pos, part.gamma_neg, part.clip, part.detached)
        case config.RobustAsymmetric():
            return RobustAsymmetric(part)
        case config.Hill():
            return Hill(part.gamma, part.lamb)
