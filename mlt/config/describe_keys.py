"""Every key of the configuration, with its type, default and description."""

from __future__ import annotations

import json
import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from mlt.config.config import Config
from mlt.settings import Settings

__all__ = ["Key", "Section", "describe_keys"]


@dataclass(frozen=True)
class Key:
    """One key of a section.

    Attributes:
        path: Dotted, as for ``--set``.
        type: What it may be, in a few words.
        default: As YAML; None if the key must be given.
        description: What it means.
    """

    path: str
    type: str
    default: str | None
    description: str


@dataclass(frozen=True)
class Section:
    """The keys that stand beside each other in the YAML.

    Attributes:
        path: Dotted; empty for the top level.
        form: What tells it from other forms of the section, such as ``name: csv``; empty where
            there is only one.
        description: What it is.
        keys: Those of the section itself, in the order of its definition; sections in it come
            after it.
    """

    path: str
    form: str
    description: str
    keys: tuple[Key, ...]


def describe_keys(settings: type[Settings] = Config, path: str = "") -> list[Section]:
    """Describe every key that a configuration may have.

    Args:
        settings: The model that the keys are read from.
        path: Where it stands in the YAML.

    Returns:
        The section, then the sections in it, from top to bottom.

    Example:
        >>> sections = describe_keys()
        >>> [key.default for key in sections[0].keys if key.path == "seed"]
        ['0']
        >>> [section.form for section in sections if section.path == "sampler"][:2]
        ['name: shuffle', 'name: class_aware']
    """
    name_of_form = _name_of_form(settings)
    keys, inner = [], []
    for name, field in settings.model_fields.items():
        if name == "name" and name_of_form:
            continue
        where = f"{path}.{name}" if path else name
        keys.append(Key(where, _type_name(field.annotation), _default(field), _text(field)))
        for part in _settings_in(field.annotation):
            inner += describe_keys(part, where)
        if get_origin(field.annotation) is tuple:  # sections in it are those of the top level
            for part in _settings_in(get_args(field.annotation)[0]):
                inner.append(describe_keys(part, f"{where}[]")[0])
    form = f"name: {name_of_form}" if name_of_form else ""
    section = Section(path, form, _summary(settings), tuple(keys))
    return list(dict.fromkeys([section, *inner]))  # forms of `data` share sections


def _name_of_form(settings: type[Settings]) -> str | None:
    """The only value that the key ``name`` may have, which tells forms of a section apart."""
    field = settings.model_fields.get("name")
    values = get_args(field.annotation) if field and get_origin(field.annotation) is Literal else ()
    return values[0] if len(values) == 1 else None


def _summary(settings: type[Settings]) -> str:
    return " ".join((settings.__doc__ or "").partition("\n\n")[0].split())


def _text(field: FieldInfo) -> str:
    return " ".join((field.description or "").split())


def _default(field: FieldInfo) -> str | None:
    if field.is_required():
        return None
    value = field.get_default(call_default_factory=True)
    if isinstance(value, Settings):
        name = _name_of_form(type(value))
        return f"{{name: {name}}}" if name else "see its keys"
    return value if isinstance(value, str) and value.isidentifier() else json.dumps(value)


def _settings_in(annotation: Any) -> Iterator[type[Settings]]:
    """The sections that a type allows, through unions and annotations, each once."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        yield annotation
    elif get_origin(annotation) in (Annotated, Union, types.UnionType):
        yield from dict.fromkeys(
            found for part in get_args(annotation) for found in _settings_in(part)
        )


def _type_name(annotation: Any) -> str:
    """A type as a reader of YAML would say it."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type_name(parts[0])
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(map(_type_name, parts)))
    if origin is Literal:
        return ", ".join(map(str, parts))
    if origin is tuple:
        kinds = list(dict.fromkeys(_type_name(part) for part in parts if part is not ...))
        number = "" if ... in parts else f"{len(parts)} "
        return f"list of {number}{' or '.join(kinds)}"
    if origin is dict:
        return "section"
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return "section"
    names = {bool: "true or false", int: "integer", float: "number", str: "text"}
    return names.get(annotation, "null" if annotation is type(None) else str(annotation))
