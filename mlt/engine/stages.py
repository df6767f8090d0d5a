"""How one stage of a run follows the other."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from torch import nn

from mlt.config.training import TauNormalised
from mlt.engine.cached_images import with_cached_inputs
from mlt.engine.parallel import full, load_full
from mlt.engine.prepared_stage import set_learning
from mlt.engine.setup import Setup
from mlt.engine.tau import choose_tau, tau_factors
from mlt.engine.watched_metrics import predict_watched
from mlt.engine.what_learns import what_learns
from mlt.features.head_model import HeadModel

__all__ = ["at_stage", "begin_due_stages", "begin_first_stage"]

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
    set_learning(training.model, stage.freeze, stage.learns_scale)
    loader = images.train_loader
    if stage.sampler is not earlier.sampler:
        loader = images.batches.of("train", images.data.train, stage.sampler)
    loader.problems.update(setup.train_loader.problems)
    return replace(images, config=stage.plan.config, train_loader=loader)


def begin_first_stage(setup: Setup, cache: Path) -> Setup:
    """The run as its first stage begins.

    Args:
        setup: The run as it was prepared.
        cache: Folder of cached features and images.

    Raises:
        UserError: See :func:`mlt.engine.cached_images.with_cached_inputs`.
    """
    setup = with_cached_inputs(setup, cache)
    _change_head(setup)
    return setup


def begin_due_stages(setup: Setup, cache: Path) -> Setup:
    """The run in the stage that follows, if the one before is complete; else as it is.

    A stage that begins anew does so from the weights that were evaluated: with a moving average
    from that, which starts afresh.

    Args:
        setup: The run.
        cache: Folder of cached features and images.

    Raises:
        UserError: See :func:`mlt.engine.cached_images.with_cached_inputs`.
    """
    position = setup.training.position
    for stage in setup.stages[position.stage + 1 :]:
        if position.epoch == stage.plan.start:
            setup = _begin(setup, stage.plan.number, cache)
    return setup


def _begin(setup: Setup, number: int, cache: Path) -> Setup:
    setup = at_stage(setup, number)
    stage, training = setup.stages[number], setup.training
    head = stage.plan.settings.head
    logger.info(
        "stage %d of %d: %s",
        number + 1,
        len(setup.stages),
        "the head is normalised"
        if isinstance(head, TauNormalised)
        else f"{stage.num_parameters:,} parameters learn",
    )
    if not stage.plan.begins_anew:
        return with_cached_inputs(setup, cache)
    if stage.plan.settings.epochs:
        for line in what_learns(training.model, stage):
            logger.info(line)
    training.position.schedule_start = training.position.updates
    if training.ema is not None:
        training.model.load_state_dict(training.ema.module.state_dict())
    setup = with_cached_inputs(setup, cache)
    _change_head(setup)
    return setup


def _change_head(setup: Setup) -> None:
    """Give the model, and its average, the head that the stage begins with."""
    training = setup.training
    stage = setup.stages[training.position.stage]
    head = stage.plan.settings.head
    if stage.head is not None:
        state = {f"head.{name}": value for name, value in stage.head.items()}
        load_full(training.model, state, strict=False)
    elif isinstance(head, TauNormalised):
        _normalise(setup, head)
    else:
        return
    if training.ema is not None:
        training.ema.set(training.model)


def _normalise(setup: Setup, head: TauNormalised) -> None:
    """Scale the classes of the last layer, in place."""
    model = setup.training.model
    state = full(model.state_dict())
    layer = [name for name in state if name.startswith("head.") and name.endswith(".weight")][-1]
    layer = layer.removesuffix(".weight")
    weight = state[f"{layer}.weight"]
    if f"{layer}.scale" in state:
        weight = weight * state[f"{layer}.scale"][:, None]
    norms = weight.norm(dim=1).double().cpu().numpy()
    tau = head.tau
    if tau == "auto":
        assert setup.validation_loader is not None
        found = predict_watched(setup)
        bias = state[f"{layer}.bias"].double().cpu().numpy()
        tau = choose_tau(found.logits, found.targets, found.known, norms, bias)
        logger.info("tau is %g, chosen on the validation images", tau)
    factors = state[f"{layer}.weight"].new_tensor(tau_factors(norms, tau))
    scaled = {f"{layer}.weight": state[f"{layer}.weight"] * factors[:, None]}
    load_full(model, scaled, strict=False)


def _on_images(model: nn.Module) -> nn.Module:
    return model.on_images() if isinstance(model, HeadModel) else model
