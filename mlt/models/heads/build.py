"""From the settings of a head to the head."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mlt.errors import ConfigError
from mlt.language.prompts import PromptEncoder
from mlt.models.heads.about import AboutClasses
from mlt.models.heads.cosine import Cosine
from mlt.models.heads.csra import CSRA
from mlt.models.heads.gcn import LabelGraph
from mlt.models.heads.label_graph import conditional_shares, cosines, graph_weights
from mlt.models.heads.ml_decoder import MLDecoder
from mlt.models.heads.power import PowerNormalization
from mlt.models.heads.prompts import Prompts
from mlt.models.heads.query import Query2Label
from mlt.models.heads.scaled_linear import ScaledLinear
from mlt.models.heads.settings import (
    CosineHead,
    CSRAHead,
    GCNHead,
    Head,
    LinearHead,
    MLDecoderHead,
    ProjectionHead,
    PromptsHead,
    QueryHead,
    TextHead,
)
from mlt.models.heads.text import CLIP_SCALE, SIGLIP_BIAS, SIGLIP_SCALE, Text

__all__ = ["build_head"]


def build_head(
    config: Head,
    num_features: int,
    num_classes: int,
    about: AboutClasses | None = None,
    projection: nn.Module | None = None,
) -> nn.Module:
    """Make a head.

    The weights of the last layer start small, so that the first logits are nearly its bias, whose
    job is to hold the class prior.

    Args:
        config: Which, and its options.
        num_features: Pooled features per image, or features per position of a head that is a
            :class:`~mlt.models.heads.SpatialHead`.
        num_classes: C.
        about: What is known about the classes. What a head needs of it and does not get is zeros,
            for a state to be loaded.
        projection: What brings pooled features to the space of class embeddings, for the head that
            compares them; None: a new layer.

    Returns:
        A module from (N, num_features), or (N, num_features, H, W) for a spatial head, to (N, C).

    Example:
        >>> import torch
        >>> head = build_head(LinearHead(), 8, 3)
        >>> head(torch.zeros(2, 8)).shape
        torch.Size([2, 3])
    """
    options = config.model_dump(exclude={"name", "embeddings"})
    embeddings = None if about is None else about.embeddings
    match config:
        case LinearHead():
            return _linear(config, num_features, num_classes)
        case ProjectionHead():
            return _projection(config, num_features, num_classes)
        case CosineHead():
            standardize = options.pop("standardize")
            cosine = Cosine(num_features, num_classes, **options)
            return nn.Sequential(_standardized(num_features), cosine) if standardize else cosine
        case CSRAHead():
            options["temperatures"] = [math.inf if t == "max" else t for t in config.temperatures]
            return CSRA(num_features, num_classes, **options)
        case QueryHead():
            return Query2Label(num_features, num_classes, **options)
        case MLDecoderHead():
            return MLDecoder(num_features, num_classes, embeddings=embeddings, **options)
        case GCNHead():
            graph = None if about is None else _graph(config, about)
            for used in ("graph", "threshold", "neighbors", "shrinkage"):
                del options[used]
            return LabelGraph(num_features, num_classes, graph, embeddings, **options)
        case TextHead():
            more = config.model_dump(include={"learn_embeddings", "residual"})
            return Text(
                num_features, _vectors(config, about), projection, **_cosines(config), **more
            )
        case PromptsHead():
            prompts = None if about is None else about.prompts
            return Prompts(
                num_features,
                _vectors(config, about),
                prompts,
                None if prompts is None else _context(config, prompts, num_classes),
                projection,
                **_cosines(config),
            )


def _linear(config: LinearHead, num_features: int, num_classes: int) -> nn.Sequential:
    kind = ScaledLinear if config.class_scale else nn.Linear
    last = kind(num_features, num_classes)
    head = nn.Sequential(nn.Dropout(config.dropout), _small(last))
    if config.standardize:
        head.insert(0, _standardized(num_features))
    if config.power != 1:
        head.insert(0, PowerNormalization(config.power))
    return head


def _projection(config: ProjectionHead, num_features: int, num_classes: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(num_features, config.width),
        nn.BatchNorm1d(config.width),
        nn.Dropout(config.dropout),
        _small(nn.Linear(config.width, num_classes)),
    )


def _vectors(config: TextHead | PromptsHead, about: AboutClasses | None) -> torch.Tensor:
    if about is None or about.embeddings is None:
        raise ConfigError(
            f"model.head: {config.name} needs class embeddings: about=AboutClasses(...)"
        )
    return torch.from_numpy(about.embeddings)


def _cosines(config: TextHead | PromptsHead) -> dict[str, Any]:
    """The options that both have."""
    of_siglip = config.form == "siglip"
    return {
        "scale": config.scale or (SIGLIP_SCALE if of_siglip else CLIP_SCALE),
        "bias": SIGLIP_BIAS if of_siglip else 0.0,
        "learn_scale": config.learn_scale,
        "learn_projection": config.learn_projection,
    }


def _context(config: PromptsHead, prompts: PromptEncoder, num_classes: int) -> torch.Tensor:
    """Where the vectors of prompts begin: as words, or at random as the paper says."""
    per_class = (num_classes,) if config.per_class else ()
    shape = (*per_class, prompts.length, prompts.width)
    if prompts.begin is None:
        return torch.randn(shape) * 0.02
    return prompts.begin.expand(shape)


def _graph(config: GCNHead, about: AboutClasses) -> NDArray[np.float64] | None:
    """The weights of the label graph; None where there is nothing to make them of."""
    if config.graph == "embeddings":
        relation = None if about.embeddings is None else cosines(about.embeddings)
    elif about.cooccurrence is None:
        relation = None
    else:
        relation = conditional_shares(
            about.cooccurrence, about.num_images, config.shrinkage, about.judged
        )
    return None if relation is None else graph_weights(relation, config.threshold, config.neighbors)


def _standardized(num_features: int) -> nn.BatchNorm1d:
    return nn.BatchNorm1d(num_features, affine=False)


def _small(last: nn.Linear) -> nn.Linear:
    nn.init.normal_(last.weight, std=0.01)
    nn.init.zeros_(last.bias)
    return last
