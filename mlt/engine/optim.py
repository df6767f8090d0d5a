"""Optimizer and schedule, from timm's factories."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from timm.optim import (
    create_optimizer_v2,
    get_optimizer_class,
    get_optimizer_info,
    list_optimizers,
)
from timm.scheduler import create_scheduler_v2
from torch import nn
from torch.distributed.tensor import DTensor

from mlt.config.training import OptimizerConfig, ScheduleConfig
from mlt.errors import ConfigError
from mlt.models import parameter_groups
from mlt.problems import did_you_mean

__all__ = ["build_optimizer", "build_scheduler"]


def build_optimizer(
    config: OptimizerConfig, model: nn.Module, loss: nn.Module | None = None
) -> torch.optim.Optimizer:
    """The optimizer of a configuration, with its rates for backbone, layers and head.

    Args:
        config: Which optimizer, and its rates.
        model: What it trains; frozen parameters are left out.
        loss: Its own parameters, if it has any, are trained too: at the head's rate, without decay.

    Raises:
        ConfigError: If timm has no such optimizer, or nothing is left to train.
    """
    if config.name not in list_optimizers():
        raise ConfigError(
            f"optimizer.name: timm has no optimizer {config.name!r}"
            f"{did_you_mean(config.name, list_optimizers())}"
        )
    groups = parameter_groups(
        model,
        config.weight_decay,
        backbone_lr_scale=config.backbone_lr_scale,
        layer_decay=config.layer_decay,
        decay_norm_and_bias=config.decay_norm_and_bias,
    )
    if not groups:
        raise ConfigError(
            "model: nothing is left to train: no parameter requires a gradient (model.freeze: all, "
            "or requires_grad_(False) on a model of your own)"
        )
    if loss is not None:
        models = set(model.parameters())  # a loss may hold the model, to regularise it
        own = [p for p in loss.parameters() if p.requires_grad and p not in models]
        if own:
            groups.append({"params": own, "weight_decay": 0.0, "name": "loss", "lr_scale": 1.0})
    # timm's sgd has Nesterov momentum unless told otherwise.
    options = {"nesterov": config.nesterov} if config.name == "sgd" else {}
    if _is_fused(config, groups):
        options["fused"] = True
    try:
        optimizer = create_optimizer_v2(
            groups,
            opt=config.name,
            lr=config.lr,
            weight_decay=config.weight_decay,
            momentum=config.momentum,
            **options,
        )
    except Exception as error:  # each says in its own way what it lacks: CUDA, a package, ...
        raise ConfigError(f"optimizer: {config.name} cannot be used here: {error}") from error
    if get_optimizer_info(config.name).second_order:
        raise ConfigError(
            f"optimizer.name: {config.name} needs second derivatives, which the loop does not take"
        )
    return optimizer


def _is_fused(config: OptimizerConfig, groups: list[dict[str, Any]]) -> bool:
    """Whether to update with the optimizer's fused kernel, as `optimizer.fused` says.

    Raises:
        ConfigError: If it is asked for and the optimizer has none, or weights are shared out.
    """
    if config.fused is False:
        return False
    has_it = "fused" in inspect.signature(_optimizer_class(config.name)).parameters
    if config.fused is True and not has_it:
        raise ConfigError(
            f"optimizer.fused: {config.name} has no fused kernel; sgd, adam, adamw and adagrad "
            "have one, and auto fuses where that can be done"
        )
    parameters = [parameter for group in groups for parameter in group["params"]]
    if any(isinstance(parameter, DTensor) for parameter in parameters):
        if config.fused is True:
            raise ConfigError(
                "optimizer.fused: true does not go with training.fsdp, whose weights not every "
                "fused kernel takes; set it to auto"
            )
        return False
    able = all(p.device.type in ("cpu", "cuda") and p.is_floating_point() for p in parameters)
    return has_it and (config.fused is True or able)


def _optimizer_class(name: str) -> Callable[..., Any]:
    try:
        return get_optimizer_class(name, bind_defaults=False)
    except Exception as error:  # each says in its own way what it lacks: CUDA, a package, ...
        raise ConfigError(f"optimizer: {name} cannot be used here: {error}") from error


def build_scheduler(
    config: ScheduleConfig,
    optimizer: torch.optim.Optimizer,
    lr: float,
    epochs: int,
    updates_per_epoch: int,
) -> Any:
    """The learning-rate schedule, stepped with ``step_update(updates)`` after each update.

    Args:
        config: Its shape.
        optimizer: Whose rates it sets; groups with ``lr_scale`` keep their proportion.
        lr: Rate after the warm-up.
        epochs: Length of the training.
        updates_per_epoch: Optimizer updates of one epoch.

    Returns:
        A timm scheduler.
    """
    # timm lets a milestone act one step early (see its MultiStepLRScheduler). Half an update more
    # makes it act when the epoch it names is over, however the product with the updates rounds.
    milestones = [m + 0.5 / updates_per_epoch for m in config.milestones]
    length: float = max(epochs, 1)
    warmup = config.warmup(updates_per_epoch) / updates_per_epoch
    cycles: dict[str, float] = {}
    if config.cycles > 1:
        cycles = {
            "cycle_limit": config.cycles,
            "cycle_mul": config.cycle_mul,
            "cycle_decay": config.cycle_decay,
        }
        # A little shorter, so that no rounding puts a restart one update off.
        length /= sum(config.cycle_mul**i for i in range(config.cycles)) * (1 + 1e-9)
    falls_linearly = config.name == "linear"
    if falls_linearly:  # from the full rate, where the warm-up ends; a cosine is on its way by then
        length = max(length - warmup, 1 / updates_per_epoch)
    scheduler, _ = create_scheduler_v2(
        optimizer,
        sched="poly" if falls_linearly else config.name,
        num_epochs=length,
        decay_milestones=milestones,
        decay_rate=1.0 if falls_linearly else config.decay_rate,  # the power of poly
        min_lr=config.min_lr,
        warmup_lr=lr * config.warmup_from,
        warmup_epochs=warmup,
        warmup_prefix=falls_linearly,
        step_on_epochs=False,
        updates_per_epoch=updates_per_epoch,
        **cycles,
    )
    return scheduler
