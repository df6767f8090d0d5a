"""The probability that every class of a detector starts with."""

from __future__ import annotations

import math

from mlt.errors import ConfigError

__all__ = ["prior_logit"]


def prior_logit(probability: float) -> float:
    """Return the bias at which a sigmoid is ``probability``: its log odds.

    Raises:
        ConfigError: If the probability is not between 0 and 1.

    Example:
        >>> round(prior_logit(0.01), 3)
        -4.595
    """
    if not 0 < probability < 1:
        raise ConfigError(f"probability must be between 0 and 1, not {probability}.")
    return math.log(probability / (1 - probability))
