"""Averages of the weights of several checkpoints: a model soup (Wortsman et al., ICML 2022)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from mlt.errors import CheckpointError
from mlt.models.checkpoint import CheckpointInfo, check_class_names, read_merged

__all__ = ["average_weights"]

logger = logging.getLogger(__name__)

_STATISTICS = ("running_mean", "running_var")
_SAME = ("backbone", "head", "own")
"""Keys of the model section that decide about the architecture."""


def average_weights(paths: Sequence[str | Path]) -> tuple[dict[str, Tensor], CheckpointInfo]:
    """The mean of the weights of checkpoints of one architecture (a uniform soup).

    It helps where the checkpoints lie in one valley of the loss: fine-tuned from the same weights,
    or epochs of one run. Statistics of batch norm are averaged like weights, which is exact where
    they are the same, as those of a frozen backbone are; else there is a warning.

    Low-rank updates are added to the weights before (the mean of products is not the product of
    means), so the result has none.

    Args:
        paths: ``.safetensors`` files of runs with the same model, classes and preprocessing.

    Returns:
        Weights and buffers, averaged in float64; integers are those of the first. With them what
        the first file says about itself, without calibration and thresholds.

    Raises:
        CheckpointError: If there are none, one is not a checkpoint of mlt, or model, classes or
            preprocessing are not the same.
    """
    if not paths:
        raise CheckpointError("there are no checkpoints to average")
    sums: dict[str, Tensor] = {}
    first: dict[str, Tensor] = {}
    about: CheckpointInfo | None = None
    moved = False
    for path in paths:
        state, info = read_merged(path)
        if about is None:
            about, first = info, state
            sums = {k: v.double() for k, v in state.items() if v.is_floating_point()}
            continue
        _check_same(paths[0], about, first, path, info, state)
        moved |= any(
            name.endswith(_STATISTICS) and not torch.equal(value, first[name])
            for name, value in state.items()
        )
        for name in sums:
            sums[name] += state[name].double()
    if moved:
        logger.warning(
            "warning: the checkpoints have other statistics of batch norm, whose mean is not that "
            "of the averaged weights; compare the result on validation images before you use it"
        )
    means = {name: (value / len(paths)).to(first[name].dtype) for name, value in sums.items()}
    assert about is not None  # there is a path
    return first | means, replace(about, decision=None, starting_weights=None)


def _check_same(
    first_path: str | Path,
    about: CheckpointInfo,
    first: dict[str, Tensor],
    path: str | Path,
    info: CheckpointInfo,
    state: dict[str, Tensor],
) -> None:
    """Refuse a checkpoint whose weights do not mean the same as those of the first."""
    check_class_names(path, info.class_names, about.class_names, str(first_path))
    differing = [key for key in _SAME if info.model.get(key) != about.model.get(key)]
    differing += [
        key for key in ("preprocessing", "activation") if getattr(info, key) != getattr(about, key)
    ]
    shapes = {name: value.shape for name, value in first.items()}
    if not differing and {name: value.shape for name, value in state.items()} != shapes:
        differing.append("the shapes of weights")
    if differing:
        raise CheckpointError(
            f"the weights of {path} cannot be averaged with those of {first_path}: "
            f"{', '.join(differing)} differ. `mlt evaluate` and `mlt predict` average the answers "
            "of any models over the same classes"
        )
