"""Activations that are computed again in the backward pass instead of being kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from mlt.config.training import TrainingConfig
from mlt.errors import ConfigError
from mlt.models import Classifier

__all__ = ["check_recomputed_batch_norm", "checkpoint_gradients", "statistics_at_rest"]


def checkpoint_gradients(model: nn.Module) -> None:
    """Let a classifier's backbone keep the input of each block only.

    Raises:
        ConfigError: If the backbone has no such mode, or the model is not a classifier of mlt.
    """
    backbone = model.backbone if isinstance(model, Classifier) else model
    enable = getattr(backbone, "set_grad_checkpointing", None)
    if enable is None or backbone is model:
        raise ConfigError(
            "training.gradient_checkpointing: mlt does not know the blocks of a model of your own; "
            "call torch.utils.checkpoint in its forward and leave the key out, or build the model "
            "with mlt.models.Classifier(backbone, head) on a backbone of timm"
        )
    try:
        enable(True)
    except AssertionError as error:  # what timm's models without it raise
        raise ConfigError(
            f"training.gradient_checkpointing: {type(backbone).__name__} of timm does not have it; "
            "set it to false, and lower training.batch_size with training.accumulate instead"
        ) from error


def check_recomputed_batch_norm(
    model: nn.Module, training: TrainingConfig, device: torch.device
) -> None:
    """Refuse batch norm that several processes without CUDA would compute again each by itself.

    Our own synchronised batch norm is a mode of torch, and torch leaves such modes when it goes
    backward.

    Raises:
        ConfigError: If the model has a layer of it that learns.
    """
    if not training.gradient_checkpointing or not training.sync_batch_norm or device.type == "cuda":
        return
    if any(isinstance(module, _NormBase) and module.training for module in model.train().modules()):
        raise ConfigError(
            "training.gradient_checkpointing: without CUDA it does not go with batch norm over the "
            "batch of several processes; set training.sync_batch_norm to false, or freeze batch "
            "norm with model.freeze_statistics"
        )


@contextmanager
def statistics_at_rest(model: nn.Module) -> Iterator[None]:
    """Let batch norm normalise in the block without moving its statistics.

    Activations that are computed again would otherwise move them twice.
    """
    moving = [m for m in model.modules() if isinstance(m, _NormBase) and m.track_running_stats]
    kept = [(module, module.momentum, module.num_batches_tracked) for module in moving]
    for module, _, count in kept:
        # They must be seen again, because autograd keeps them.
        module.momentum = 0.0
        module.num_batches_tracked = None if count is None else count.clone()
    try:
        yield
    finally:
        for module, momentum, count in kept:
            module.momentum, module.num_batches_tracked = momentum, count
