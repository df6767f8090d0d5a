"""The model that a run begins with: built or handed over, and the same in all processes."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
from timm.utils import ModelEmaV3
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from mlt.class_counts import ClassCounts
from mlt.config import Config
from mlt.config.stages import PlannedStage
from mlt.engine.gradient_checkpointing import checkpoint_gradients
from mlt.engine.one_label import activation_of
from mlt.engine.own import Own
from mlt.engine.parallel import shard, share_state
from mlt.engine.sync_batch_norm import with_synced_batch_norm
from mlt.errors import ConfigError
from mlt.losses import ElementwiseLoss, Loss
from mlt.models import Classifier, build_model
from mlt.models.adapters import check_adapters_are_used
from mlt.models.build import head_for
from mlt.models.checkpoint import start_from
from mlt.models.heads import AboutClasses, prior_logits, set_prior_bias
from mlt.models.settings import ModelConfig
from mlt.runtime.device import seed_everything
from mlt.runtime.processes import Processes

__all__ = ["fresh_head", "in_all_processes", "starting_model"]


def starting_model(
    config: Config,
    own: Own,
    loss: nn.Module,
    class_counts: ClassCounts,
    about: AboutClasses,
    device: torch.device,
) -> tuple[nn.Module, str | None]:
    """That of the configuration, or the one that was handed over; and what it begins from."""
    seed_everything(config.seed)
    note = None
    if own.model is None:
        section, checkpoint = config.model, config.model.checkpoint
        if checkpoint is not None:
            section = section.model_copy(update={"weights": "none"})
        built = build_model(
            section,
            class_counts.num_classes,
            prior=_starting_share(loss, class_counts, about),
            image_size=config.transforms.size,
            about=about,
        )
        if checkpoint is not None:
            note = start_from(built, checkpoint, class_counts.names, config.transforms.size)
        check_adapters_are_used(built.backbone, config.transforms.size)
        model: nn.Module = built
    else:
        model = own.model
        _check_own_model(model, config)
        note = _unused_settings(config.model)
    if config.training.gradient_checkpointing:
        checkpoint_gradients(model)
    model = model.to(device, memory_format=_layout(model, config))  # type: ignore[call-overload]
    return model, note


def fresh_head(
    plan: PlannedStage,
    model: nn.Module,
    loss: nn.Module,
    class_counts: ClassCounts,
    about: AboutClasses,
) -> dict[str, Tensor] | None:
    """The state of the head that a stage begins with; None where it keeps the one there is."""
    if plan.settings.head != "reinit" or not isinstance(model, Classifier):
        return None
    section = plan.config.model
    with torch.random.fork_rng():
        torch.manual_seed(plan.config.seed << 8 | plan.number)
        head = head_for(model.backbone, section.head, class_counts.num_classes, about)
    share = _starting_share(loss, class_counts, about)
    if section.prior_bias and share is not None:
        set_prior_bias(head, share)
    return head.state_dict()


def in_all_processes(
    model: nn.Module,
    losses: Sequence[nn.Module],
    config: Config,
    device: torch.device,
    processes: Processes,
) -> tuple[nn.Module, ModelEmaV3 | None]:
    """The model as all processes train it, and its moving average; the same in all of them."""
    training = config.training
    for loss in losses:
        for part in loss.modules():
            if isinstance(part, Loss):
                part.sees_whole_batch = True
    if processes.count == 1:
        return model, _ema(model, training.ema_decay)
    share_state(model, processes)  # those that were handed over may have begun at random
    for loss in losses:
        share_state(loss, processes)
    if training.sync_batch_norm:
        model = with_synced_batch_norm(model, device)
    ema = _ema(model, training.ema_decay)
    if training.fsdp:
        for whole in (model, *([ema.module] if ema else [])):
            shard(whole, device, processes)
    seed_everything(config.seed + processes.rank)  # dropout of its own in each
    return model, ema


def _layout(model: nn.Module, config: Config) -> torch.memory_format:
    volumes = any(parameter.ndim == 5 for parameter in model.parameters())  # have another layout
    wanted = config.training.channels_last and not volumes
    return torch.channels_last if wanted else torch.preserve_format


def _check_own_model(model: nn.Module, config: Config) -> None:
    """Refuse a model that cannot be saved, and settings that it has no way to follow."""
    if any(map(is_lazy, model.parameters())):
        raise ConfigError(
            "model: it has lazy parameters, which have no shape yet; call it once on a batch first"
        )
    if odd := [k for k, value in model.state_dict().items() if not isinstance(value, Tensor)]:
        raise ConfigError(
            f"model: {odd[0]} of its state_dict() is not a tensor, and cannot be saved in a "
            "checkpoint; keep it out of the state (get_extra_state) or make it a buffer"
        )
    if config.training.save == "difference":
        raise ConfigError(
            "training.save: a model that was handed over cannot be built again to add the "
            "difference to; set it to full"
        )
    if isinstance(model, Classifier):
        return
    refused = {
        "training.head_only_epochs": config.training.head_only_epochs > 0,
        "optimizer.backbone_lr_scale": config.optimizer.backbone_lr_scale != 1,
    }
    for key, set_ in refused.items():
        if set_:
            raise ConfigError(
                f"{key}: a model of your own has no backbone and head that mlt could tell apart; "
                "leave it out, or build the model with mlt.models.Classifier(backbone, head)"
            )


def _unused_settings(section: ModelConfig) -> str | None:
    """A warning about settings that are followed where the model is built, if any is set."""
    keys = ("freeze", "learn", "freeze_statistics", "checkpoint")
    fields = type(section).model_fields
    found = [f"model.{key}" for key in keys if getattr(section, key) != fields[key].default]
    if not found:
        return None
    return (
        f"warning: {' and '.join(found)} say how a model is built, and one was handed over: of it "
        "learns what its parameters' requires_grad says"
    )


def _prior(class_counts: ClassCounts, about: AboutClasses) -> np.ndarray:
    """The share of the training images that each class has (C,).

    Of a class about which they say nothing, but its embedding does, it is the median of the others:
    with 0 it would stay below all of them.
    """
    prior, known = class_counts.prior, class_counts.known
    if about.embeddings is None or known is None or not known.any():
        return prior
    return np.where(known > 0, prior, np.median(prior[known > 0]))


def _starting_share(
    loss: nn.Module, class_counts: ClassCounts, about: AboutClasses
) -> np.ndarray | None:
    """The shares at which sigmoids start, so that the loss sees each class at its prior (C,).

    None for a softmax, which has no many negatives to start against.
    """
    if activation_of(loss) == "softmax":
        return None
    prior = _prior(class_counts, about)
    if not isinstance(loss, ElementwiseLoss):
        return prior
    # On a copy: the loss is on its device, which may not have float64.
    adjustment = copy.deepcopy(loss.adjustment).cpu()
    return torch.sigmoid(adjustment.undo(prior_logits(prior).double())).numpy()


def _ema(model: torch.nn.Module, decay: float | None) -> ModelEmaV3 | None:
    # The warm-up lets the average follow quickly at first, so that short runs profit too.
    return None if decay is None else ModelEmaV3(model, decay=decay, use_warmup=True)
