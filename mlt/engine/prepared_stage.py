"""What a stage of a run trains with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from mlt.config import Config
from mlt.config.stages import PlannedStage
from mlt.config.training import TrainingConfig
from mlt.data.samplers import EpochSampler
from mlt.engine.decay_to_start import decay_to_start
from mlt.engine.optim import build_optimizer, build_scheduler
from mlt.engine.own import Own, OwnLoss
from mlt.errors import ConfigError
from mlt.losses import Loss
from mlt.models import Classifier
from mlt.models.heads import ScaledLinear

__all__ = ["PreparedStage", "check_stages", "check_tau", "prepare_stages", "set_learning"]


@dataclass(frozen=True)
class PreparedStage:
    """A stage with its parts; a part that goes on is that of the stage before.

    Attributes:
        plan: Its configuration, and where it lies in the run.
        loss: On the device.
        sampler: Of the training images.
        head: State of the head that it begins with; None: it keeps the one there is.
        optimizer: Of what learns in the stage.
        scheduler: Of that optimizer.
        freeze: What of the backbone stays as it is; None: what did so before, in all stages.
        updates_per_epoch: Optimizer updates of one epoch.
        learns_scale: Whether the head learns a factor per class in place of its weights (LWS).
    """

    plan: PlannedStage
    loss: Loss | OwnLoss
    sampler: EpochSampler
    head: dict[str, Tensor] | None
    optimizer: torch.optim.Optimizer
    scheduler: Any
    freeze: tuple[str, ...] | str | None
    updates_per_epoch: int
    learns_scale: bool

    @property
    def learning(self) -> list[nn.Parameter]:
        """What learns, of the model and of the loss."""
        return [p for group in self.optimizer.param_groups for p in group["params"]]

    @property
    def num_parameters(self) -> int:
        """How many numbers learn."""
        return sum(parameter.numel() for parameter in self.learning)


def check_stages(config: Config, own: Own, num_processes: int) -> None:
    """Refuse stages that name what they cannot change in this run.

    Args:
        config: The run.
        own: What was handed over.
        num_processes: How many train together.

    Raises:
        ConfigError: Naming the key.
    """
    for number, stage in enumerate(config.training.stages):
        key = f"training.stages.{number}"
        if own.loss is not None and stage.loss is not None:
            raise ConfigError(
                f"{key}.loss: the loss was handed over from Python, which is that of all stages; "
                "leave it out, or hand none over"
            )
        if own.model is not None and not isinstance(own.model, Classifier):
            for name in ("freeze", "head"):
                if getattr(stage, name) is not None:
                    raise ConfigError(
                        f"{key}.{name}: a model of your own has no backbone and head that mlt "
                        "could tell apart; leave it out, or build the model with "
                        "mlt.models.Classifier(backbone, head)"
                    )
            if stage.optimizer is not None and stage.optimizer.backbone_lr_scale != 1:
                raise ConfigError(
                    f"{key}.optimizer.backbone_lr_scale: a model of your own has no backbone and "
                    "head that mlt could tell apart; leave it out"
                )
        if own.model is not None and stage.head is not None:
            raise ConfigError(
                f"{key}.head: mlt cannot make the head of a model that was handed over afresh"
            )
        named = "head" if stage.head == "lws" else "freeze"
        if config.training.fsdp and num_processes > 1 and getattr(stage, named) is not None:
            raise ConfigError(
                f"{key}.{named}: with training.fsdp what learns cannot change; freeze by "
                "model.freeze, the same in all stages"
            )


def check_tau(plans: Sequence[PlannedStage], has_validation: bool) -> None:
    """Refuse to choose tau where there are no validation images.

    Raises:
        ConfigError: Naming the stage.
    """
    for plan in plans:
        if getattr(plan.settings.head, "tau", None) == "auto" and not has_validation:
            raise ConfigError(
                f"training.stages.{plan.number}.head.tau: auto chooses on validation images, and "
                "there are none; name some in data.validation, or give a number"
            )


def prepare_stages(
    plans: Sequence[PlannedStage],
    losses: Sequence[Loss | OwnLoss],
    samplers: Sequence[EpochSampler],
    heads: Sequence[dict[str, Tensor] | None],
    updates: Sequence[int],
    model: nn.Module,
    own: Own,
    num_processes: int,
    start: Mapping[nn.Parameter, Tensor],
) -> tuple[PreparedStage, ...]:
    """Build the optimizers and schedules of all stages; the model is left as the first needs it.

    Args:
        plans: The stages.
        losses: Of each.
        samplers: Of each.
        heads: States of the heads that they begin with; None keeps the head.
        updates: Optimizer updates per epoch of each.
        model: In all processes, with what the run freezes frozen.
        own: What was handed over.
        num_processes: How many train together.
        start: Weights that ``optimizer.decay_to_start`` decays to.

    Raises:
        ConfigError: If there is no such optimizer, nothing learns in a stage, batch norm would
            learn from single images, a schedule goes on over epochs of another length, or there
            is nothing that would decay to the start.
    """
    handed = model.frozen if own.model is not None and isinstance(model, Classifier) else None
    if all(plan.settings.freeze is None for plan in plans):
        handed = None  # it stays as it came, whatever froze it
    prepared: list[PreparedStage] = []
    parts = zip(plans, losses, samplers, heads, updates, strict=True)
    for plan, loss, sampler, head, per_epoch in parts:
        if plan.begins_anew:
            learns_scale = plan.settings.head == "lws"
            freeze = plan.config.model.freeze if own.model is None else plan.settings.freeze
            freeze = handed if freeze is None else freeze
            set_learning(model, freeze, learns_scale)
            _check_what_learns(plan, model, freeze)
            _check_batch_norm(model, plan.config.training, num_processes)
            optimizer = build_optimizer(plan.config.optimizer, model, loss)
            if plan.config.optimizer.decay_to_start:
                decay_to_start(optimizer, plan.config.optimizer.decay_to_start, start)
            scheduler = build_scheduler(
                plan.config.schedule,
                optimizer,
                plan.config.optimizer.lr,
                plan.schedule_epochs,
                per_epoch,
            )
        elif per_epoch != prepared[-1].updates_per_epoch:
            raise ConfigError(
                f"training.stages.{plan.number}.sampler: its epochs have {per_epoch} updates, "
                f"those of the stage before {prepared[-1].updates_per_epoch}, so that its schedule "
                "cannot go on; name a schedule or an optimizer, with which the stage begins anew"
            )
        prepared.append(
            PreparedStage(
                plan, loss, sampler, head, optimizer, scheduler, freeze, per_epoch, learns_scale
            )
        )
    set_learning(model, prepared[0].freeze, prepared[0].learns_scale)
    if start and not any(parameter in start for stage in prepared for parameter in stage.learning):
        raise ConfigError(
            "optimizer.decay_to_start: nothing of the backbone's own weights learns, so that "
            "nothing could decay; leave it out"
        )
    return tuple(prepared)


def _check_what_learns(
    plan: PlannedStage, model: nn.Module, freeze: tuple[str, ...] | str | None
) -> None:
    """Refuse to freeze by name all that ``model.learn`` lets learn."""
    if not isinstance(model, Classifier) or freeze in (None, "all"):
        return
    learn = plan.config.model.learn.name
    if learn != "all" and not any(p.requires_grad for p in model.backbone.parameters()):
        raise ConfigError(
            f"training.stages.{plan.number}.freeze: all that model.learn: {learn} names is frozen "
            f"by {', '.join(freeze or ())}; `all` says so, and the backbone's features are cached"
        )


def _check_batch_norm(model: nn.Module, training: TrainingConfig, num_processes: int) -> None:
    """Refuse batches of one image where batch norm learns."""
    share = training.batch_size
    if not training.sync_batch_norm:
        share //= num_processes
    if share == 1 and any(
        isinstance(module, _NormBase) and module.training for module in model.train().modules()
    ):
        raise ConfigError(
            "training.batch_size: batch norm cannot learn from batches of one image; use 2 or "
            "more for each process, or model.freeze: all with a head without batch norm"
        )


def set_learning(
    model: nn.Module, freeze: tuple[str, ...] | str | None, learns_scale: bool
) -> None:
    """Say what learns, where a model has a backbone and a head that mlt can tell apart.

    Args:
        model: Changed in place.
        freeze: Parts of the backbone that do not learn, all others do; None: as it is.
        learns_scale: Whether the head learns a factor per class in place of its weights.
    """
    if not isinstance(model, Classifier):
        return
    if freeze is not None:
        model.freeze(freeze)
    for module in model.head.modules():
        if isinstance(module, ScaledLinear):
            module.learn_scale(learns_scale)
