"""How one stage of a run follows the other."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import torch

from mlt.engine.cached_features import with_cached_features
from mlt.engine.loop import load_whole
from mlt.engine.prepared_stage import set_frozen
from mlt.engine.setup import Setup
from mlt.features.head_model import HeadModel

__all__ = ["at_stage", "begin_due_stage"]

logger = logging.getLogger(__name__)


def at_stage(setup: Setup, number: int) -> Setup:
    """The run on images with the parts of a stage; the weights stay as they are.

    Args:
        setup: The run, on images or on cached features.
        number: The stage, from 0.
    """
    images, training = setup.on_images or setup, setup.training
    earlier, stage = images.stages[training.position.stage], images.stages[number]
    training.model = _on_images(training.model)
    if training.ema is not None:
        training.ema.module = _on_images(training.ema.module)
    training.loss, training.optimizer = stage.loss, stage.optimizer
    training.scheduler = stage.scheduler
    training.position.stage = number
    set_frozen(training.model, stage.freeze)
    loader = images.train_loader
    if stage.sampler is not earlier.sampler:
        loader = images.batches.of("train", images.data.train, stage.sampler)
    loader.problems.update(setup.train_loader.problems)
    return replace(images, config=stage.plan.config, train_loader=loader)


def begin_due_stage(setup: Setup, cache: Path) -> Setup:
    """The run in its next stage, if the one before is complete; else as it is.

    A stage that begins anew does so from the weights that were evaluated: with a moving average
    from that, which starts afresh.

    Args:
        setup: The run.
        cache: Folder in which cached features have a folder.

    Raises:
        UserError: See :func:`mlt.engine.cached_features.with_cached_features`.
    """
    training = setup.training
    position, number = training.position, training.position.stage + 1
    if number == len(setup.stages) or position.epoch < setup.stages[number].plan.start:
        return setup
    setup = at_stage(setup, number)
    stage = setup.stages[number]
    if stage.plan.begins_anew:
        position.schedule_start = position.updates
        if training.ema is not None:
            training.model.load_state_dict(training.ema.module.state_dict())
        if stage.head is not None:
            load_whole(
                training.model, {f"head.{k}": v for k, v in stage.head.items()}, strict=False
            )
        if training.ema is not None:
            training.ema.set(training.model)
    logger.info(
        "stage %d of %d: %s parameters learn",
        number + 1,
        len(setup.stages),
        f"{stage.num_parameters:,}",
    )
    return with_cached_features(setup, cache)


def _on_images(model: torch.nn.Module) -> torch.nn.Module:
    return model.on_images() if isinstance(model, HeadModel) else model
