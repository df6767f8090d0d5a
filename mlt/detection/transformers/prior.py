"""The biases that the classifiers of the DETR families start with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import torch
from torch import nn

from mlt.detection.prior import prior_logit
from mlt.detection.transformers.attach import (
    CLASSIFICATION,
    FAMILIES,
    framework_function,
    known_name,
)
from mlt.errors import ConfigError

__all__ = ["set_prior"]

Model = TypeVar("Model", bound=nn.Module)

CLASSIFIERS = {"class_embed", "class_labels_classifier", "enc_score_head", "enc_out_class_embed"}
"""What transformers calls the classifiers of decoder layers and of the encoder's proposals."""


@torch.no_grad()
def set_prior(model: Model, probability: float = 0.01) -> Model:
    """Set the biases of a detector's classifiers so that every class starts with one probability.

    For a new classifier: of a new model, or of pretrained weights with another number of classes
    (``ignore_mismatched_sizes=True``). transformers starts that of Deformable and Conditional DETR
    at biases of about 0, as a sigmoid a probability of one half for each class of each query: a
    loss in the hundreds, nearly all of it background, that the first epochs would go into. The
    other sigmoid families start low by themselves.

    Args:
        model: An object detector of transformers with a loss attached or yet to be; changed in
            place. Where it has a no-object column, the probability is that against "no object".
        probability: Of each class, in (0, 1). The focal loss was published with 0.01 (Lin et al.,
            2017, section 4.1).

    Returns:
        The model.

    Raises:
        ConfigError: If the model is not such a detector, has a classifier of its own making, or the
            probability is out of range.

    Example:
        >>> from mlt.detection.transformers import attach, set_prior
        >>> attach(set_prior(model), loss)  # doctest: +SKIP
    """
    bias = prior_logit(probability)
    plain, num_classes = framework_function(model)
    if getattr(plain, "__name__", "") == CLASSIFICATION:
        raise ConfigError(f"{type(model).__name__} classifies images; a prior is for detectors.")
    no_object = FAMILIES[known_name(plain)].no_object
    layers = list(_classifiers(model))
    columns = num_classes + no_object
    if not layers or any(layer.bias is None or len(layer.bias) != columns for layer in layers):
        raise ConfigError(
            f"This {type(model).__name__} has a classifier that transformers does not have; set "
            f"its biases to {bias:.3f} yourself."
        )
    for layer in layers:
        layer.bias.fill_(bias)
        if no_object:  # what counts is the class minus "no object", the last column
            layer.bias[-1] = 0.0
    return model


def _classifiers(model: nn.Module) -> Iterator[nn.Linear]:
    """Find the last layer of each classifier; a head may be one of a list, or an MLP."""
    for name, module in model.named_modules():
        if name.rpartition(".")[2] in CLASSIFIERS:
            heads = module if isinstance(module, nn.ModuleList) else [module]
            for head in heads:
                yield [layer for layer in head.modules() if isinstance(layer, nn.Linear)][-1]
