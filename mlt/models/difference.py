"""What of a model differs from the weights that its backbone began with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from mlt.models.adapters import is_adapter
from mlt.models.checkpoint_file import weights_digest

__all__ = ["StartingWeights", "difference", "starting_weights"]


@dataclass(frozen=True)
class StartingWeights:
    """The weights and buffers that a backbone began with, known again by their digests.

    Attributes:
        digest: Of all of them.
        of_tensors: Of each, by its name in the state dict of the classifier.
    """

    digest: str
    of_tensors: Mapping[str, str]


def starting_weights(state_dict: Mapping[str, Tensor]) -> StartingWeights:
    """Digests of a backbone's weights.

    Args:
        state_dict: Of a classifier as its run begins; adapters and head are left out, because they
            begin at random.
    """
    own = {
        name: value
        for name, value in state_dict.items()
        if name.startswith("backbone.") and not is_adapter(name)
    }
    each = {name: weights_digest({name: value}) for name, value in own.items()}
    return StartingWeights(weights_digest(own), each)


def difference(state_dict: Mapping[str, Tensor], start: StartingWeights) -> dict[str, Tensor]:
    """The tensors that are not, bit for bit, those that the backbone began with.

    Args:
        state_dict: Of the classifier.
        start: What it began with.

    Example:
        >>> import torch
        >>> state = {"backbone.weight": torch.ones(2), "head.weight": torch.ones(2)}
        >>> start = starting_weights(state)
        >>> list(difference(state, start))
        ['head.weight']
        >>> list(difference(state | {"backbone.weight": torch.zeros(2)}, start))
        ['backbone.weight', 'head.weight']
    """
    return {
        name: value
        for name, value in state_dict.items()
        if start.of_tensors.get(name) != weights_digest({name: value})
    }
