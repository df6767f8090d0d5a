"""The residual networks for CIFAR: three stages of 16, 32 and 64 channels.

He, Zhang, Ren & Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2.
Long-tailed CIFAR is mostly reported with the one of 32 layers. timm has no such network; once this
module has been imported, ``timm.create_model("cifar_resnet32")`` makes it.
"""

from __future__ import annotations

from typing import Any

from timm.layers import ClassifierHead
from timm.models import build_model_with_cfg, checkpoint_seq, generate_default_cfgs, register_model
from torch import Tensor, nn
from torch.nn import functional as F

from mlt.models.small_network import SmallNetwork

__all__ = ["CifarResNet", "cifar_resnet32"]

default_cfgs = generate_default_cfgs(
    {
        "cifar_resnet32": {
            "input_size": (3, 32, 32),
            "num_classes": 10,
            "pool_size": (8, 8),
            "mean": (0.4914, 0.4822, 0.4465),
            "std": (0.2470, 0.2435, 0.2616),
            "first_conv": "conv1",
            "classifier": "head.fc",
        }
    }
)


class CifarResNet(SmallNetwork):
    """A residual network of 6 n + 2 layers for small images, with shortcuts without parameters.

    Args:
        blocks: n, the blocks of each stage; 5 for 32 layers.
        num_classes: Outputs of the last layer; 0: none, so that it gives pooled features.
        in_chans: Channels of the input.

    Example:
        >>> import torch
        >>> model = CifarResNet(num_classes=10)
        >>> sum(parameter.numel() for parameter in model.parameters())
        464154
        >>> model.forward_features(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 64, 8, 8])
    """

    def __init__(self, blocks: int = 5, num_classes: int = 10, in_chans: int = 3) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.num_features = self.head_hidden_size = 64
        self.conv1 = nn.Conv2d(in_chans, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = _stage(16, 16, blocks, stride=1)
        self.layer2 = _stage(16, 32, blocks, stride=2)
        self.layer3 = _stage(32, 64, blocks, stride=2)
        self.head = ClassifierHead(64, num_classes, pool_type="avg")
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward_features(self, images: Tensor) -> Tensor:
        """The last feature map, (N, 64, H / 4, W / 4)."""
        maps = F.relu(self.bn1(self.conv1(images)), inplace=True)
        stages = self.layer1, self.layer2, self.layer3
        if self.grad_checkpointing:
            return checkpoint_seq(stages, maps, flatten=True)
        for stage in stages:
            maps = stage(maps)
        return maps

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Which parameters are of which layer, for rates that differ between layers."""
        blocks = r"^layer(\d+)" if coarse else r"^layer(\d+)\.(\d+)"
        return {"stem": r"^(?:conv1|bn1)", "blocks": blocks}


def _stage(width_in: int, width: int, blocks: int, stride: int) -> nn.Sequential:
    first = _Block(width_in, width, stride)
    return nn.Sequential(first, *(_Block(width, width, 1) for _ in range(blocks - 1)))


class _Block(nn.Module):
    """Two convolutions beside a shortcut that subsamples and adds channels of zeros (option A)."""

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.stride = stride
        self.added = (width - width_in) // 2

    def forward(self, maps: Tensor) -> Tensor:
        inner = F.relu(self.bn1(self.conv1(maps)), inplace=True)
        inner = self.bn2(self.conv2(inner))
        if self.stride > 1:
            maps = maps[:, :, :: self.stride, :: self.stride]
        if self.added:
            maps = F.pad(maps, (0, 0, 0, 0, self.added, self.added))
        return F.relu(inner + maps, inplace=True)


@register_model
def cifar_resnet32(pretrained: bool = False, **options: Any) -> CifarResNet:
    """ResNet-32 for CIFAR; it has no trained weights."""
    return build_model_with_cfg(CifarResNet, "cifar_resnet32", pretrained, **options)
