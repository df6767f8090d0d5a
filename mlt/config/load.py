"""Read a configuration: file, then overrides, then every check at once."""

from __future__ import annotations

import difflib
import json
import logging
import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mlt.config.config import Config
from mlt.config.stages import complete_stages, problems_of_sections
from mlt.config.text_digest import is_as_written
from mlt.config.words import spelt_out
from mlt.config.yaml_text import dump_yaml, parse_yaml
from mlt.data.settings import DataConfig
from mlt.errors import ConfigError, MissingFileError
from mlt.problems import problems_of
from mlt.settings import Settings

__all__ = [
    "dump_config",
    "json_schema",
    "load_config",
    "parse_config",
    "parse_data",
    "shipped_configs",
]


logger = logging.getLogger(__name__)


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Read, override and check a configuration.

    Args:
        path: A YAML file, or the name of one that ships with the package (`digits_mlt_bce`).
        overrides: Changes as ``"optimizer.lr=0.01"``; the value is read as YAML, and may be a
            whole section: ``"loss.weighting={name: none}"``. Whole sections are set before their
            keys, in whichever order they are given.

    Returns:
        The configuration, complete with defaults.

    Raises:
        MissingFileError: If there is no such file; names the ones that ship.
        ConfigError: If anything is wrong; names every problem with its path in the YAML.
    """
    if not isinstance(path, str | os.PathLike):
        raise ConfigError(
            f"a configuration is named by a file, not by a {type(path).__name__}; for a dictionary "
            "there is mlt.config.parse_config(values)"
        )
    file = _find(Path(path))
    try:
        content = file.read_bytes()
        values = parse_yaml(content.decode("utf-8-sig"))
    except (ConfigError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{file}: the file must hold sections such as data, model and loss")
    if not is_as_written(content):
        logger.warning(
            "warning: %s is not as a run wrote it: it is damaged, or was changed by hand; if that "
            "was meant, delete its first line",
            file,
        )
    for override in sorted(overrides, key=_depth):
        _override(values, override)
    return parse_config(values, source=str(file))


def parse_config(values: dict[str, Any], source: str = "configuration") -> Config:
    """Check plain values, as read from YAML or JSON.

    Args:
        values: Nested dictionaries with the sections of a configuration.
        source: What to call them in messages.

    Returns:
        The configuration, complete with defaults.

    Raises:
        ConfigError: With every problem, each with its dotted path.
    """
    values = complete_stages({key: spelt_out(key, value) for key, value in values.items()})
    config, problems = _validate(values)
    if config is None:
        # What the faulty keys do not touch is checked too, so that no second round is needed.
        sound = _without(values, [path for path, _ in problems])
        rest, _ = _validate({**_STAND_IN, **sound})
        if rest is not None:
            problems += problems_of_sections(rest)
    else:
        problems = problems_of_sections(config)
    if config is not None and not problems:
        return config
    noun = "problem" if len(problems) == 1 else "problems"
    lines = [f"  {path or '(top level)'}: {sentence}" for path, sentence in problems]
    raise ConfigError("\n".join([f"{source}: {len(problems)} {noun}", *lines]))


def parse_data(values: dict[str, Any], overrides: Sequence[str] = ()) -> DataConfig:
    """Check a `data` section alone.

    Args:
        values: Its keys.
        overrides: Changes of its keys, as ``"blank=unknown"``.

    Raises:
        ConfigError: If anything is wrong; names every problem.
    """
    whole = {"data": values}
    for override in sorted(overrides, key=_depth):
        _override(whole, override if override.startswith("data.") else f"data.{override}")
    try:
        return _DataAlone.model_validate(whole).data
    except ValidationError as error:
        lines = [f"  {path}: {sentence}" for path, sentence in problems_of(error, _DataAlone)]
        raise ConfigError("\n".join(["data:", *lines])) from None


class _DataAlone(Settings):
    data: DataConfig


def dump_config(config: Config) -> str:
    """The configuration as YAML with every default written out; reading it gives the same again."""
    return dump_yaml(config.model_dump(mode="json"))


def json_schema() -> dict[str, Any]:
    """The JSON schema of a configuration, for editors that complete and check YAML."""
    return Config.model_json_schema()


def shipped_configs() -> dict[str, Path]:
    """The configurations that come with the package, by name without ``.yaml``."""
    package = Path(__file__).resolve().parents[1]
    # In a wheel they lie inside the package, in a clone beside it.
    for folder in (package / "configs", package.parent / "configs"):
        if folder.is_dir():
            return {file.stem: file for file in sorted(folder.glob("*.yaml"))}
    return {}


# Stands in for faulty sections that the checks of combinations do not look at.
_STAND_IN: dict[str, Any] = {
    "output": "-",
    "data": {"name": "digits_mlt"},
    "transforms": {"name": "plain"},
    "model": {"backbone": "-"},
    "loss": {},
}


def _find(path: Path) -> Path:
    if path.is_file():
        return path
    shipped = shipped_configs()
    name = path.name.removesuffix(".yaml").removesuffix(".yml")
    if name in shipped and str(path.parent) in (".", "configs"):
        return shipped[name]
    beside = [str(file) for file in sorted(path.parent.glob("*.y*ml"))]
    close = difflib.get_close_matches(str(path), beside, n=1)
    close = close or difflib.get_close_matches(name, shipped, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise MissingFileError(
        f"no configuration {path}: there is no such file, nor does mlt come with one of that "
        f"name{hint} (it comes with {', '.join(shipped)})"
    )


def _validate(values: dict[str, Any]) -> tuple[Config | None, list[tuple[str, str]]]:
    unusual = [(path, f"{value!r} is not a value here") for path, value in _not_json(values)]
    if unusual:
        _, others = _validate(_without(values, [path for path, _ in unusual]))
        return None, unusual + [problem for problem in others if problem[1] != "is missing"]
    try:
        # JSON's strict mode is the right strictness for YAML: no "3" for 3, but lists for tuples.
        return Config.model_validate_json(json.dumps(values), strict=True), []
    except ValidationError as error:
        return None, problems_of(error, Config)


def _not_json(values: Any, path: str = "") -> list[tuple[str, Any]]:
    """The values JSON cannot express, such as NaN and binary data, with their dotted paths."""
    if isinstance(values, dict | list):
        items = values.items() if isinstance(values, dict) else enumerate(values)
        return [
            found
            for key, value in items
            for found in _not_json(value, f"{path}.{key}" if path else str(key))
        ]
    if isinstance(values, float) and not math.isfinite(values):
        return [(path, values)]
    if isinstance(values, int) and abs(values) > 1 << 53:  # what JSON's numbers are sure to hold
        return [(path, values)]
    return [] if isinstance(values, str | int | float | None) else [(path, values)]


def _without(values: dict[str, Any], paths: Iterable[str]) -> dict[str, Any]:
    """A copy of the values without the keys at the dotted paths."""
    copy: dict[str, Any] = json.loads(json.dumps(values, default=str))
    for path in paths:
        *sections, key = path.split(".")
        section: Any = copy
        for name in sections:
            below = section.get(name) if isinstance(section, dict) else None
            if isinstance(below, list):  # which cannot lose one of its items: it goes as a whole
                key = name
                break
            section = below
        if isinstance(section, dict):
            section.pop(key, None)
    return copy


def _depth(override: str) -> int:
    """How many keys lead to what is set; a preset stands for its whole section."""
    path = override.partition("=")[0].strip()
    return 1 if path == "loss.preset" else len(path.split("."))


def _override(values: dict[str, Any], override: str) -> None:
    """Apply one ``a.b.c=value`` to nested values, in place."""
    path, equals, text = override.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        raise ConfigError(f"--set {override}: write it as KEY=VALUE, for example optimizer.lr=0.01")
    try:
        value = parse_yaml(text)
    except ConfigError as error:
        raise ConfigError(f"--set {override}: {error}") from error
    if keys == ["loss", "preset"]:
        values["loss"] = {}  # a preset stands for a whole loss, not for more of the one in the file
    section = values
    for depth, key in enumerate(keys[:-1], start=1):
        following = section.setdefault(key, {})
        if following is None:
            following = section[key] = {}
        if not isinstance(following, dict):
            raise ConfigError(
                f"--set {override}: {'.'.join(keys[:depth])} is {following!r}, not a section"
            )
        section = following
    section[keys[-1]] = spelt_out(".".join(keys), value)
