"""From the name of a published loss and its options to its composition.

A published loss can be asked for by its name, ``loss: {preset: db_focal, options: {map_gamma:
0.3}}``. A preset is nothing but a named composition: it is replaced by its parts when the
configuration is read, so a resolved configuration always shows them.
`mlt.losses.create_loss` and the losses' classes come through here, too.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, Discriminator, Field, Tag, ValidationError, model_validator

from mlt.errors import ConfigError
from mlt.losses.presets import PRESETS
from mlt.losses.settings import (
    AnyLoss,
    BalancedSoftmax,
    ClassBalancedSoftmax,
    Composition,
    CrossEntropy,
    EqualizationV2,
    LDAMSoftmax,
    LogitAdjustedSoftmax,
    Seesaw,
    SelfPaced,
    TwoWay,
    Zlpr,
)
from mlt.settings import Settings

__all__ = ["OPTION_ALIASES", "LossConfig", "PresetLoss", "loss_options", "resolve_preset"]

OPTION_ALIASES: Mapping[str, str] = {
    "balance_param": "scale",
    "disable_torch_grad_focal_loss": "detached",
    "map_mu": "map_gamma",
    "normalize": "normalise",
}
"""Other names that published implementations use for an option."""


COMMON_OPTIONS = ("scale", "label_smoothing", "reduction")
"""Options that belong to what a preset returns, not to the preset."""


def loss_options(name: str) -> dict[str, Any]:
    """Return the options of a loss and their defaults.

    Besides its own, every loss has `reduction`; those per element have `label_smoothing` and mostly
    `scale`, and so has each softmax loss but seesaw `label_smoothing`.

    Args:
        name: One of `mlt.losses.list_losses()`.

    Raises:
        ConfigError: If there is no such loss.

    Example:
        >>> loss_options("bce")
        {'scale': 1.0, 'label_smoothing': 0.0, 'reduction': 'mean'}
    """
    if not isinstance(name, str):
        raise ConfigError(
            f"A loss is named by a string, not by {name!r}. Known: {', '.join(PRESETS)}."
        )
    if name not in PRESETS:
        raise ConfigError(
            f"There is no loss {name!r}.{_did_you_mean(name, PRESETS)} Known: {', '.join(PRESETS)}."
        )
    own = {p.name: p.default for p in inspect.signature(PRESETS[name]).parameters.values()}
    part = PRESETS[name]()
    return own | {key: getattr(part, key) for key in COMMON_OPTIONS if hasattr(part, key)}


def resolve_preset(name: str, options: Mapping[str, Any] | None = None) -> AnyLoss:
    """Return the composition (or named loss) that a preset stands for.

    Args:
        name: A key of `PRESETS`.
        options: Options of the preset by the literature's names; `OPTION_ALIASES` are understood.

    Raises:
        ConfigError: If the preset or an option is unknown, or a value is out of range.

    Example:
        >>> resolve_preset("cb_focal", {"beta": 0.99, "scheme": "column"}).weighting.beta
        0.99
    """
    allowed = loss_options(name)
    given: dict[str, Any] = {}
    for key, value in (options or {}).items():
        option = OPTION_ALIASES.get(key, key)
        if option not in allowed:
            raise ConfigError(
                f"The loss {name!r} has no option {key!r}.{_did_you_mean(key, allowed)} "
                f"It takes: {', '.join(allowed)}."
            )
        if option in given:
            raise ConfigError(f"The loss {name!r} was given {option!r} twice, once as {key!r}.")
        given[option] = value
    try:
        common = {key: given.pop(key) for key in COMMON_OPTIONS if key in given}
        part = PRESETS[name](**given)
        return type(part).model_validate({**part.model_dump(), **common})
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise ConfigError(f"The loss {name!r} cannot be made. {'; '.join(lines)}.") from None


def _did_you_mean(given: str, known: Iterable[str]) -> str:
    close = get_close_matches(given, known, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


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
        """Return the composition (or named loss) that the preset stands for."""
        return resolve_preset(self.preset, self.options)


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
    | Annotated[CrossEntropy, Tag("ce")]
    | Annotated[ClassBalancedSoftmax, Tag("cb_softmax")]
    | Annotated[LogitAdjustedSoftmax, Tag("logit_adjusted_softmax")]
    | Annotated[BalancedSoftmax, Tag("balanced_softmax")]
    | Annotated[LDAMSoftmax, Tag("ldam_softmax")]
    | Annotated[Seesaw, Tag("seesaw")]
    | Annotated[PresetLoss, Tag("preset")],
    Discriminator(_tag),
    AfterValidator(_resolved),
]
"""What `loss:` may be; after validation always a composition or a named loss, never a preset."""
