"""What is said about each class: templates with its name in them, or descriptions from a file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from mlt.data.names import repeated
from mlt.errors import ConfigError, DataError, MissingFileError
from mlt.files import NOT_JSON

__all__ = ["DEFAULT_TEMPLATE", "class_texts", "fill_templates", "read_descriptions", "read_names"]

DEFAULT_TEMPLATE = "a photo of a {}."
"""The template of CLIP's paper (section 3.1.4)."""

_HEADER = ["class", "text"]


def class_texts(
    class_names: Sequence[str],
    templates: Sequence[str] = (),
    descriptions: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, tuple[str, ...]]:
    """All texts of each class: templates with its name, then its descriptions.

    Args:
        class_names: C names.
        templates: Each with `{}` where the name goes; without any, and without descriptions,
            ``DEFAULT_TEMPLATE``.
        descriptions: Texts of each class, which are taken as they are.

    Raises:
        ConfigError: If there is no class, one is there twice, a template has no `{}`, or a class
            has no description where there are descriptions.

    Example:
        >>> class_texts(["traffic_light"], ["a {}.", "one {}."])
        {'traffic_light': ('a traffic light.', 'one traffic light.')}
    """
    if not class_names:
        raise ConfigError("there are no class names to embed")
    if twice := repeated(class_names):
        raise ConfigError(f"class names occur more than once: {', '.join(twice[:5])}")
    if descriptions is not None and (missing := [n for n in class_names if n not in descriptions]):
        raise ConfigError(
            f"{len(missing)} of {len(class_names)} classes have no description: "
            f"{', '.join(missing[:8])}; there are descriptions of {', '.join([*descriptions][:8])}"
        )
    if not templates and descriptions is None:
        templates = [DEFAULT_TEMPLATE]
    given = descriptions or {}
    return {name: (*fill_templates(templates, name), *given.get(name, ())) for name in class_names}


def fill_templates(templates: Sequence[str], class_name: str) -> tuple[str, ...]:
    """Put the name of a class into each template; its underscores become spaces.

    Raises:
        ConfigError: If a template has no `{}`.
    """
    if wrong := [template for template in templates if "{}" not in template]:
        raise ConfigError(
            f"the template {wrong[0]!r} does not say where the class name goes; write {{}} there, "
            f"as in {DEFAULT_TEMPLATE!r}"
        )
    # Not str.format: other braces are just text.
    return tuple(template.replace("{}", class_name.replace("_", " ")) for template in templates)


def read_names(path: str | Path) -> tuple[str, ...]:
    """Class names from a text file, one per line; empty lines are skipped.

    Raises:
        MissingFileError: If there is no such file.
        DataError: If it is not UTF-8, or has no name.
    """
    names = tuple(line.strip() for line in _text(Path(path)).splitlines() if line.strip())
    if not names:
        raise DataError(f"{path} has no class name; write one per line")
    return names


def read_descriptions(path: str | Path) -> dict[str, tuple[str, ...]]:
    """Descriptions per class, from JSON, YAML or CSV.

    JSON and YAML hold an object of class names with a text or a list of texts each. CSV has the
    columns `class` and `text`; a class has as many rows as it has texts.

    Raises:
        MissingFileError: If there is no such file.
        DataError: If it cannot be read as that; says where.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".csv":
        found = _from_rows(path)
    elif suffix in (".json", ".yaml", ".yml"):
        try:
            text = _text(path)
            found = _from_object(path, _json(text) if suffix == ".json" else _yaml(text))
        except (yaml.YAMLError, *NOT_JSON) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    else:
        raise DataError(f"{path}: descriptions are in a .json, .yaml or .csv file")
    return found


def _json(text: str) -> Any:
    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        _check_distinct([key for key, _ in found])
        return dict(found)

    return json.loads(text, object_pairs_hook=pairs)


def _yaml(text: str) -> Any:
    loader = yaml.SafeLoader(text)
    node = loader.get_single_node()
    if isinstance(node, yaml.MappingNode):
        _check_distinct([key.value for key, _ in node.value])
    return None if node is None else loader.construct_document(node)


def _check_distinct(names: Sequence[str]) -> None:
    if twice := repeated(names):
        raise DataError(
            f"descriptions: the class {twice[0]!r} is there twice; give it one list of all texts"
        )


def _from_object(path: Path, value: Any) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, dict) or not value:
        raise DataError(f"{path} must be an object of class names, with a list of texts each")
    found = {}
    for name, texts in value.items():
        if not isinstance(name, str):
            raise DataError(f"{path}: the class name {name!r} is not text; put it in quotes")
        listed = [texts] if isinstance(texts, str) else texts
        if (
            not isinstance(listed, list)
            or not listed
            or not all(isinstance(text, str) and text.strip() for text in listed)
        ):
            raise DataError(f"{path}: {name!r} needs a text or a list of texts, got {texts!r}")
        found[name] = tuple(listed)
    return found


def _from_rows(path: Path) -> dict[str, tuple[str, ...]]:
    rows = csv.reader(io.StringIO(_text(path), newline=""))
    found: dict[str, tuple[str, ...]] = {}
    try:
        header = next(rows, [])
        if [cell.strip().lower() for cell in header] != _HEADER:
            given = ",".join(header) or "nothing"
            raise DataError(f"{path} must begin with the line {','.join(_HEADER)}; it has {given}")
        for row in rows:
            if not row:
                continue
            cells = [" ".join(cell.split()) for cell in row]  # a cell may have several lines
            if len(cells) != 2 or not all(cells):
                raise DataError(
                    f"{path}, line {rows.line_num}: expected a class and a text, got {row}"
                )
            name, text = cells
            found[name] = (*found.get(name, ()), text)
    except csv.Error as error:
        raise DataError(f"{path}, line {rows.line_num}: {error}") from error
    if not found:
        raise DataError(f"{path} has no description")
    return found


def _text(path: Path) -> str:
    if not path.is_file():
        raise MissingFileError(f"there is no file {path}")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text: {error}") from error
