"""From the name of a published loss and its options to its composition.

The YAML's ``preset`` and `mlt.losses.create_loss` both come through here.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from mlt.errors import ConfigError
from mlt.losses.presets import PRESETS
from mlt.losses.settings import AnyLoss

__all__ = ["OPTION_ALIASES", "preset_options", "resolve_preset"]

OPTION_ALIASES: Mapping[str, str] = {
    "balance_param": "scale",
    "disable_torch_grad_focal_loss": "detached",
    "map_mu": "map_gamma",
    "normalize": "normalise",
}
"""Other names that published implementations use for an option."""


def preset_options(name: str) -> dict[str, Any]:
    """Give the options of a preset and their defaults.

    Besides its own, every preset has those of what it returns: `reduction`, and `scale` where the
    loss has one.

    Args:
        name: A key of `PRESETS`.

    Raises:
        ConfigError: If there is no such preset.

    Example:
        >>> preset_options("focal")
        {'gamma': 2.0, 'alpha': None, 'scale': 1.0, 'reduction': 'mean'}
    """
    if name not in PRESETS:
        softmax = "softmax" in name or "seesaw" in name
        raise ConfigError(
            f"There is no loss {name!r}.{'' if softmax else _did_you_mean(name, PRESETS)} Known: "
            f"{', '.join(PRESETS)}."
            + (" Softmax losses are classes: SeesawLoss, ... of mlt.losses." if softmax else "")
        )
    own = {p.name: p.default for p in inspect.signature(PRESETS[name]).parameters.values()}
    return own | _common_options(PRESETS[name]())


def resolve_preset(name: str, options: Mapping[str, Any] | None = None) -> AnyLoss:
    """Give the composition (or named loss) that a preset stands for.

    Args:
        name: A key of `PRESETS`.
        options: Options of the preset by the literature's names; `OPTION_ALIASES` are understood.

    Raises:
        ConfigError: If the preset or an option is unknown, or a value is out of range.

    Example:
        >>> resolve_preset("cb_focal", {"beta": 0.99, "scheme": "column"}).weighting.beta
        0.99
    """
    allowed = preset_options(name)
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
        common = {key: given.pop(key) for key in ("scale", "reduction") if key in given}
        part = PRESETS[name](**given)
        return type(part).model_validate({**part.model_dump(), **common})
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise ConfigError(f"The loss {name!r} cannot be made. {'; '.join(lines)}.") from None


def _common_options(part: AnyLoss) -> dict[str, Any]:
    return {key: getattr(part, key) for key in ("scale", "reduction") if hasattr(part, key)}


def _did_you_mean(given: str, known: Iterable[str]) -> str:
    close = get_close_matches(given, known, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
