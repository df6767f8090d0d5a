"""The image tower's own way into the space of texts."""

from __future__ import annotations

import timm
from torch import nn

from mlt.models.backbone import num_features

__all__ = ["own_projection", "projection_width"]


def projection_width(name: str, width: int) -> int:
    """Outputs with which timm makes an image tower so that it has its projection as a last layer.

    Args:
        name: A model of timm.
        width: E, the length of a class embedding.

    Returns:
        E if the weights of that name were trained with a last layer of that width; 0 if not.

    Example:
        >>> projection_width("vit_base_patch16_clip_224.openai", 512)
        512
        >>> projection_width("vit_base_patch16_siglip_224.webli", 768)
        0
    """
    cfg = timm.get_pretrained_cfg(name)
    return width if cfg is not None and cfg.num_classes == width else 0


def own_projection(backbone: nn.Module, width: int) -> nn.Module | None:
    """Take the projection off an image tower.

    Args:
        backbone: A model of timm, made with :func:`projection_width` outputs; it loses its last
            layer if it has one.
        width: E.

    Returns:
        CLIP's last layer; the identity for SigLIP, whose attention pool ends in the space of
        texts; None for a tower that has no such way.
    """
    last = backbone.get_classifier()  # type: ignore[operator]
    if isinstance(last, nn.Linear):
        backbone.reset_classifier(0)  # type: ignore[operator]
        return last
    if getattr(backbone, "global_pool", "") == "map" and num_features(backbone) == width:
        return nn.Identity()
    return None
