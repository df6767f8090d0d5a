"""Focusings: what a positive and a negative cost, given the logit of their half."""

from __future__ import annotations

from torch import Tensor, nn

from mlt.config import loss_parts as config
from mlt.losses import terms

__all__ = ["Focusing", "build_focusing"]


class Focusing(nn.Module):
    """Cross entropy, and the base of the others."""

    def positive(self, logits: Tensor) -> Tensor:
        """Cost of a positive at these logits."""
        return terms.cross_entropy_term(logits)

    def negative(self, logits: Tensor) -> Tensor:
        """Cost of a negative at these logits."""
        return terms.cross_entropy_term(-logits)


class Focal(Focusing):
    """(1 - p_t)^gamma times cross entropy; alpha weighs positives, 1 - alpha negatives."""

    def __init__(self, gamma: float, alpha: float | None = None) -> None:
        super().__init__()
        self.gamma = gamma
        self.alpha = alpha

    def cost(self, signed: Tensor) -> Tensor:
        """Cost of a label whose true side has this logit."""
        return terms.focal_term(signed, self.gamma)

    def positive(self, logits: Tensor) -> Tensor:
        """Cost of a positive at these logits."""
        cost = self.cost(logits)
        return cost if self.alpha is None else self.alpha * cost

    def negative(self, logits: Tensor) -> Tensor:
        """Cost of a negative at these logits."""
        cost = self.cost(-logits)
        return cost if self.alpha is None else (1 - self.alpha) * cost


class Polynomial(Focal):
    """Focal plus epsilon (1 - p_t)^(gamma + 1)."""

    def __init__(self, epsilon: float, gamma: float, alpha: float | None = None) -> None:
        super().__init__(gamma, alpha)
        self.epsilon = epsilon

    def cost(self, signed: Tensor) -> Tensor:
        """Cost of a label whose true side has this logit."""
        return terms.polynomial_term(signed, self.epsilon, self.gamma)


class Asymmetric(Focusing):
    """Focal with a gamma for each side, and a probability margin for negatives."""

    def __init__(self, gamma_pos: float, gamma_neg: float, clip: float, detached: bool) -> None:
        super().__init__()
        self.gamma_pos = gamma_pos
        self.gamma_neg = gamma_neg
        self.clip = clip
        self.detached = detached

    def positive(self, logits: Tensor) -> Tensor:
        """Cost of a positive at these logits."""
        return terms.focal_term(logits, self.gamma_pos, self.detached)

    def negative(self, logits: Tensor) -> Tensor:
        """Cost of a negative at these logits."""
        if self.clip == 0:
            return terms.focal_term(-logits, self.gamma_neg, self.detached)
        return terms.margin_focal_negative(logits, self.gamma_neg, self.clip, self.detached)


class RobustAsymmetric(Focusing):
    """ASL's negatives times a Hill-like factor, and a polynomial of degree 2 for positives."""

    def __init__(self, part: config.RobustAsymmetric) -> None:
        super().__init__()
        self.part = part

    def positive(self, logits: Tensor) -> Tensor:
        """Cost of a positive at these logits."""
        part = self.part
        return terms.robust_positive(logits, part.gamma_pos, part.epsilon_pos, part.epsilon_pos_pow)

    def negative(self, logits: Tensor) -> Tensor:
        """Cost of a negative at these logits."""
        return terms.robust_negative(logits, self.part.gamma_neg, self.part.clip, self.part.lamb)


class Hill(Focal):
    """Focal positives, and negatives (lamb - p) p^2."""

    def __init__(self, gamma: float, lamb: float) -> None:
        super().__init__(gamma)
        self.lamb = lamb

    def negative(self, logits: Tensor) -> Tensor:
        """Cost of a negative at these logits."""
        return terms.hill_negative(logits, self.lamb)


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
