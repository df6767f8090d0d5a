"""Configuration of the model: backbone, weights, head and what is frozen."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from mlt.models.learn_settings import Learn, LearnAll
from mlt.settings import Settings, UserPath

__all__ = [
    "CSRAHead",
    "Head",
    "LinearHead",
    "ModelConfig",
    "ProjectionHead",
    "SpatialHeadConfig",
    "WeightsFile",
]

Triple = tuple[float, float, float]


class LinearHead(Settings):
    """One linear layer."""

    name: Literal["linear"] = "linear"
    standardize: bool = False
    """Bring every feature to mean 0 and deviation 1 first (batch norm without weights): for a head
    on a frozen or slow backbone, whose features differ widely in scale."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout of the features."""
    class_scale: bool = False
    """A factor per class on the weights, which is 1 until a stage with `head: lws` learns it; set
    where there is such a stage."""


class ProjectionHead(Settings):
    """The published head: linear to `width`, batch norm, dropout, linear."""

    name: Literal["projection"]
    width: int = Field(256, ge=1, le=1 << 16)
    """Features after the first linear layer."""
    dropout: float = Field(0.5, ge=0, lt=1)
    """Dropout before the last linear layer."""


class CSRAHead(Settings):
    """Class-specific residual attention on the feature map (Zhu and Wu, ICCV 2021)."""

    name: Literal["csra"]
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


SpatialHeadConfig = CSRAHead
"""Heads on a feature map in place of pooled features."""


Head = Annotated[LinearHead | ProjectionHead | CSRAHead, Field(discriminator="name")]


class WeightsFile(Settings):
    """Weights of the backbone from a local file: safetensors, or a PyTorch state dict."""

    file: str
    """A path, or `package:NAME/PATH` for a file inside an installed Python package."""
    prefix: str = ""
    """Take only tensors whose name starts with this, and take it off; for example `backbone.`."""
    ignore: tuple[str, ...] = ()
    """Leave out the file's tensors whose name starts with one of these; for example `fc.`."""
    by_position: bool = False
    """Match tensors by their order instead of their names, checking kind and shape of each."""


class ModelConfig(Settings):
    """A timm backbone and a head."""

    backbone: str
    """Name of a timm model, for example resnet50 or resnet50.tv_in1k."""
    weights: Literal["pretrained", "none"] | WeightsFile = "pretrained"
    """`pretrained` (timm's, downloaded when first used), `none`, or a section with a `file`."""
    checkpoint: UserPath | None = None
    """Checkpoint of an earlier run to begin from, in place of `weights`: its backbone, and its head
    where classes and head are the same."""
    head: Head = LinearHead()
    """From features to one logit per class: a name, or a section with a name and options."""
    prior_bias: bool = True
    """Start at the classes' own frequencies: last bias log(p / (1 - p)), less what the loss adds to
    logits by itself (its prior shift, its scale). For sigmoid losses."""
    freeze: tuple[str, ...] | Literal["all"] = ()
    """Parts of the backbone that stay as they are, by name, such as `layer1`, or by a pattern, such
    as `blocks.[0-3]`; each stands for all below it. `all`: all of it."""
    learn: Learn = LearnAll()
    """Which part of the backbone learns, but for what `freeze` names: `all`, `bias`, `norm`, or a
    section with one of these names and options; the head learns in any case."""
    freeze_statistics: bool = False
    """Keep the backbone's batch norm statistics as they are while its weights learn."""
    drop_path: float = Field(0.0, ge=0, lt=1)
    """Stochastic depth, for backbones that have it."""
    mean: Triple | None = None
    """Mean of the input, 0 to 1 for red, green, blue; null: the backbone's own."""
    std: Triple | None = None
    """Standard deviation of the input; null: the backbone's own."""

    @model_validator(mode="after")
    def _check(self) -> ModelConfig:
        if self.std is not None and min(self.std) <= 0:
            raise ValueError(f"std must be positive, got {list(self.std)}")
        return self
