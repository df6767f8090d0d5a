"""Where things are in an image: the feature map of a backbone of any family."""

from __future__ import annotations

from torch import Tensor, nn

from mlt.errors import ConfigError

__all__ = ["feature_map", "map_channels", "spatial_features", "to_map", "unpooled_features"]


def map_channels(backbone: nn.Module) -> int:
    """D of the feature map of a timm model, which may differ from that of its pooled features."""
    return int(backbone.num_features)  # type: ignore[arg-type]


def feature_map(backbone: nn.Module, images: Tensor) -> Tensor:
    """The last feature map of a timm model.

    Args:
        backbone: A convolutional network; a vision transformer, whose class and register tokens
            are left out; or a hierarchical transformer.
        images: (N, 3, H, W), normalised.

    Returns:
        (N, D, h, w) for any of them.

    Raises:
        ConfigError: If the model gives something that is not a map.

    Example:
        >>> import timm, torch
        >>> images = torch.zeros(2, 3, 160, 160)
        >>> feature_map(timm.create_model("test_resnet", num_classes=0), images).shape
        torch.Size([2, 96, 5, 5])
        >>> feature_map(timm.create_model("test_vit", num_classes=0), images).shape
        torch.Size([2, 64, 10, 10])
    """
    return to_map(backbone, unpooled_features(backbone, images), images)


def spatial_features(backbone: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """The last feature map of a timm model, and its pooled features, computed once.

    Args:
        backbone: As for :func:`feature_map`.
        images: (N, 3, H, W), normalised.

    Returns:
        The map (N, D, h, w), and what ``backbone(images)`` is, (N, num_features).

    Raises:
        ConfigError: If the model gives something that is not a map.
    """
    features = unpooled_features(backbone, images)
    pooled = backbone.forward_head(features, pre_logits=True)  # type: ignore[operator]
    return to_map(backbone, features, images), pooled


def unpooled_features(backbone: nn.Module, images: Tensor) -> Tensor:
    """What a timm model gives before it pools, in its own layout; :func:`to_map` takes it.

    Args:
        backbone: As for :func:`feature_map`.
        images: (N, 3, H, W), normalised.

    Raises:
        ConfigError: If it is not a timm model.
    """
    if not callable(getattr(backbone, "forward_features", None)):
        raise ConfigError(
            f"{_name(backbone)} has no method forward_features, as the models of timm have, which "
            "all that looks at a feature map needs; model.head: linear does without"
        )
    return backbone.forward_features(images)  # type: ignore[operator]


def to_map(backbone: nn.Module, features: Tensor, images: Tensor) -> Tensor:
    """Features before pooling, in the layout of the model that gave them, as a map.

    Args:
        backbone: The model.
        features: (N, D, h, w), (N, h, w, D), or tokens (N, L, D) after those of the class and the
            registers.
        images: (N, 3, H, W) that they are of.

    Returns:
        (N, D, h, w).

    Raises:
        ConfigError: If they are not a map of the positions of the images.
    """
    channels = map_channels(backbone)
    if isinstance(features, Tensor) and features.ndim == 4:
        if getattr(backbone, "output_fmt", "NCHW") == "NHWC" and features.shape[3] == channels:
            return features.permute(0, 3, 1, 2)
        if features.shape[1] == channels:
            return features
    if isinstance(features, Tensor) and features.ndim == 3 and features.shape[2] == channels:
        # Some (CaiT, XCiT) put the class token there after the blocks only.
        for prefix in dict.fromkeys((getattr(backbone, "num_prefix_tokens", 0), 0)):
            tokens = features[:, prefix:]
            if grid := _grid(tokens.shape[1], *images.shape[-2:]):
                return tokens.transpose(1, 2).unflatten(2, grid)
    given = tuple(features.shape) if isinstance(features, Tensor) else type(features).__name__
    raise ConfigError(
        f"{_name(backbone)} gives features of shape {given} for images of {tuple(images.shape)}, "
        "which are not a map of its positions; model.head: linear does without, or take another "
        "backbone"
    )


def _grid(tokens: int, height: int, width: int) -> tuple[int, int] | None:
    """Rows and columns of square patches of an image, which are as its height and width."""
    rows = round((tokens * height / width) ** 0.5)
    if rows and tokens % rows == 0 and rows * width == tokens // rows * height:
        return rows, tokens // rows
    return None


def _name(backbone: nn.Module) -> str:
    about = getattr(backbone, "pretrained_cfg", None)
    name = about.get("architecture") if isinstance(about, dict) else None
    return f"The backbone {name or type(backbone).__name__}"
