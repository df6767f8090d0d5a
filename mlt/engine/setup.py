"""Everything a run needs, built from its configuration before anything is written."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from timm.utils import ModelEmaV3
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from mlt.class_counts import ClassCounts
from mlt.class_groups import GroupLimits
from mlt.config import Config
from mlt.config.stages import PlannedStage, plan_stages
from mlt.data.dataset import Draw, ItemDataset
from mlt.data.labels import LabelTable
from mlt.data.loader import Loader, build_loader
from mlt.data.own_data import OwnPart, own_data
from mlt.data.run_data import Data, load_data
from mlt.data.samplers import (
    EpochSampler,
    RepeatedSampler,
    SequentialSampler,
    build_sampler,
)
from mlt.data.transforms import Preprocessing, build_transforms, eval_preprocessing
from mlt.data.view_transform import Inputs, inputs_of
from mlt.engine.compilation import check_compiler, compile_in_place
from mlt.engine.gradient_checkpointing import checkpoint_gradients
from mlt.engine.loop import Training
from mlt.engine.own import Own, OwnLoss
from mlt.engine.own_checks import check_loss, check_model
from mlt.engine.parallel import shard, share_state
from mlt.engine.position import Position
from mlt.engine.prepared_stage import PreparedStage, check_stages, check_tau, prepare_stages
from mlt.engine.stage_notes import stage_notes
from mlt.engine.sync_batch_norm import with_synced_batch_norm
from mlt.engine.view_checks import check_views
from mlt.errors import ConfigError
from mlt.features.dataset import EveryView
from mlt.losses import ElementwiseLoss, Loss, build_loss
from mlt.models import Classifier, build_model
from mlt.models.backbone import input_normalisation, num_features
from mlt.models.checkpoint import start_from
from mlt.models.heads import build_head, prior_logits, set_prior_bias
from mlt.runtime.device import pick_device, seed_everything
from mlt.runtime.processes import ALONE, Processes

__all__ = ["Setup", "prepare"]


@dataclass(frozen=True)
class Setup:
    """The parts of a run.

    Attributes:
        config: Where they come from, with what the stage changes in force.
        own: What was handed over instead.
        data: Training, validation and test images with their labels.
        class_counts: Counts and groups of the classes in the training split.
        preprocessing: How an image becomes the model's input outside training.
        train_loader: Augmented batches of the training images, as the sampler draws them.
        test_loader: Batches of all test images, in order.
        validation_loader: The same of the validation images; None where there are none.
        training: Model, loss, optimizer, schedule.
        device: Where to compute.
        batches: Makes loaders of other samplers.
        stages: All stages of the run; without `training.stages` there is one.
        processes: Those that train together.
        start_note: What the model begins from, if that is a checkpoint.
        on_images: The same run on images, where this one is on cached features.
    """

    config: Config
    own: Own
    data: Data
    class_counts: ClassCounts
    preprocessing: Preprocessing
    train_loader: Loader
    test_loader: Loader
    validation_loader: Loader | None
    training: Training
    device: torch.device
    batches: _Batches
    stages: tuple[PreparedStage, ...]
    processes: Processes = ALONE
    start_note: str | None = None
    on_images: Setup | None = None

    @property
    def loads_tensors(self) -> bool:
        """Whether the data are a data set's own tensors, whose preprocessing mlt does not know."""
        return isinstance(self.test_loader.dataset, ItemDataset)

    @property
    def inputs(self) -> Inputs | None:
        """What evaluation shows the model; None where that is features, which have all views."""
        if isinstance(self.test_loader.dataset, EveryView):
            return None
        return inputs_of([(self.preprocessing, self.config.evaluation.shown)])

    @property
    def updates_per_epoch(self) -> int:
        """Optimizer updates of one epoch."""
        return _updates(len(self.train_loader), self.config.training.accumulate)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know about data, loss and schedule before training."""
        begins = () if self.start_note is None else (self.start_note,)
        handed = self.own.loss is not None
        return (*self.data.notes, *begins, *stage_notes(self.stages, self.class_counts, handed))


def prepare(
    config: Config,
    cache: Path | None,
    own: Own | None = None,
    processes: Processes = ALONE,
) -> Setup:
    """Build everything; read-only apart from the cache and embedded data that are not there yet.

    Args:
        config: The run.
        cache: Folder for label tables, so that the next start is instant; None: no cache.
        own: What takes the place of sections of the configuration.
        processes: Those that train together; all must prepare alike.

    Raises:
        UserError: For whatever is wrong with the data, the loss, the weights or the device.
    """
    own = own or Own()
    plans = plan_stages(config)
    with processes.together():
        check_stages(config, own, processes.count)
        config = plans[0].config
        device = pick_device(config.device, processes)
        _check_shares(config, processes)
        if config.training.compile:
            check_compiler(device)
    with processes.together(main_first=True):
        data = load_data(config.data, cache) if own.data is None else own_data(own.data)
    with processes.together():
        limits = GroupLimits(head=config.evaluation.head, tail=config.evaluation.tail)
        class_counts = data.train.class_counts(limits)
        losses: list[Loss | OwnLoss] = []
        for k, plan in enumerate(plans):
            same = k > 0 and plan.config.loss == plans[k - 1].config.loss
            losses.append(
                losses[-1] if same else _loss(plan.config, own, data, class_counts, device)
            )
        model, start_note = _model(config, own, losses[0], class_counts, device)
        heads = [_fresh_head(plan, model, loss, class_counts) for plan, loss in zip(plans, losses)]
        mean, std = input_normalisation(model, config.model)
        batches = _Batches(config, own.data or {}, mean, std, device, processes)
        share = processes.count, processes.rank
        samplers: list[EpochSampler] = []
        for k, plan in enumerate(plans):
            if k > 0 and plan.config.sampler == plans[k - 1].config.sampler:
                samplers.append(samplers[-1])
                continue
            sampler = build_sampler(
                plan.config.sampler, data.train, class_counts, config.seed, *share
            )
            if config.transforms.repeats > 1:
                sampler = RepeatedSampler(sampler, config.transforms.repeats)
            samplers.append(sampler)
        train_loader = batches.of("train", data.train, samplers[0])
        test_loader = batches.of("test", data.test)
        validation_loader = None
        if data.validation is not None:
            validation_loader = batches.of("validation", data.validation)
        for loader in (train_loader, validation_loader, test_loader):
            if loader is train_loader or (loader and isinstance(loader.dataset, ItemDataset)):
                _try(model, loader, class_counts.num_classes, config, device)
            if loader and loader is not train_loader:
                check_views(
                    model,
                    config.evaluation.shown,
                    class_counts.num_classes,
                    device,
                    of_tensors=isinstance(loader.dataset, ItemDataset),
                )
    model, ema = _in_all(model, losses, config, device, processes)
    if config.training.compile:
        parts = [model, *losses] if ema is None else [model, ema.module, *losses]
        compile_in_place(config.training.compile, *parts)
    updates = [
        _updates(len(batches.of("train", data.train, sampler)), config.training.accumulate)
        for sampler in samplers
    ]
    with processes.together():
        check_tau(plans, data.validation is not None)
        stages = prepare_stages(
            plans, losses, samplers, heads, updates, model, own, processes.count
        )
    training = Training(
        model=model,
        loss=stages[0].loss,
        optimizer=stages[0].optimizer,
        scheduler=stages[0].scheduler,
        scaler=torch.amp.GradScaler(device.type, enabled=config.training.autocast == "fp16"),
        ema=ema,
        position=Position(),
    )
    return Setup(
        config=config,
        own=own,
        data=data,
        class_counts=class_counts,
        preprocessing=eval_preprocessing(config.transforms, mean, std),
        train_loader=train_loader,
        test_loader=test_loader,
        validation_loader=validation_loader,
        training=training,
        device=device,
        batches=batches,
        stages=stages,
        start_note=start_note,
        processes=processes,
    )


def _loss(
    config: Config, own: Own, data: Data, class_counts: ClassCounts, device: torch.device
) -> Loss | OwnLoss:
    """That of the configuration, or the one that was handed over; on the device."""
    loss = build_loss(config.loss, class_counts) if own.loss is None else own.loss
    mix = config.transforms.mix
    check_loss(
        loss,
        class_counts.num_classes,
        device,
        partly_known=data.train.known is not None,
        soft_targets=mix is not None and mix.softens,
    )
    return loss.to(device)


def _model(
    config: Config, own: Own, loss: nn.Module, class_counts: ClassCounts, device: torch.device
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
            prior=_starting_share(loss, class_counts.prior),
            image_size=config.transforms.size,
        )
        if checkpoint is not None:
            note = start_from(built, checkpoint, class_counts.names)
        model: nn.Module = built
    else:
        model = own.model
        _check_own_model(model, config)
    if config.training.gradient_checkpointing:
        checkpoint_gradients(model)
    model = model.to(device, memory_format=_layout(model, config))  # type: ignore[call-overload]
    return model, note


def _fresh_head(
    plan: PlannedStage, model: nn.Module, loss: nn.Module, class_counts: ClassCounts
) -> dict[str, Tensor] | None:
    """The state of the head that a stage begins with; None where it keeps the one there is."""
    if plan.settings.head != "reinit" or not isinstance(model, Classifier):
        return None
    section = plan.config.model
    with torch.random.fork_rng():
        torch.manual_seed(plan.config.seed << 8 | plan.number)
        head = build_head(section.head, num_features(model.backbone), class_counts.num_classes)
    if section.prior_bias:
        set_prior_bias(head, _starting_share(loss, class_counts.prior))
    return head.state_dict()


def _in_all(
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


@dataclass(frozen=True)
class _Batches:
    """Makes the loaders of a run, all alike but for augmentation and order."""

    config: Config
    own_parts: Mapping[str, OwnPart]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    device: torch.device
    processes: Processes

    def of(self, part: str, table: LabelTable, sampler: EpochSampler | None = None) -> Loader:
        """The loader of a part; without a sampler, of all its images in order, for evaluation."""
        config, training = self.config, sampler is not None
        form = eval_preprocessing(config.transforms, self.mean, self.std)
        transform = inputs_of([(form, config.evaluation.shown)]).transform
        if training:
            transform = build_transforms(config.transforms, self.mean, self.std, train=True)
        own = self.own_parts.get(part, OwnPart(part, table))
        # Results are of whole images, so that they do not depend on how training saved time.
        decoding = config.data.decoding if training else "exact"
        return build_loader(
            own.dataset(transform, config.data.on_image_error, decoding),
            batch_size=config.training.batch_size if training else config.evaluation.batch_size,
            sampler=sampler
            or SequentialSampler(len(table), self.processes.count, self.processes.rank),
            workers=config.training.workers,
            seed=config.seed,
            device=self.device,
            mix=config.transforms.mix if training else None,
        )


def _check_shares(config: Config, processes: Processes) -> None:
    """Refuse what several processes cannot do together."""
    training, count = config.training, processes.count
    if training.batch_size < count:
        raise ConfigError(
            f"training.batch_size: {count} processes share a batch of {training.batch_size}; give "
            "each at least one image"
        )
    if training.fsdp and training.autocast == "fp16":
        raise ConfigError("training.fsdp: does not go with autocast fp16; use bf16")
    for key in ("compile", "gradient_checkpointing"):
        if count > 1 and getattr(training, key):
            raise ConfigError(f"training.{key}: works in one process only; set it to false")
    if training.compile and training.gradient_checkpointing:
        raise ConfigError(
            "training.compile: does not go with training.gradient_checkpointing; set one to false"
        )


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


def _starting_share(loss: nn.Module, prior: np.ndarray) -> np.ndarray:
    """The shares at which sigmoids start, so that the loss sees each class at its prior (C,)."""
    if not isinstance(loss, ElementwiseLoss):
        return prior
    # On a copy: the loss is on its device, which may not have float64.
    adjustment = copy.deepcopy(loss.adjustment).cpu()
    return torch.sigmoid(adjustment.undo(prior_logits(prior).double())).numpy()


def _try(
    model: nn.Module,
    loader: Loader,
    num_classes: int,
    config: Config,
    device: torch.device,
) -> None:
    """Show the model one image, so that a size it cannot take is found before training."""
    size, name = config.transforms.size, config.model.backbone
    image = loader.dataset[Draw(0, 0)].image if isinstance(loader.dataset, ItemDataset) else None
    if image is None:
        image = torch.zeros(3, size, size)
    failed = None
    if isinstance(model, Classifier) and not isinstance(loader.dataset, ItemDataset):
        failed = f"transforms.size: {name} cannot take images of {size} x {size} pixels"
    check_model(model, image, num_classes, device, failed)


def _updates(batches: int, accumulate: int) -> int:
    return max(1, -(-batches // accumulate))


def _ema(model: torch.nn.Module, decay: float | None) -> ModelEmaV3 | None:
    # The warm-up lets the average follow quickly at first, so that short runs profit too.
    return None if decay is None else ModelEmaV3(model, decay=decay, use_warmup=True)
