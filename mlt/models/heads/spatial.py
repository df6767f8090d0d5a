"""What all heads have in common that look at where things are in an image."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from mlt.errors import ConfigError

__all__ = ["SpatialHead", "as_map", "standardizer"]


class SpatialHead(nn.Module, ABC):
    """A head on the feature map of a backbone, in place of its pooled features.

    ``forward`` takes a map (N, D, H, W) or tokens (N, L, D) without class token, and returns logits
    (N, C).

    Attributes:
        bias: (C,) added to the logits, which holds the class prior at first.
    """

    bias: nn.Parameter

    @abstractmethod
    def attention(self, features: Tensor) -> Tensor:
        """Where each class is looked for.

        Args:
            features: A map (N, D, H, W), or tokens (N, L, D).

        Returns:
            (N, C, H, W), which sums to 1 over H and W; H is L and W is 1 for tokens.
        """


def as_map(features: Tensor, num_features: int) -> Tensor:
    """Features as a map.

    Args:
        features: (N, D, H, W), or tokens (N, L, D).
        num_features: D.

    Returns:
        (N, D, H, W); tokens are a map of height L and width 1.

    Raises:
        ConfigError: If they are neither, or have another D.
    """
    tokens = features.ndim == 3
    if features.ndim not in (3, 4) or features.shape[2 if tokens else 1] != num_features:
        raise ConfigError(
            f"this head takes a feature map (N, {num_features}, H, W) or tokens "
            f"(N, L, {num_features}); got features of shape {tuple(features.shape)}"
        )
    return features.transpose(1, 2).unsqueeze(-1) if tokens else features


def standardizer(num_features: int, standardize: bool) -> nn.Module:
    """What brings every feature of a map to mean 0 and deviation 1, over images and positions.

    Args:
        num_features: D.
        standardize: False leaves the features as they are.
    """
    return nn.BatchNorm2d(num_features, affine=False) if standardize else nn.Identity()
