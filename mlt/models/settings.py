"""Configuration of the model: backbone, weights, head and what is frozen."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from mlt.models.heads.settings import Head, LinearHead
from mlt.models.learn_settings import Learn, LearnAll
from mlt.settings import Settings, UserPath

__all__ = ["ModelConfig", "WeightsFile"]

Triple = tuple[float, float, float]


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
    logits by itself (its prior shift, its scale). Of a softmax loss the bias starts at 0."""
    freeze: tuple[str, ...] | Literal["all"] = ()
    """Parts of the backbone that stay as they are, by name, such as `layer1`, or by a pattern, such
    as `blocks.[0-3]`; each stands for all below it. `all`: all of it."""
    learn: Learn = LearnAll()
    """Which part of the backbone learns, but for what `freeze` names: a name, or a section with a
    name and options; the head learns in any case."""
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
