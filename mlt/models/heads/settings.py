"""Settings of the heads."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from mlt.settings import Settings, UserPath

__all__ = [
    "CSRAHead",
    "CosineHead",
    "GCNHead",
    "Head",
    "LinearHead",
    "MLDecoderHead",
    "ProjectionHead",
    "PromptsHead",
    "QueryHead",
    "SpatialHeadConfig",
    "TextHead",
    "takes_own_projection",
]


class LinearHead(Settings):
    """One linear layer."""

    name: Literal["linear"] = "linear"
    standardize: bool = False
    """Bring every feature to mean 0 and deviation 1 first (batch norm without weights): for a head
    on a frozen or slow backbone, whose features differ widely in scale."""
    power: float = Field(1.0, gt=0, le=1)
    """Raise every feature to this power before that, keeping its sign; 0.5 is the signed square
    root."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout of the features."""
    class_scale: bool = False
    """A factor per class on the weights, which is 1 until a stage with `head: lws` learns it; set
    where there is such a stage."""


class ProjectionHead(Settings):
    """The published head: linear to `width`, batch norm, dropout, linear."""

    name: Literal["projection"] = "projection"
    width: int = Field(256, ge=1, le=1 << 16)
    """Features after the first linear layer."""
    dropout: float = Field(0.5, ge=0, lt=1)
    """Dropout before the last linear layer."""


class CSRAHead(Settings):
    """Class-specific residual attention on the feature map (Zhu and Wu, ICCV 2021)."""

    name: Literal["csra"] = "csra"
    temperatures: tuple[
        Annotated[float, Field(gt=0, allow_inf_nan=False)] | Literal["max"], ...
    ] = Field(("max",), min_length=1, max_length=64)
    """One for each attention head: how sharply it looks at the positions with high scores; `max`
    looks at the highest alone. The paper has [1], [1, max], [1, 2, 4, max] and more."""
    attention_weight: float = Field(1.0, ge=0, allow_inf_nan=False)
    """What the attended score is multiplied by before it is added to the mean over all positions;
    lambda in the paper, which has 0.1 to 1."""
    standardize: bool = False
    """As of the linear head, over images and positions."""
    power: float = Field(1.0, gt=0, le=1)
    """As of the linear head, at every position."""


class CosineHead(Settings):
    """Cosines of the features with one direction per class, times a scale."""

    name: Literal["cosine"] = "cosine"
    scale: float = Field(30.0, gt=0, allow_inf_nan=False)
    """What the cosines are multiplied by; 1 with the loss `ldam`, which has this factor itself, as
    its `s`."""
    learn_scale: bool = False
    """Let the scale learn."""
    standardize: bool = False
    """As of the linear head."""


class QueryHead(Settings):
    """A transformer decoder with a query per class (Query2Label, Liu et al., 2021)."""

    name: Literal["query"] = "query"
    width: int = Field(256, ge=1, le=1 << 16)
    """Features inside the transformer. The paper has as many as the backbone."""
    attention_heads: int = Field(4, ge=1, le=256)
    """Heads of each attention; `width` is a multiple of it."""
    encoder_layers: int = Field(1, ge=0, le=64)
    """Layers in which positions look at each other, before classes look at positions."""
    layers: int = Field(2, ge=1, le=64)
    """Layers in which classes look at positions."""
    self_attention: bool = False
    """Whether classes look at each other in each of these layers; the paper describes it, the
    authors' code leaves it out."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Dropout after each attention and in each feed-forward network."""
    standardize: bool = False
    """As of the linear head, over images and positions."""

    @model_validator(mode="after")
    def _check(self) -> QueryHead:
        _check_heads(self.width, self.attention_heads)
        return self


class MLDecoderHead(Settings):
    """One layer in which groups of classes look at positions (ML-Decoder, Ridnik et al., 2021)."""

    name: Literal["ml_decoder"] = "ml_decoder"
    groups: int = Field(100, ge=1, le=1 << 16)
    """Queries, each of which stands for as many classes as it takes; at most one per class."""
    width: int = Field(768, ge=1, le=1 << 16)
    """Features inside the decoder."""
    attention_heads: int = Field(8, ge=1, le=256)
    """Heads of the attention; `width` is a multiple of it."""
    feedforward: int = Field(2048, ge=1, le=1 << 16)
    """Width of the feed-forward network."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Dropout after the attention and in the feed-forward network."""
    embeddings: UserPath | None = None
    """File of class embeddings that `mlt embed-classes` made. The queries are then made of them,
    one per class, and all classes share one last layer, so that classes that were never trained
    have scores, too (the paper's zero-shot form)."""
    standardize: bool = False
    """As of the linear head, over images and positions."""

    @model_validator(mode="after")
    def _check(self) -> MLDecoderHead:
        _check_heads(self.width, self.attention_heads)
        return self


class GCNHead(Settings):
    """Classifiers made by a graph network over the classes (ML-GCN, Chen et al., CVPR 2019)."""

    name: Literal["gcn"] = "gcn"
    graph: Literal["cooccurrence", "embeddings"] = "cooccurrence"
    """What makes two classes neighbours: images of the training split that have both, or the cosine
    of their embeddings."""
    threshold: float = Field(0.4, gt=0, le=1, allow_inf_nan=False)
    """Class j is a neighbour of i from this share of j among the images of i on; or from this
    cosine on."""
    neighbors: float = Field(0.2, ge=0, lt=1)
    """Weight of all neighbours of a class together; the class itself has the rest."""
    shrinkage: float = Field(10.0, ge=0, allow_inf_nan=False)
    """Images by which each share is drawn towards that of j among all images, so that a class of
    few images gets no neighbours by chance. The paper has 0."""
    node_width: int = Field(300, ge=1, le=1 << 16)
    """Length of what stands for a class in the graph, learnt; not used where there are
    `embeddings`."""
    hidden_width: int = Field(1024, ge=1, le=1 << 16)
    """Features per class between the two layers."""
    pooling: Literal["avg", "max"] = "max"
    """How the features of the positions become one vector."""
    embeddings: UserPath | None = None
    """File of class embeddings that `mlt embed-classes` made, which then stand for the classes in
    place of learnt vectors."""
    standardize: bool = False
    """As of the linear head, over images and positions."""

    @model_validator(mode="after")
    def _check(self) -> GCNHead:
        if self.graph == "embeddings" and self.embeddings is None:
            raise ValueError("graph: embeddings needs a file of them; give embeddings: FILE")
        return self


class _CosinesWithTexts(Settings):
    form: Literal["clip", "siglip"] = "clip"
    """Where scale and bias begin: `clip`, 1 / 0.07 and 0; `siglip`, 10 and -10. With
    `model.prior_bias` the bias begins at the class prior."""
    scale: float | None = Field(None, gt=0, allow_inf_nan=False)
    """What the cosines are multiplied by at first; null: that of `form`. The trained CLIP models
    have about 100."""
    learn_scale: bool = True
    """Let the scale learn."""
    projection: Literal["auto", "new"] = "auto"
    """From features to the width of the embeddings: `auto`, the image tower's own, which timm has
    as the last layer of CLIP's towers and SigLIP's do without; `new`, and for towers without one, a
    new linear layer."""
    learn_projection: bool = True
    """Let the image tower's own projection learn; a new one always does."""


class TextHead(_CosinesWithTexts):
    """Cosines of projected features with class embeddings (CLIP, Radford et al., 2021)."""

    name: Literal["text"] = "text"
    embeddings: UserPath
    """File of class embeddings that `mlt embed-classes` made; it has all classes of the data. A
    checkpoint holds them itself."""
    learn_embeddings: bool = False
    """Let the class embeddings learn."""
    residual: bool = False
    """Add a learnt vector per class, which is 0 at first, to its embedding."""


class PromptsHead(_CosinesWithTexts):
    """As `text`, with embeddings of prompts that learn (CoOp, Zhou et al., 2022)."""

    name: Literal["prompts"] = "prompts"
    model: str
    """The text tower, as `mlt embed-classes --model` takes it: the image tower in timm, or a model
    of open_clip. It does not learn. A checkpoint does not need it."""
    weights: UserPath | None = None
    """File of its weights in place of a download."""
    context: Annotated[int, Field(ge=1, le=64)] | str = 16
    """How many learnt vectors stand before the class name; or the words that they begin as, such as
    `a photo of a`."""
    per_class: bool = False
    """Vectors of its own for each class; false: the same for all."""


def _check_heads(width: int, attention_heads: int) -> None:
    if width % attention_heads:
        raise ValueError(
            f"width ({width}) must be a multiple of attention_heads ({attention_heads})"
        )


SpatialHeadConfig = CSRAHead | QueryHead | MLDecoderHead | GCNHead
"""Heads on a feature map in place of pooled features."""


Head = Annotated[
    LinearHead
    | ProjectionHead
    | CosineHead
    | CSRAHead
    | QueryHead
    | MLDecoderHead
    | GCNHead
    | TextHead
    | PromptsHead,
    Field(discriminator="name"),
]


def takes_own_projection(head: Head) -> bool:
    """Whether a head takes the image tower's projection, where that has one."""
    return isinstance(head, TextHead | PromptsHead) and head.projection == "auto"
