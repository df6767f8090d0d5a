"""Power normalisation of features.

Perronnin, Sanchez and Mensink, Improving the Fisher Kernel for Large-Scale Image Classification,
ECCV 2010, section 3.3.
"""

from __future__ import annotations

from torch import Tensor, nn

from mlt.errors import ConfigError

__all__ = ["PowerNormalization", "signed_power"]

_SMALL = 1e-4


def signed_power(features: Tensor, power: float) -> Tensor:
    """Raise features to a power p, keeping the sign: sign(x) ((abs(x) + e)^p - e^p), e = 1e-4.

    The paper has no e, and so a slope without bound at 0, where most features after a ReLU are.

    Args:
        features: Of any shape.
        power: Above 0 and up to 1; 0.5 is the signed square root.

    Returns:
        Of the same shape.

    Example:
        >>> import torch
        >>> signed_power(torch.tensor([-4.0, 0.0, 9.0]), 0.5).round(decimals=1)
        tensor([-2.,  0.,  3.])
    """
    return features.sign() * ((features.abs() + _SMALL).pow(power) - _SMALL**power)


class PowerNormalization(nn.Module):
    """:func:`signed_power` as a layer.

    It brings features that are rarely large closer to the others, so that a classifier of few
    images does not stand on those few.

    Args:
        power: Above 0 and up to 1; 1 leaves the features as they are.

    Raises:
        ConfigError: If the power is out of range.
    """

    def __init__(self, power: float) -> None:
        super().__init__()
        if not 0 < power <= 1:
            raise ConfigError(f"power: above 0 and up to 1, got {power}")
        self.power = power

    def forward(self, features: Tensor) -> Tensor:
        """Features of the same shape."""
        return features if self.power == 1 else signed_power(features, self.power)

    def extra_repr(self) -> str:
        """The power, for the printed model."""
        return f"power={self.power}"
