"""From pooled features to one logit per class."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from mlt.errors import ConfigError
from mlt.models.scaled_linear import ScaledLinear
from mlt.models.settings import Head, LinearHead

__all__ = ["LARGEST_PRIOR_LOGIT", "build_head", "last_linear", "prior_logits", "set_prior_bias"]

LARGEST_PRIOR_LOGIT = 12.0
"""Prior logits are clamped to +- this; sigmoid(-12) is 6e-6, rarer than any class that is seen."""


def build_head(config: Head, num_features: int, num_classes: int) -> nn.Sequential:
    """Make a head.

    The last layer's weights start small (standard deviation 0.01), so that the first logits are
    nearly its bias, whose job is to hold the class prior.

    Args:
        config: Linear, with or without standardised features, or the published projection: linear
            to 256, batch norm, dropout, linear.
        num_features: Features per image.
        num_classes: C.

    Returns:
        A module from (N, num_features) to (N, C); its last layer is an ``nn.Linear``.

    Example:
        >>> head = build_head(LinearHead(), 8, 3)
        >>> head(torch.zeros(2, 8)).shape
        torch.Size([2, 3])
    """
    if isinstance(config, LinearHead):
        kind = ScaledLinear if config.class_scale else nn.Linear
        head = nn.Sequential(nn.Dropout(config.dropout), kind(num_features, num_classes))
        if config.standardize:
            head.insert(0, nn.BatchNorm1d(num_features, affine=False))
    else:
        head = nn.Sequential(
            nn.Linear(num_features, config.width),
            nn.BatchNorm1d(config.width),
            nn.Dropout(config.dropout),
            nn.Linear(config.width, num_classes),
        )
    last = last_linear(head)
    nn.init.normal_(last.weight, std=0.01)
    nn.init.zeros_(last.bias)
    return head


def last_linear(head: nn.Sequential) -> nn.Linear:
    """The layer that gives the logits."""
    last = head[-1]
    assert isinstance(last, nn.Linear)
    return last


def prior_logits(prior: np.ndarray) -> torch.Tensor:
    """The logits at which sigmoids give the prior: log(p / (1 - p)), clamped.

    Args:
        prior: (C,) share of the images that have the class; NaN where nothing is known.

    Returns:
        (C,) float32, within +- ``LARGEST_PRIOR_LOGIT``; a class never seen gets the lowest.

    Raises:
        ConfigError: If a share is outside 0 to 1.

    Example:
        >>> prior_logits(np.array([0.5, 0.0, 1.0])).tolist()
        [0.0, -12.0, 12.0]
    """
    share = np.nan_to_num(np.asarray(prior, np.float64), nan=0.0)
    if ((share < 0) | (share > 1)).any():
        raise ConfigError(f"A prior is a share of images, from 0 to 1; got {share.tolist()}")
    with np.errstate(divide="ignore"):
        logits = np.log(share) - np.log1p(-share)
    return torch.from_numpy(np.clip(logits, -LARGEST_PRIOR_LOGIT, LARGEST_PRIOR_LOGIT)).float()


def set_prior_bias(head: nn.Sequential, prior: np.ndarray) -> None:
    """Set the bias of the last layer so that sigmoids start at the prior.

    Without it, the first steps of training only push all logits down, and the many negatives of
    rare classes dominate the gradient while they do.

    Args:
        head: Made by :func:`build_head`; changed in place.
        prior: (C,) share of the images that have the class.

    Raises:
        ConfigError: If its length is not the head's number of classes.

    Example:
        >>> head = build_head(LinearHead(), 4, 2)
        >>> set_prior_bias(head, np.array([0.5, 0.1]))
        >>> torch.sigmoid(head(torch.zeros(1, 4))).detach().numpy().round(3).tolist()
        [[0.5, 0.10000000149011612]]
    """
    bias = last_linear(head).bias
    logits = prior_logits(prior)
    if logits.shape != bias.shape:
        raise ConfigError(f"The prior has {len(logits)} classes, the head {len(bias)}.")
    with torch.no_grad():
        bias.copy_(logits)
