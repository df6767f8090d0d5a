"""Everything a run needs, built from its configuration before anything is written."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from timm.utils import ModelEmaV3
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from mlt.class_counts import ClassCounts
from mlt.class_groups import GroupLimits
from mlt.config import Config
from mlt.data.dataset import Draw, ItemDataset
from mlt.data.labels import LabelTable
from mlt.data.loader import Loader, build_loader
from mlt.data.own_data import OwnPart, own_data
from mlt.data.run_data import Data, load_data
from mlt.data.samplers import EpochSampler, build_sampler
from mlt.data.transforms import Preprocessing, build_transforms, eval_preprocessing
from mlt.engine.loop import Position, Training
from mlt.engine.optim import build_optimizer, build_scheduler
from mlt.engine.own import Own, check_loss
from mlt.errors import ConfigError
from mlt.losses import ElementwiseLoss, build_loss
from mlt.models import Classifier, build_model
from mlt.models.backbone import input_normalisation
from mlt.models.heads import prior_logits
from mlt.runtime.device import pick_device, seed_everything

__all__ = ["Setup", "prepare"]


@dataclass(frozen=True)
class Setup:
    """The parts of a run.

    Attributes:
        config: Where they come from.
        own: What was handed over instead.
        data: Training, validation and test images with their labels.
        class_counts: Counts and groups of the classes in the training split.
        preprocessing: How an image becomes the model's input outside training.
        train_loader: Augmented batches of the training images, as the sampler draws them.
        test_loader: Batches of all test images, in order.
        validation_loader: The same of the validation images; None where there are none.
        training: Model, loss, optimizer, schedule.
        device: Where to compute.
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

    @property
    def loads_tensors(self) -> bool:
        """Whether the data are a data set's own tensors, whose preprocessing mlt does not know."""
        return isinstance(self.test_loader.dataset, ItemDataset)

    @property
    def updates_per_epoch(self) -> int:
        """Optimizer updates of one epoch."""
        return _updates(len(self.train_loader), self.config.training.accumulate)


def prepare(config: Config, cache: Path | None, own: Own | None = None) -> Setup:
    """Build everything; read-only apart from the cache and embedded data that are not there yet.

    Args:
        config: The run.
        cache: Folder for label tables, so that the next start is instant; None: no cache.
        own: What takes the place of sections of the configuration.

    Raises:
        UserError: For whatever is wrong with the data, the loss, the weights or the device.
    """
    own = own or Own()
    device = pick_device(config.device)
    data = load_data(config.data, cache) if own.data is None else own_data(own.data)
    limits = GroupLimits(head=config.evaluation.head, tail=config.evaluation.tail)
    class_counts = data.train.class_counts(limits)
    loss = (own.loss or build_loss(config.loss, class_counts)).to(device)
    check_loss(loss, class_counts.num_classes, device)
    seed_everything(config.seed)
    model = own.model or build_model(
        config.model,
        class_counts.num_classes,
        prior=_starting_share(loss, class_counts.prior),
        image_size=config.transforms.size,
    )
    if not isinstance(model, Classifier):
        _check_own_model(config)
    model = model.to(device, memory_format=_layout(model, config))  # type: ignore[call-overload]
    mean, std = input_normalisation(model, config.model)
    batches = _Batches(config, own.data or {}, mean, std, device)
    train_loader = batches.of(
        "train", data.train, build_sampler(config.sampler, data.train, class_counts, config.seed)
    )
    _try(model, train_loader, class_counts.num_classes, config, device, own)
    optimizer = build_optimizer(config.optimizer, model)
    training = Training(
        model=model,
        loss=loss,
        optimizer=optimizer,
        scheduler=build_scheduler(
            config.schedule,
            optimizer,
            config.optimizer.lr,
            config.training.epochs,
            _updates(len(train_loader), config.training.accumulate),
        ),
        scaler=torch.amp.GradScaler(device.type, enabled=config.training.autocast == "fp16"),
        ema=_ema(model, config.training.ema_decay),
        position=Position(),
    )
    return Setup(
        config=config,
        own=own,
        data=data,
        class_counts=class_counts,
        preprocessing=eval_preprocessing(config.transforms, mean, std),
        train_loader=train_loader,
        test_loader=batches.of("test", data.test),
        validation_loader=(
            None if data.validation is None else batches.of("validation", data.validation)
        ),
        training=training,
        device=device,
    )


@dataclass(frozen=True)
class _Batches:
    """Makes the loaders of a run, all alike but for augmentation and order."""

    config: Config
    own_parts: Mapping[str, OwnPart]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    device: torch.device

    def of(self, part: str, table: LabelTable, sampler: EpochSampler | None = None) -> Loader:
        """The loader of a part; without a sampler, of all its images in order, for evaluation."""
        config, training = self.config, sampler is not None
        transform = build_transforms(config.transforms, self.mean, self.std, train=training)
        own = self.own_parts.get(part, OwnPart(part, table))
        return build_loader(
            own.dataset(transform, config.data.on_image_error),
            batch_size=config.training.batch_size if training else config.evaluation.batch_size,
            sampler=sampler,
            workers=config.training.workers,
            seed=config.seed,
            device=self.device,
        )


def _layout(model: nn.Module, config: Config) -> torch.memory_format:
    volumes = any(parameter.ndim == 5 for parameter in model.parameters())  # have another layout
    wanted = config.training.channels_last and not volumes
    return torch.channels_last if wanted else torch.preserve_format


def _check_own_model(config: Config) -> None:
    """Refuse settings that a model of one's own has no way to follow."""
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
    own: Own,
) -> None:
    """Show the model one image, so that a size it cannot take is found before training."""
    size, name = config.transforms.size, config.model.backbone
    image, problem = None, f"transforms.size: {name} cannot take images of {size} x {size} pixels"
    if isinstance(loader.dataset, ItemDataset):
        image = loader.dataset[Draw(0, 0)].image  # None if it cannot be read
    if image is None:
        image = torch.zeros(3, size, size)
    if own.model is not None or isinstance(loader.dataset, ItemDataset):
        problem = f"model: it cannot take images of shape {tuple(image.shape)}, {image.dtype}"
    try:
        with torch.no_grad():
            logits = model.eval()(torch.zeros_like(image, device=device)[None])
    except (RuntimeError, AssertionError, ValueError, TypeError) as error:
        raise ConfigError(f"{problem}: {error}") from error
    if not isinstance(logits, torch.Tensor) or logits.shape != (1, num_classes):
        got = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise ConfigError(
            f"model: one image gives {got}; expected logits of shape (1, {num_classes}), one "
            "column per class"
        )
    if config.training.batch_size == 1 and any(
        isinstance(module, _NormBase) and module.training for module in model.train().modules()
    ):
        raise ConfigError(
            "training.batch_size: batch norm cannot learn from batches of one image; use 2 or "
            "more, or model.freeze: all with a head without batch norm"
        )


def _updates(batches: int, accumulate: int) -> int:
    return max(1, -(-batches // accumulate))


def _ema(model: torch.nn.Module, decay: float | None) -> ModelEmaV3 | None:
    # The warm-up lets the average follow quickly at first, so that short runs profit too.
    return None if decay is None else ModelEmaV3(model, decay=decay, use_warmup=True)
