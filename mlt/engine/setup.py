"""Everything a run needs, built from its configuration before anything is written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from timm.utils import ModelEmaV3
from torch.nn.modules.batchnorm import _NormBase

from mlt.config import Config
from mlt.data import ClassStats, GroupLimits
from mlt.data.dataset import ImageDataset
from mlt.data.labels import LabelTable
from mlt.data.loader import Loader, build_loader
from mlt.data.run_data import Data, load_data
from mlt.data.samplers import build_sampler
from mlt.data.transforms import Preprocessing, build_transforms, eval_preprocessing
from mlt.engine.optim import build_optimizer, build_scheduler
from mlt.engine.train import Position, Training
from mlt.errors import ConfigError
from mlt.losses import ElementwiseLoss, Loss, build_loss
from mlt.models import Classifier, build_model
from mlt.models.heads import prior_logits
from mlt.runtime.device import pick_device, seed_everything

__all__ = ["Setup", "prepare"]


@dataclass(frozen=True)
class Setup:
    """The parts of a run.

    Attributes:
        config: Where they come from.
        data: Training, validation and test images with their labels.
        stats: Counts and groups of the classes in the training split.
        preprocessing: How an image becomes the model's input outside training.
        train_loader: Augmented batches of the training images, as the sampler draws them.
        test_loader: Batches of all test images, in order.
        validation_loader: The same of the validation images; None where there are none.
        training: Model, loss, optimizer, schedule.
        device: Where to compute.
    """

    config: Config
    data: Data
    stats: ClassStats
    preprocessing: Preprocessing
    train_loader: Loader
    test_loader: Loader
    validation_loader: Loader | None
    training: Training
    device: torch.device

    @property
    def updates_per_epoch(self) -> int:
        """Optimizer updates of one epoch."""
        return _updates(len(self.train_loader), self.config.training.accumulate)


def prepare(config: Config, cache: Path | None) -> Setup:
    """Build everything; read-only apart from the cache and embedded data that are not there yet.

    Args:
        config: The run.
        cache: Folder for label tables, so that the next start is instant; None: no cache.

    Raises:
        UserError: For whatever is wrong with the data, the weights or the device.
    """
    device = pick_device(config.device)
    data = load_data(config.data, cache)
    limits = GroupLimits(head=config.evaluation.head, tail=config.evaluation.tail)
    stats = ClassStats.from_table(data.train, limits)
    loss = build_loss(config.loss, stats)
    seed_everything(config.seed)
    model = build_model(
        config.model,
        stats.num_classes,
        prior=_starting_share(loss, stats.prior),
        image_size=config.transforms.size,
    )
    layout = torch.channels_last if config.training.channels_last else torch.contiguous_format
    model = model.to(device, memory_format=layout)  # type: ignore[call-overload]
    _try(model, config, device)
    preprocessing = eval_preprocessing(config.transforms, model.mean, model.std)
    workers = config.training.workers
    on_error = config.data.on_image_error
    sampler = build_sampler(config.sampler, data.train, stats, config.seed)
    batch_size = config.training.batch_size
    train_loader = build_loader(
        ImageDataset(
            data.train,
            build_transforms(config.transforms, model.mean, model.std, train=True),
            on_error=on_error,
        ),
        batch_size=batch_size,
        sampler=sampler,
        workers=workers,
        seed=config.seed,
        device=device,
    )

    def evaluation_loader(table: LabelTable) -> Loader:
        transform = build_transforms(config.transforms, model.mean, model.std, train=False)
        return build_loader(
            ImageDataset(table, transform, on_error=on_error),
            batch_size=config.evaluation.batch_size,
            workers=workers,
            device=device,
        )

    optimizer = build_optimizer(config.optimizer, model)
    training = Training(
        model=model,
        loss=loss.to(device),
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
        data=data,
        stats=stats,
        preprocessing=preprocessing,
        train_loader=train_loader,
        test_loader=evaluation_loader(data.test),
        validation_loader=None if data.validation is None else evaluation_loader(data.validation),
        training=training,
        device=device,
    )


def _starting_share(loss: Loss, prior: np.ndarray) -> np.ndarray:
    """The shares at which sigmoids start, so that the loss sees each class at its prior (C,)."""
    if not isinstance(loss, ElementwiseLoss):
        return prior
    return torch.sigmoid(loss.adjustment.undo(prior_logits(prior).double())).numpy()


def _try(model: Classifier, config: Config, device: torch.device) -> None:
    """Show the model one blank image, so that a size it cannot take is found before training."""
    size = config.transforms.size
    try:
        with torch.no_grad():
            model.eval()(torch.zeros(1, 3, size, size, device=device))
    except (RuntimeError, AssertionError, ValueError) as error:
        raise ConfigError(
            f"transforms.size: {config.model.backbone} cannot take images of {size} x {size} "
            f"pixels: {error}"
        ) from error
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
