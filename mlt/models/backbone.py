"""Backbones: timm models without their classifier, one feature vector per image."""

from __future__ import annotations

import difflib
from typing import Any

import timm
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import nn

from mlt.errors import CheckpointError, ConfigError
from mlt.models import cifar_fast, cifar_resnet  # noqa: F401 (they register with timm)
from mlt.models.classifier import Classifier
from mlt.models.settings import ModelConfig, WeightsFile
from mlt.models.weights import load_weights

__all__ = ["build_backbone", "input_normalisation", "num_features"]


def build_backbone(
    config: ModelConfig, image_size: int | None = None, num_outputs: int = 0
) -> nn.Module:
    """Make the backbone of a configuration and give it its weights.

    Args:
        config: Name, weights and stochastic depth.
        image_size: Height and width of the input; needed by backbones made for one size (vision
            transformers), whose position embedding is then resampled. None keeps the model's own.
        num_outputs: Outputs of a last layer that its weights were trained with; 0: none.

    Returns:
        A module from (N, 3, H, W) to (N, num_features), or to (N, num_outputs).

    Raises:
        ConfigError: If timm does not know the name, or the model has no such option.
        CheckpointError: If the weights cannot be had or do not fit.
        MissingFileError: If the weights file does not exist.

    Example:
        >>> import torch
        >>> backbone = build_backbone(ModelConfig(backbone="test_resnet", weights="none"))
        >>> num_features(backbone), backbone(torch.zeros(2, 3, 32, 32)).shape
        (96, torch.Size([2, 96]))
    """
    _check_name(config.backbone)
    options: dict[str, Any] = {}
    if config.drop_path:
        options["drop_path_rate"] = config.drop_path
    cfg = timm.get_pretrained_cfg(config.backbone)
    if image_size and cfg and cfg.fixed_input_size and cfg.input_size[-1] != image_size:
        options["img_size"] = image_size
    pretrained = config.weights == "pretrained"
    backbone = _create(config.backbone, pretrained, num_outputs, options)
    if isinstance(config.weights, WeightsFile):
        try:
            load_weights(backbone, **config.weights.model_dump())
        except CheckpointError:
            if "img_size" not in options or not hasattr(backbone, "set_input_size"):
                raise
            # The file may be for the size that the model is made for.
            options["img_size"] = None
            backbone = _create(config.backbone, False, num_outputs, options)
            load_weights(backbone, **config.weights.model_dump())
            backbone.set_input_size(img_size=image_size)  # type: ignore[operator]
    return backbone


def _create(name: str, pretrained: bool, num_outputs: int, options: dict[str, Any]) -> nn.Module:
    options = {key: value for key, value in options.items() if value is not None}
    try:
        return timm.create_model(name, pretrained=pretrained, num_classes=num_outputs, **options)
    except TypeError as error:
        raise ConfigError(f"The backbone {name} does not take {options}: {error}") from error
    except Exception as error:
        if not pretrained:
            raise
        raise CheckpointError(_no_download(name, error)) from error


def input_normalisation(
    model: nn.Module, config: ModelConfig | None = None
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of the input that a model's weights expect.

    Args:
        model: Those of timm and :class:`mlt.models.Classifier` say so themselves, for any other
            the statistics of ImageNet are taken.
        config: Where ``mean`` and ``std`` may override the model's own.

    Returns:
        (mean, std), each of red, green and blue on the scale 0 to 1.

    Example:
        >>> input_normalisation(timm.create_model("test_vit"))
        ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    """
    own = vars(model) if isinstance(model, Classifier) else getattr(model, "pretrained_cfg", None)
    own = own if isinstance(own, dict) else {}
    mean = config.mean if config and config.mean else own.get("mean", IMAGENET_DEFAULT_MEAN)
    std = config.std if config and config.std else own.get("std", IMAGENET_DEFAULT_STD)
    return tuple(map(float, mean)), tuple(map(float, std))


def num_features(backbone: nn.Module) -> int:
    """Length of the feature vector of a timm model without classifier."""
    # Some models (MobileNetV3) end in a further layer, whose width is called so.
    return int(getattr(backbone, "head_hidden_size", None) or backbone.num_features)  # type: ignore[arg-type]


def _check_name(name: str) -> None:
    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        near = difflib.get_close_matches(architecture, timm.list_models(), n=5, cutoff=0.5)
        raise ConfigError(
            f"timm {timm.__version__} has no model {architecture!r}. "
            + (f"Close names: {', '.join(near)}. " if near else "")
            + "All names: python -c 'import timm; print(timm.list_models())'"
        )
    tags = [known.partition(".")[2] for known in timm.list_pretrained(f"{architecture}.*")]
    if tag and tag not in tags:
        raise ConfigError(
            f"{architecture} has no weights named {tag!r}. What there is: "
            f"{', '.join(tags) or 'none'}; without a tag, timm's default is taken."
        )


def _no_download(name: str, error: Exception) -> str:
    reason = str(error).strip().split("\n")[0] or type(error).__name__
    return (
        f"The pretrained weights of {name} could not be loaded: {reason}\n"
        "Without a connection to their host, give a local file with model.weights: "
        "{file: PATH}, or start from random weights with model.weights: none. Names with "
        f"weights: python -c 'import timm; print(timm.list_pretrained(\"{name.split('.')[0]}*\"))'"
    )
