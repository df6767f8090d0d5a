"""What timm asks of a network that ends in pooling and one linear layer."""

from __future__ import annotations

from timm.layers import ClassifierHead
from torch import Tensor, nn

__all__ = ["SmallNetwork"]


class SmallNetwork(nn.Module):
    """A backbone in timm's sense.

    A subclass sets ``num_features`` (D), ``head_hidden_size``, ``num_classes`` and ``head``, and
    has ``forward_features`` and ``group_matcher``.
    """

    num_classes: int
    head: ClassifierHead
    grad_checkpointing = False

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, num_classes), or pooled features (N, D) without classes, of (N, 3, H, W)."""
        return self.forward_head(self.forward_features(images))

    def forward_features(self, images: Tensor) -> Tensor:
        """The last feature map, (N, D, h, w)."""
        raise NotImplementedError

    def forward_head(self, maps: Tensor, pre_logits: bool = False) -> Tensor:
        """Pool a feature map and, unless ``pre_logits``, apply the last layer."""
        return self.head(maps, pre_logits=pre_logits)

    def get_classifier(self) -> nn.Module:
        """The last layer."""
        return self.head.fc

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Give the network a fresh last layer, or none (0)."""
        self.num_classes = num_classes
        self.head.reset(num_classes, global_pool)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Keep the inputs of its parts only, and compute activations again going backward."""
        self.grad_checkpointing = enable
