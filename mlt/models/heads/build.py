"""From the settings of a head to the head."""

from __future__ import annotations

import math

from torch import nn

from mlt.models.heads.csra import CSRA
from mlt.models.heads.prior import last_layer
from mlt.models.heads.scaled_linear import ScaledLinear
from mlt.models.settings import CSRAHead, Head, LinearHead, ProjectionHead

__all__ = ["build_head"]


def build_head(config: Head, num_features: int, num_classes: int) -> nn.Module:
    """Make a head.

    The weights of the last layer start small, so that the first logits are nearly its bias, whose
    job is to hold the class prior.

    Args:
        config: Which, and its options.
        num_features: Pooled features per image, or features per position of a head that is a
            :class:`~mlt.models.heads.SpatialHead`.
        num_classes: C.

    Returns:
        A module from (N, num_features), or (N, num_features, H, W) for a spatial head, to (N, C).

    Example:
        >>> import torch
        >>> head = build_head(LinearHead(), 8, 3)
        >>> head(torch.zeros(2, 8)).shape
        torch.Size([2, 3])
    """
    if isinstance(config, CSRAHead):
        return _csra(config, num_features, num_classes)
    if isinstance(config, LinearHead):
        head = _linear(config, num_features, num_classes)
    else:
        head = _projection(config, num_features, num_classes)
    last = last_layer(head)
    assert isinstance(last, nn.Linear)
    nn.init.normal_(last.weight, std=0.01)
    nn.init.zeros_(last.bias)
    return head


def _linear(config: LinearHead, num_features: int, num_classes: int) -> nn.Sequential:
    kind = ScaledLinear if config.class_scale else nn.Linear
    head = nn.Sequential(nn.Dropout(config.dropout), kind(num_features, num_classes))
    if config.standardize:
        head.insert(0, nn.BatchNorm1d(num_features, affine=False))
    return head


def _projection(config: ProjectionHead, num_features: int, num_classes: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(num_features, config.width),
        nn.BatchNorm1d(config.width),
        nn.Dropout(config.dropout),
        nn.Linear(config.width, num_classes),
    )


def _csra(config: CSRAHead, num_features: int, num_classes: int) -> CSRA:
    return CSRA(
        num_features,
        num_classes,
        temperatures=[math.inf if t == "max" else t for t in config.temperatures],
        attention_weight=config.attention_weight,
        standardize=config.standardize,
    )
