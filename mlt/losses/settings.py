"""The loss section of a configuration: one algebra of named parts.

A per-label loss is put together from three parts, each visible in the YAML::

    loss:
      adjustment: {name: negative_tolerant, neg_scale: 2, init_bias: 0.05}
      focusing: {name: focal, gamma: 2}
      weighting: {name: rebalance, alpha: 0.1, beta: 10, mu: 0.2}
      scale: 2
      reduction: mean

A published loss can be asked for by its name, ``loss: {preset: db_focal, options: {map_gamma:
0.3}}``. A preset is nothing but a named composition: it is replaced by its parts when the
configuration is read, so a resolved configuration always shows them. Losses that couple the labels
of a row or carry state have a name of their own: ``loss: {name: zlpr}``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    Tag,
    model_validator,
)

from mlt.losses.part_settings import (
    Adjustment,
    Focusing,
    NoAdjustment,
    NoFocusing,
    NoWeighting,
    Probability,
    Weighting,
)
from mlt.settings import Settings

__all__ = [
    "AnyLoss",
    "Composition",
    "EqualizationV2",
    "LossConfig",
    "PresetLoss",
    "Reduction",
    "SelfPaced",
    "TwoWay",
    "Zlpr",
]

Reduction: TypeAlias = Literal["none", "mean", "sum", "batchmean"]
"""How elements become one number: kept; mean over known elements; sum; sum over number of rows."""


class Composition(Settings):
    """A per-label loss put together from an adjustment, a focusing and a weighting."""

    name: Literal["composition"] = "composition"
    adjustment: Adjustment = NoAdjustment()
    focusing: Focusing = NoFocusing()
    weighting: Weighting = NoWeighting()
    scale: PositiveFloat = 1.0
    """Constant factor on the loss."""
    reduction: Reduction = "mean"


class TwoWay(Settings):
    """Two-way multi-label loss (Kobayashi, CVPR 2023): couples rows and columns of the batch."""

    name: Literal["two_way"]
    tp: PositiveFloat = 4.0
    """Temperature of the positives."""
    tn: PositiveFloat = 1.0
    """Temperature of the negatives."""
    reduction: Reduction = "mean"


class Zlpr(Settings):
    """Zero-bounded log-sum-exp loss (2208.02955): couples the labels of a row."""

    name: Literal["zlpr"]
    reduction: Reduction = "mean"


class SelfPaced(Settings):
    """SPLC (2112.07368): likely negatives count as positives from an epoch on."""

    name: Literal["splc"]
    tau: Probability = 0.6
    """A negative of a larger probability than this is taken to be a missed label."""
    change_epoch: NonNegativeInt = 1
    """Epoch from which the correction is on."""
    margin: float = 1.0
    gamma: NonNegativeFloat = 2.0
    scale: PositiveFloat = 1.0
    reduction: Reduction = "mean"


class EqualizationV2(Settings):
    """EQLv2 (Tan et al., CVPR 2021): weights follow the accumulated gradient ratio."""

    name: Literal["eqlv2"]
    gamma: float = 12.0
    mu: float = 0.8
    alpha: NonNegativeFloat = 4.0
    start_ratio: NonNegativeFloat = 100.0
    """Ratio of positive to negative gradient before anything was seen."""
    reduction: Reduction = "mean"


class PresetLoss(Settings):
    """A published loss by its name; replaced by what it stands for when it is read."""

    preset: str
    """One of `mlt.losses.list_losses()`."""
    options: dict[str, float | str | bool | None] = Field(default_factory=dict)
    """The literature's options of that loss, for example `{gamma: 2, map_gamma: 0.3}`."""

    @model_validator(mode="after")
    def _resolves(self) -> PresetLoss:
        self.resolve()
        return self

    def resolve(self) -> AnyLoss:
        """Give the composition (or named loss) that the preset stands for."""
        from mlt.losses.preset_options import resolve_preset  # it builds the models of this module

        return resolve_preset(self.preset, self.options)


AnyLoss: TypeAlias = Composition | TwoWay | Zlpr | SelfPaced | EqualizationV2


def _tag(value: Any) -> str:
    # Presets have no name, and compositions need not give theirs.
    if isinstance(value, dict):
        return "preset" if "preset" in value else str(value.get("name", "composition"))
    return "preset" if isinstance(value, PresetLoss) else str(getattr(value, "name", "composition"))


def _resolved(value: AnyLoss | PresetLoss) -> AnyLoss:
    return value.resolve() if isinstance(value, PresetLoss) else value


LossConfig: TypeAlias = Annotated[
    Annotated[Composition, Tag("composition")]
    | Annotated[TwoWay, Tag("two_way")]
    | Annotated[Zlpr, Tag("zlpr")]
    | Annotated[SelfPaced, Tag("splc")]
    | Annotated[EqualizationV2, Tag("eqlv2")]
    | Annotated[PresetLoss, Tag("preset")],
    Discriminator(_tag),
    AfterValidator(_resolved),
]
"""What `loss:` may be; after validation always a composition or a named loss, never a preset."""
