"""Low-rank adapters of linear layers and 1 x 1 convolutions.

Hu et al., LoRA: Low-Rank Adaptation of Large Language Models, ICLR 2022 (2106.09685), section 4.1.

The adapted layers are subclasses that keep the weights of the layer under their names, so that a
state dict, timm's layer groups and patterns of names are what they were, with two more tensors for
each layer. (The package peft wraps each layer in another, which renames its weights.)
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mlt.errors import ConfigError
from mlt.models.names import within

__all__ = [
    "AdaptedConv2d",
    "AdaptedLinear",
    "add_adapters",
    "check_adapters_are_used",
    "is_adapter",
    "merge_adapters",
    "merged_state",
    "plain_state",
]

_DOWN, _UP = "lora_down", "lora_up"


class AdaptedLinear(nn.Linear):
    """A linear layer with a low-rank update: ``weight + alpha / rank * lora_up @ lora_down``.

    Args:
        layer: The layer, whose parameters it shares.
        rank: Of the update.
        alpha: The update is multiplied by alpha / rank.
        dropout: Of the input of the update.

    Attributes:
        lora_down: (rank, in), random at first.
        lora_up: (out, rank), 0 at first, so that the layer is what it was.
        scale: alpha / rank.

    Example:
        >>> layer = nn.Linear(8, 4)
        >>> adapted, x = AdaptedLinear(layer, rank=2, alpha=4.0), torch.randn(3, 8)
        >>> torch.equal(adapted(x), layer(x)), adapted.lora_down.shape, adapted.lora_up.shape
        (True, torch.Size([2, 8]), torch.Size([4, 2]))
    """

    lora_down: nn.Parameter
    lora_up: nn.Parameter
    lora_dropout: nn.Dropout
    scale: float

    def __init__(self, layer: nn.Linear, rank: int, alpha: float, dropout: float = 0.0) -> None:
        super().__init__(layer.in_features, layer.out_features, device="meta")
        _adapt(self, layer, rank, alpha, dropout)

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output (..., out) for inputs (..., in)."""
        update = F.linear(F.linear(self.lora_dropout(x), self.lora_down), self.lora_up)
        return F.linear(x, self.weight, self.bias) + self.scale * update


class AdaptedConv2d(nn.Conv2d):
    """A 1 x 1 convolution with a low-rank update, as :class:`AdaptedLinear` at every position.

    Args:
        layer: The layer, whose parameters it shares.
        rank: Of the update.
        alpha: The update is multiplied by alpha / rank.
        dropout: Of the input of the update.
    """

    lora_down: nn.Parameter
    lora_up: nn.Parameter
    lora_dropout: nn.Dropout
    scale: float

    def __init__(self, layer: nn.Conv2d, rank: int, alpha: float, dropout: float = 0.0) -> None:
        super().__init__(
            layer.in_channels,
            layer.out_channels,
            kernel_size=1,
            stride=layer.stride,  # type: ignore[arg-type]
            padding=layer.padding,  # type: ignore[arg-type]
            device="meta",
        )
        _adapt(self, layer, rank, alpha, dropout)

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output (N, out, h, w) for inputs (N, in, H, W)."""
        down, up = self.lora_down[:, :, None, None], self.lora_up[:, :, None, None]
        update = F.conv2d(F.conv2d(self.lora_dropout(x), down, None, self.stride, self.padding), up)
        return super().forward(x) + self.scale * update


def _adapt(adapted: Any, layer: Any, rank: int, alpha: float, dropout: float) -> None:
    """Give an adapted layer the parameters of its layer, and an update of 0."""
    weight = layer.weight  # (out, in) or (out, in, 1, 1)
    adapted.weight, adapted.bias = weight, layer.bias
    adapted.lora_down = nn.Parameter(weight.new_empty(rank, weight.shape[1]))
    nn.init.kaiming_uniform_(adapted.lora_down, a=math.sqrt(5))
    adapted.lora_up = nn.Parameter(weight.new_zeros(weight.shape[0], rank))
    adapted.lora_dropout = nn.Dropout(dropout)
    adapted.scale = alpha / rank
    adapted.train(layer.training)


def add_adapters(
    backbone: nn.Module,
    rank: int,
    alpha: float = 16.0,
    dropout: float = 0.0,
    targets: Sequence[str] = ("*",),
) -> None:
    """Put adapted layers in place of linear layers and 1 x 1 convolutions, in place.

    Args:
        backbone: Its outputs stay what they are until the adapters learn.
        rank: Of each update.
        alpha: Updates are multiplied by alpha / rank.
        dropout: Of the inputs of updates.
        targets: Names of modules, or patterns, each standing for all below it.

    Raises:
        ConfigError: If a target names no such layer.

    Example:
        >>> backbone = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 16, 1))
        >>> add_adapters(backbone, rank=2)
        >>> [name for name, _ in backbone.named_parameters() if is_adapter(name)]
        ['1.lora_down', '1.lora_up']
    """
    layers = {name: m for name, m in backbone.named_modules() if name and _can_be_adapted(m)}
    for target in targets:
        if not any(within(name, target) for name in layers):
            raise ConfigError(
                f"model.learn.targets: {target!r} names no linear layer and no 1 x 1 convolution "
                f"of the backbone. Some that it has: {', '.join(list(layers)[:4]) or 'none'}"
            )
    for name, layer in layers.items():
        if any(within(name, target) for target in targets):
            kind: Any = AdaptedLinear if isinstance(layer, nn.Linear) else AdaptedConv2d
            backbone.set_submodule(name, kind(layer, rank, alpha, dropout))


def _can_be_adapted(module: nn.Module) -> bool:
    # Subclasses compute something else with their weight than the update would know of.
    if type(module) is nn.Conv2d:
        return module.kernel_size == (1, 1) and module.groups == 1
    return type(module) is nn.Linear


def is_adapter(name: str) -> bool:
    """Whether a parameter of this name is one of an adapter."""
    return name.rpartition(".")[2] in (_DOWN, _UP)


def check_adapters_are_used(backbone: nn.Module, image_size: int) -> None:
    """Refuse adapters of layers whose weight the backbone takes without calling the layer.

    Args:
        backbone: On the CPU, with adapters or without.
        image_size: Height and width of the images that it takes.

    Raises:
        ConfigError: Naming the layers, whose adapters would never learn.
    """
    adapted = dict(_adapted(backbone))
    if not adapted:
        return
    called: set[nn.Module] = set()
    hooks = [
        module.register_forward_hook(lambda module, *_: called.add(module))
        for module in adapted.values()
    ]
    was_training = backbone.training
    with torch.no_grad():
        backbone.eval()(torch.zeros(1, 3, image_size, image_size))
    backbone.train(was_training)
    for hook in hooks:
        hook.remove()
    unused = [name for name, module in adapted.items() if module not in called]
    if unused:
        raise ConfigError(
            f"model.learn: lora: the backbone takes the weights of {len(unused)} layers without "
            f"calling them, so that their updates would not be seen: "
            f"{', '.join(unused[:4])}. Name others in model.learn.targets"
        )


def merge_adapters(model: nn.Module) -> nn.Module:
    """Add the updates to the weights and put plain layers back, in place.

    The outputs stay the same, to rounding, and cost what they did without adapters.

    Args:
        model: With adapters or without.

    Returns:
        The model.

    Example:
        >>> model = nn.Sequential(AdaptedLinear(nn.Linear(2, 2), rank=1, alpha=1.0))
        >>> merge_adapters(model)
        Sequential(
          (0): Linear(in_features=2, out_features=2, bias=True)
        )
    """
    for name, adapted in list(_adapted(model)):
        layer: nn.Linear | nn.Conv2d
        if isinstance(adapted, AdaptedLinear):
            layer = nn.Linear(adapted.in_features, adapted.out_features, device="meta")
        else:
            layer = nn.Conv2d(
                adapted.in_channels,
                adapted.out_channels,
                kernel_size=1,
                stride=adapted.stride,  # type: ignore[arg-type]
                padding=adapted.padding,  # type: ignore[arg-type]
                device="meta",
            )
        weight = _merged(adapted.weight, adapted.lora_down, adapted.lora_up, adapted.scale)
        layer.weight = nn.Parameter(weight, adapted.weight.requires_grad)
        layer.bias = adapted.bias
        model.set_submodule(name, layer.train(adapted.training))
    return model


def merged_state(state: Mapping[str, Tensor], scale: float) -> dict[str, Tensor]:
    """A state dict with the updates of its adapters added to the weights.

    Args:
        state: Of a model with adapters, or without.
        scale: alpha / rank.
    """
    merged = {name: value for name, value in state.items() if not is_adapter(name)}
    for name, up in state.items():
        layer, _, last = name.rpartition(".")
        if last == _UP:
            weight, down = merged[f"{layer}.weight"], state[f"{layer}.{_DOWN}"]
            merged[f"{layer}.weight"] = _merged(weight, down, up, scale)
    return merged


def plain_state(model: nn.Module) -> dict[str, Tensor]:
    """The state dict that a model would have without adapters, and the same outputs.

    Args:
        model: With adapters or without; it stays as it is.
    """
    scales = {adapted.scale for _, adapted in _adapted(model)}
    state = model.state_dict()
    return merged_state(state, scales.pop()) if scales else state


def _merged(weight: Tensor, down: Tensor, up: Tensor, scale: float) -> Tensor:
    if not up.any():  # adding 0 would still turn -0 into 0
        return weight.detach()
    return (weight + scale * (up @ down).view(weight.shape)).detach()


def _adapted(model: nn.Module) -> Iterator[tuple[str, AdaptedLinear | AdaptedConv2d]]:
    for name, module in model.named_modules():
        if isinstance(module, (AdaptedLinear, AdaptedConv2d)):
            yield name, module
