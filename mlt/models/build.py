"""From a configuration to a classifier."""

from __future__ import annotations

import numpy as np
from torch import nn

from mlt.errors import ConfigError
from mlt.models.adapters import add_adapters
from mlt.models.backbone import build_backbone, input_normalisation, num_features
from mlt.models.classifier import Classifier
from mlt.models.heads import AboutClasses, build_head, set_prior_bias
from mlt.models.heads.settings import Head, SpatialHeadConfig, takes_own_projection
from mlt.models.learn_settings import LearnAll, LearnLoRA
from mlt.models.learning import names_that_learn
from mlt.models.projection import own_projection, projection_width
from mlt.models.settings import ModelConfig
from mlt.models.spatial_features import map_channels

__all__ = ["build_model", "head_for"]


def build_model(
    config: ModelConfig,
    num_classes: int,
    prior: np.ndarray | None = None,
    image_size: int | None = None,
    about: AboutClasses | None = None,
) -> Classifier:
    """Make the classifier of a configuration.

    Random weights come from torch's default generator; seed it first.

    Args:
        config: The model section.
        num_classes: C.
        prior: (C,) probability that each class starts with, mostly its share of the training
            images (:attr:`mlt.class_counts.ClassCounts.prior`), used if ``config.prior_bias``. None
            leaves the bias 0.
        image_size: Height and width of the input, for backbones made for one size.
        about: What is known about the classes, for the heads that use it.

    Returns:
        The classifier on the CPU in training mode, with what is to be frozen frozen.

    Raises:
        ConfigError: If the backbone or a part to freeze is not known.
        CheckpointError: If the weights cannot be had or do not fit.
        MissingFileError: If the weights file does not exist.

    Example:
        >>> import torch
        >>> config = ModelConfig(backbone="test_resnet", weights="none", freeze=["layer1"])
        >>> model = build_model(config, num_classes=2, prior=np.array([0.5, 0.1]))
        >>> model(torch.zeros(4, 3, 32, 32)).shape
        torch.Size([4, 2])
        >>> model.mean, model.backbone.layer1.training
        ((0.5, 0.5, 0.5), False)
    """
    outputs = 0
    if takes_own_projection(config.head) and about is not None and about.embeddings is not None:
        outputs = projection_width(config.backbone, about.embeddings.shape[1])
    backbone = build_backbone(config, image_size, outputs)
    head = head_for(backbone, config.head, num_classes, about)
    if config.prior_bias and prior is not None:
        set_prior_bias(head, prior)
    mean, std = input_normalisation(backbone, config)
    model = Classifier(backbone, head, mean, std, config.freeze_statistics)
    _let_learn(model, config)
    return model


def _let_learn(model: Classifier, config: ModelConfig) -> None:
    """Say what of the backbone learns, after adding what is to learn beside it."""
    learn = config.learn
    if isinstance(learn, LearnLoRA):
        add_adapters(model.backbone, **learn.model_dump(exclude={"name"}))
    model.learn_only(names_that_learn(model.backbone, learn))
    model.freeze(config.freeze)
    if isinstance(learn, LearnAll) or config.freeze == "all":
        return
    if not any(parameter.requires_grad for parameter in model.backbone.parameters()):
        raise ConfigError(
            f"model.learn: all that {learn.name} names is frozen by model.freeze: "
            f"{', '.join(config.freeze)}"
        )


def head_for(
    backbone: nn.Module, config: Head, num_classes: int, about: AboutClasses | None = None
) -> nn.Module:
    """Make a head that takes what a backbone gives: pooled features, or its feature map.

    Args:
        backbone: A timm model without classifier; or with its projection into the space of texts,
            which the head then takes.
        config: Which head, and its options.
        num_classes: C.
        about: What is known about the classes, for the heads that use it.
    """
    projection = None
    if takes_own_projection(config) and about is not None and about.embeddings is not None:
        projection = own_projection(backbone, about.embeddings.shape[1])
    spatial = isinstance(config, SpatialHeadConfig)
    width = map_channels(backbone) if spatial else num_features(backbone)
    return build_head(config, width, num_classes, about, projection)
