"""Put the cached features of a frozen backbone in place of the images of a run."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import torch

from mlt.config.training import FeaturesConfig
from mlt.data.labels import LabelTable
from mlt.data.loader import Loader, build_loader
from mlt.data.samplers import EpochSampler
from mlt.engine.one_label import activation_of
from mlt.engine.setup import Setup
from mlt.errors import ConfigError
from mlt.features.compute import FrozenBackbone, features_of
from mlt.features.dataset import DrawnFeatures, EveryView
from mlt.features.head_model import HeadModel
from mlt.features.store import row_size
from mlt.features.views import View, backbone_digest, evaluation_views, train_views
from mlt.keyed_files import bytes_in, make_room
from mlt.models import Classifier

__all__ = ["uses_features", "with_cached_features"]

logger = logging.getLogger(__name__)


def with_cached_features(setup: Setup, cache: Path) -> Setup:
    """The same run on features of its backbone in place of images, if `training.features` says so.

    Features that are not in the cache yet are computed.

    Args:
        setup: The run on images; its model and moving average are the ones trained afterwards.
        cache: Folder in which the features have a folder.

    Returns:
        The run on features; ``setup`` itself where images are to be trained on.

    Raises:
        ConfigError: If cached features are asked for but this run cannot have them.
        DataError: If an image cannot be read and is not to be skipped.
        OSError: If the features cannot be written, for example because the disk is full.
    """
    config, training = setup.config, setup.training
    settings = _settings(setup)
    if settings is None:
        return setup
    model = training.model
    if reason := _not_possible(setup):
        return _on_images(setup, reason)
    assert isinstance(model, Classifier)
    of_training = train_views(settings, config.transforms, model)
    of_evaluation = evaluation_views(config.transforms, model, config.evaluation.shown)
    plan = [(setup.data.train, of_training), (setup.data.test, of_evaluation)]
    if setup.data.validation is not None:
        plan.append((setup.data.validation, of_evaluation))
    backbone = FrozenBackbone(
        model=model.eval(),
        digest=backbone_digest(model, config.model.backbone),
        device=setup.device,
        root=cache / "features",
        layout=torch.channels_last if config.training.channels_last else torch.preserve_format,
    )
    per_view = row_size(backbone.feature_shape(config.transforms.size))
    size = sum(len(table) * len(views) for table, views in plan) * per_view
    limit = int(settings.cache_size * 1e9)
    if size > limit:
        return _on_images(
            setup,
            f"they would take {size / 1e9:.3g} GB, and training.features.cache_size is "
            f"{settings.cache_size:g}",
        )
    in_use = {backbone.folder(view) for _, views in plan for view in views}

    def make_room_for_missing() -> None:
        missing = max(0, size - bytes_in(in_use, ".npy"))
        make_room(backbone.root, missing, limit, in_use, ".npy")

    setup.processes.on_main(make_room_for_missing)
    logger.info(
        "the head learns from features of the frozen backbone, of each training image %s: "
        "%.3g MB in %s",
        _listed(of_training),
        size / 1e6,
        backbone.root,
    )

    def over_features(
        loader: Loader, table: LabelTable, views: list[View], sampler: EpochSampler | None = None
    ) -> Loader:
        """The loader with features in place of images: the same rows in the same batches."""
        on_error = config.data.on_image_error
        features = features_of(
            backbone,
            table,
            views,
            batch_size=config.evaluation.batch_size,
            workers=config.training.workers,
            on_error=on_error,
            processes=setup.processes,
        )
        kind = EveryView if sampler is None else DrawnFeatures
        section = config.evaluation if sampler is None else config.training
        made = build_loader(
            kind(table, features, on_error),
            batch_size=section.batch_size,
            sampler=sampler or loader.sampler,
            workers=0,  # there is nothing left to wait for
            seed=config.seed,
            device=setup.device,
        )
        made.problems.update(features.problems)
        return made

    data = setup.data
    train_loader = over_features(
        setup.train_loader, data.train, of_training, setup.train_loader.sampler
    )
    test_loader = over_features(setup.test_loader, data.test, of_evaluation)
    validation_loader = None
    if setup.validation_loader is not None and data.validation is not None:
        validation_loader = over_features(setup.validation_loader, data.validation, of_evaluation)
    averaged = config.evaluation.average, activation_of(training.loss)
    training.model = HeadModel.of(model, *averaged)
    if training.ema is not None:
        training.ema.module = HeadModel.of(training.ema.module, *averaged)
    return replace(
        setup,
        train_loader=train_loader,
        test_loader=test_loader,
        validation_loader=validation_loader,
        on_images=setup,
    )


def uses_features(setup: Setup) -> bool:
    """Whether the run, as it begins, is to be on cached features, if there is room for them."""
    return _settings(setup) is not None and _not_possible(setup) is None


def _settings(setup: Setup) -> FeaturesConfig | None:
    """Which features to keep; None: none of them."""
    given = setup.config.training.features
    if given == "none" or (given is None and setup.config.model.freeze != "all"):
        return None
    return given if isinstance(given, FeaturesConfig) else FeaturesConfig()


def _not_possible(setup: Setup) -> str | None:
    """Why the features of a run cannot be kept; None if they can."""
    if setup.own.model is not None:
        return "the model was handed over, so what it computes has no name to keep it under"
    if setup.config.training.fsdp and setup.processes.count > 1:
        return "training.fsdp shares the backbone out over the processes"
    if setup.config.transforms.mix is not None:
        return "transforms.mix makes other images in each epoch"
    if any(view.size is not None for view in setup.config.evaluation.shown):
        return "evaluation.views shows images at other sizes"
    if setup.loads_tensors:
        return "a data set of your own gives tensors, which may be others each time"
    return None


def _on_images(setup: Setup, reason: str) -> Setup:
    if setup.config.training.features is not None:
        raise ConfigError(f"training.features: features cannot be kept: {reason}; set it to none")
    logger.info("the features of the frozen backbone are computed in each epoch: %s", reason)
    return setup


def _listed(views: list[View]) -> str:
    """The names of views, random ones counted."""
    names = [view.name for view in views if view.draw is None]
    crops = len(views) - len(names)
    names += [f"{crops} crop{'' if crops == 1 else 's'}"] if crops else []
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
