"""Everything a run needs, built from its configuration before anything is written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from mlt.class_counts import ClassCounts
from mlt.class_groups import GroupLimits
from mlt.config import Config
from mlt.config.stages import plan_stages
from mlt.data.dataset import Draw, ItemDataset
from mlt.data.loader import Loader
from mlt.data.own_data import own_data
from mlt.data.run_data import Data, load_data
from mlt.data.samplers import EpochSampler, RepeatedSampler, build_sampler
from mlt.data.transforms import Preprocessing, eval_preprocessing
from mlt.data.view_transform import Inputs, inputs_of
from mlt.engine.about_classes import about_classes
from mlt.engine.batches import Batches
from mlt.engine.compilation import check_compiler, compile_in_place
from mlt.engine.decay_to_start import digest_of_start, weights_to_start_from
from mlt.engine.gradient_checkpointing import check_recomputed_batch_norm
from mlt.engine.loop import Training
from mlt.engine.one_label import activation_of, check_one_label
from mlt.engine.own import Own, OwnLoss
from mlt.engine.own_checks import check_loss, check_model
from mlt.engine.position import Position
from mlt.engine.prepared_stage import PreparedStage, check_stages, check_tau, prepare_stages
from mlt.engine.stage_notes import stage_notes
from mlt.engine.starting_model import fresh_head, in_all_processes, starting_model
from mlt.engine.unseen_classes import hide_unseen
from mlt.engine.view_checks import check_views
from mlt.engine.whiten import whiten_first_layer
from mlt.errors import ConfigError
from mlt.features.dataset import EveryView
from mlt.losses import Loss, build_loss
from mlt.models import Classifier
from mlt.models.backbone import input_normalisation
from mlt.models.difference import StartingWeights, starting_weights
from mlt.models.heads.settings import LinearHead
from mlt.runtime.device import pick_device
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
        starting_weights: What the backbone begins with, where checkpoints hold the difference.
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
    batches: Batches
    stages: tuple[PreparedStage, ...]
    processes: Processes = ALONE
    start_note: str | None = None
    on_images: Setup | None = None
    starting_weights: StartingWeights | None = None

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
    state: Path | None = None,
) -> Setup:
    """Build everything; read-only apart from the cache and embedded data that are not there yet.

    Args:
        config: The run.
        cache: Folder for label tables, so that the next start is instant; None: no cache.
        own: What takes the place of sections of the configuration.
        processes: Those that train together; all must prepare alike.
        state: Of the run that goes on afterwards; None: it begins.

    Raises:
        UserError: For whatever is wrong with the data, the loss, the weights or the device.
    """
    own = own or Own()
    with processes.together():
        plans = plan_stages(config)
        check_stages(config, own, processes.count)
        config = plans[0].config
        device = pick_device(config.device, processes)
        _check_shares(config, processes)
        if config.training.compile:
            check_compiler(device)
    with processes.together(main_first=True):
        data = load_data(config.data, cache) if own.data is None else own_data(own.data)
    with processes.together():
        data = hide_unseen(data, config.evaluation.unseen)
        limits = GroupLimits(head=config.evaluation.head, tail=config.evaluation.tail)
        class_counts = data.train.class_counts(limits)
        losses: list[Loss | OwnLoss] = []
        for k, plan in enumerate(plans):
            same = k > 0 and plan.config.loss == plans[k - 1].config.loss
            losses.append(
                losses[-1] if same else _loss(plan.config, own, data, class_counts, device)
            )
            if not same:
                check_one_label(losses[-1], {"training": data.train, "validation": data.validation})
        head = config.model.head if own.model is None else LinearHead()
        about = about_classes(head, data.train, state)
        model, start_note = starting_model(config, own, losses[0], class_counts, about, device)
        begun = None
        if config.training.save == "difference":
            begun = starting_weights(model.state_dict())
        if processes.count > 1:
            check_recomputed_batch_norm(model, config.training, device)
        heads = [
            fresh_head(plan, model, loss, class_counts, about) for plan, loss in zip(plans, losses)
        ]
        mean, std = input_normalisation(model, config.model)
        batches = Batches(config, own.data or {}, mean, std, device, processes)
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
        from_nothing = config.model.weights == "none" and config.model.checkpoint is None
        if from_nothing and own.model is None:
            whiten_first_layer(model, train_loader.dataset)
        if config.evaluation.unseen and isinstance(train_loader.dataset, ItemDataset):
            raise ConfigError(
                "evaluation.unseen: a data set of your own that gives tensors gives their labels, "
                "too, which mlt cannot hide; mark them as not known there"
            )
        test_loader = batches.of("test", data.test)
        validation_loader = None
        if data.validation is not None:
            validation_loader = batches.of("validation", data.validation)
        for loader in (train_loader, validation_loader, test_loader):
            if config.data.cache != "none" and loader and isinstance(loader.dataset, ItemDataset):
                raise ConfigError(
                    f"data.cache: {config.data.cache}: a data set of your own gives tensors, which "
                    "may be others each time, so they are not kept; set it to none, or have the "
                    "data set give images of Pillow"
                )
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
    model, ema = in_all_processes(model, losses, config, device, processes)
    if config.training.compile:
        parts = [model, *losses] if ema is None else [model, ema.module, *losses]
        compile_in_place(config.training.compile, *parts)
    loaders = {
        sampler: train_loader
        if sampler is samplers[0]
        else batches.of("train", data.train, sampler)
        for sampler in samplers
    }
    updates = [_updates(len(loaders[s]), config.training.accumulate) for s in samplers]
    with processes.together():
        check_tau(plans, data.validation is not None)
        decays = any(plan.config.optimizer.decay_to_start for plan in plans)
        start = weights_to_start_from(model) if decays else {}
        stages = prepare_stages(
            plans, losses, samplers, heads, updates, model, own, processes.count, start
        )
    training = Training(
        model=model,
        loss=stages[0].loss,
        optimizer=stages[0].optimizer,
        scheduler=stages[0].scheduler,
        scaler=torch.amp.GradScaler(device.type, enabled=config.training.autocast == "fp16"),
        ema=ema,
        position=Position(),
        start=digest_of_start(start) if start else None,
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
        starting_weights=begun,
    )


def _loss(
    config: Config, own: Own, data: Data, class_counts: ClassCounts, device: torch.device
) -> Loss | OwnLoss:
    """That of the configuration, or the one that was handed over; on the device."""
    loss = build_loss(config.loss, class_counts) if own.loss is None else own.loss
    mix = config.transforms.mix
    if mix is not None and mix.labels == "union" and activation_of(loss) == "softmax":
        raise ConfigError(
            "transforms.mix.labels: union gives mixed images two labels, and the loss is a softmax "
            "loss, for exactly one; choose labels: mix"
        )
    check_loss(
        loss,
        class_counts.num_classes,
        device,
        partly_known=data.train.known is not None,
        soft_targets=mix is not None and mix.softens,
    )
    return loss.to(device)


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
    if training.compile and count > 1:
        raise ConfigError("training.compile: works in one process only; set it to false")
    if training.compile and training.gradient_checkpointing:
        raise ConfigError(
            "training.compile: does not go with training.gradient_checkpointing; set one to false"
        )


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
