"""The class prior in the bias of a head."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from mlt.errors import ConfigError

__all__ = ["LARGEST_PRIOR_LOGIT", "last_layer", "prior_logits", "set_prior_bias"]

LARGEST_PRIOR_LOGIT = 12.0
"""Prior logits are clamped to +- this; sigmoid(-12) is 6e-6, rarer than any class that is seen."""


def last_layer(head: nn.Module) -> nn.Module:
    """The part of a head that gives the logits, and has their bias."""
    return head[-1] if isinstance(head, nn.Sequential) else head


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


def set_prior_bias(head: nn.Module, prior: np.ndarray) -> None:
    """Set the bias of the last layer so that sigmoids start at the prior.

    Without it, the first steps of training only push all logits down, and the many negatives of
    rare classes dominate the gradient while they do.

    Args:
        head: Its last layer has a ``bias`` (C,), which is changed in place.
        prior: (C,) share of the images that have the class.

    Raises:
        ConfigError: If its length is not the head's number of classes.

    Example:
        >>> head = nn.Linear(4, 2)
        >>> set_prior_bias(head, np.array([0.5, 0.1]))
        >>> torch.sigmoid(head(torch.zeros(1, 4))).detach().numpy().round(3).tolist()
        [[0.5, 0.10000000149011612]]
    """
    bias = last_layer(head).bias
    assert isinstance(bias, nn.Parameter)
    logits = prior_logits(prior)
    if logits.shape != bias.shape:
        raise ConfigError(f"The prior has {len(logits)} classes, the head {len(bias)}.")
    with torch.no_grad():
        bias.copy_(logits)
