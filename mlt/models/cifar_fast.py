"""A small network that learns CIFAR in few epochs on a modest machine.

What makes it fast is known from the speed runs on CIFAR-10: few, wide layers; a first layer that
is not learned but decorrelates the patches of the training images (whitening; Page, "How to train
your ResNet", 2018); convolutions that begin as the identity; small features before the last layer
(Jordan, "94% on CIFAR-10 in 3.29 seconds", arXiv:2404.00498). Once this module has been imported,
``timm.create_model("cifar_fast")`` makes it.
"""

from __future__ import annotations

from typing import Any

import torch
from timm.layers import ClassifierHead
from timm.models import build_model_with_cfg, checkpoint_seq, generate_default_cfgs, register_model
from torch import Tensor, nn
from torch.nn import functional as F

from mlt.models.small_network import SmallNetwork

__all__ = ["CifarFast", "cifar_fast", "whitening_filters"]

default_cfgs = generate_default_cfgs(
    {
        "cifar_fast": {
            "input_size": (3, 32, 32),
            "num_classes": 10,
            "pool_size": (3, 3),
            "mean": (0.4914, 0.4822, 0.4465),
            "std": (0.2470, 0.2435, 0.2616),
            "first_conv": None,
            "classifier": "head.fc",
        }
    }
)

_FEATURE_SCALE = 1 / 9  # keeps the first logits small, so that a high rate does no harm


class CifarFast(SmallNetwork):
    """Whitened patches, then three pairs of convolutions, each pair at half the resolution.

    Args:
        widths: Channels of the three pairs.
        num_classes: Outputs of the last layer; 0: none, so that it gives pooled features.
        in_chans: Channels of the input.

    Example:
        >>> model = CifarFast(num_classes=10)
        >>> model.whiten(torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
        >>> model.forward_features(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 256, 3, 3])
    """

    filters: Tensor

    def __init__(
        self,
        widths: tuple[int, int, int] = (64, 256, 256),
        num_classes: int = 10,
        in_chans: int = 3,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.num_features = self.head_hidden_size = widths[-1]
        patches = 4 * in_chans
        filters = nn.init.orthogonal_(torch.empty(patches, patches))
        self.register_buffer("filters", _both_signs(filters, in_chans))
        self.bias = nn.Parameter(torch.zeros(2 * patches))
        self.layer1 = _Pair(2 * patches, widths[0])
        self.layer2 = _Pair(widths[0], widths[1])
        self.layer3 = _Pair(widths[1], widths[2])
        self.head = ClassifierHead(widths[-1], num_classes, pool_type="max")

    @torch.no_grad()
    def whiten(self, images: Tensor) -> None:
        """Set the first layer so that its outputs are uncorrelated and of unit variance.

        Args:
            images: (N, 3, H, W) of the training images, normalised; a thousand are plenty.
        """
        filters = whitening_filters(images.to(self.filters))
        self.filters.copy_(_both_signs(filters, images.shape[1]))

    def forward_features(self, images: Tensor) -> Tensor:
        """The last feature map, (N, D, h, w); 3 by 3 of an image of 32 by 32 pixels."""
        maps = F.gelu(F.conv2d(images, self.filters, self.bias))
        pairs = self.layer1, self.layer2, self.layer3
        if self.grad_checkpointing:
            maps = checkpoint_seq(pairs, maps)
        else:
            for pair in pairs:
                maps = pair(maps)
        return maps * _FEATURE_SCALE

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Which parameters are of which layer, for rates that differ between layers."""
        return {"stem": r"^bias", "blocks": r"^layer(\d+)"}


def whitening_filters(images: Tensor, size: int = 2, eps: float = 5e-4) -> Tensor:
    """Filters whose responses to the patches of images are uncorrelated and of variance 1.

    They are the principal axes of the patches, each divided by its standard deviation.

    Args:
        images: (N, C, H, W), normalised; of each the patches at all positions count.
        size: Height and width of a patch, in pixels.
        eps: Added to each variance, so that noise along the weakest axes is not blown up.

    Returns:
        (C * size * size, C * size * size), a filter per row, the weakest axis first.

    Example:
        >>> images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        >>> patches = F.unfold(images * 3, 2).transpose(0, 1).flatten(1)
        >>> responses = whitening_filters(images * 3) @ patches
        >>> torch.allclose(responses @ responses.T / responses.shape[1], torch.eye(12), atol=1e-3)
        True
    """
    patches = F.unfold(images, size).transpose(0, 1).flatten(1).double()
    variances, axes = torch.linalg.eigh(patches @ patches.T / patches.shape[1])
    return (axes / (variances + eps).sqrt()).T.to(images.dtype)


def _both_signs(filters: Tensor, in_chans: int) -> Tensor:
    """Each filter and its negative, which what is cut off below zero keeps apart."""
    kernels = filters.unflatten(1, (in_chans, 2, 2))
    return torch.cat([kernels, -kernels])


class _Pair(nn.Module):
    """Two convolutions, with the resolution halved after the first."""

    def __init__(self, width_in: int, width: int) -> None:
        super().__init__()
        self.conv1 = _convolution(width_in, width)
        self.bn1 = nn.BatchNorm2d(width, momentum=0.4)  # follows weights that change quickly
        self.conv2 = _convolution(width, width)
        self.bn2 = nn.BatchNorm2d(width, momentum=0.4)

    def forward(self, maps: Tensor) -> Tensor:
        maps = F.gelu(self.bn1(F.max_pool2d(self.conv1(maps), 2)))
        return F.gelu(self.bn2(self.conv2(maps)))


def _convolution(width_in: int, width: int) -> nn.Conv2d:
    """Three by three; the first outputs begin as copies of the inputs."""
    convolution = nn.Conv2d(width_in, width, 3, padding=1, bias=False)
    nn.init.dirac_(convolution.weight.data[:width_in])
    return convolution


@register_model
def cifar_fast(pretrained: bool = False, **options: Any) -> CifarFast:
    """The small network for few epochs; it has no trained weights."""
    return build_model_with_cfg(CifarFast, "cifar_fast", pretrained, **options)
