"""What is wrong with a configuration, said so that a reader can mend it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

__all__ = ["did_you_mean", "problems_of"]


def did_you_mean(given: str, allowed: Iterable[str]) -> str:
    """A hint at the closest allowed name, or all of them where none is close.

    Args:
        given: What was given.
        allowed: What is allowed.

    Returns:
        A phrase that begins with a semicolon, or nothing where nothing is allowed.

    Example:
        >>> did_you_mean("lrr", ["lr", "name"])
        "; did you mean 'lr'? (allowed: lr, name)"
    """
    names = list(allowed)
    if not names:
        return ""
    close = difflib.get_close_matches(given, names, n=1, cutoff=0.55)
    listed = ", ".join(names)
    return f"; did you mean {close[0]!r}? (allowed: {listed})" if close else f"; allowed: {listed}"


def problems_of(error: ValidationError, model: type[BaseModel]) -> list[tuple[str, str]]:
    """The problems of a validation as (dotted path, sentence), in the order of the file.

    Args:
        error: What pydantic raised.
        model: The model that was validated.

    Returns:
        One pair a problem. The path has only keys that stand in the file.
    """
    return [(_path(e["loc"], model), _sentence(e, model)) for e in error.errors(include_url=False)]


def _sentence(error: Any, model: type[BaseModel]) -> str:
    kind, given, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "extra_forbidden":
        section = _section(model, error["loc"][:-1])
        allowed = list(section.model_fields) if section else []
        return f"unknown key{did_you_mean(str(error['loc'][-1]), allowed)}"
    if kind == "missing":
        return "is missing"
    if kind == "union_tag_not_found":
        tags = ", ".join(_tags(context))
        return f"{context['discriminator']} is missing; allowed: {tags}"
    if kind == "union_tag_invalid":
        return f"{context['tag']!r} is not known{did_you_mean(context['tag'], _tags(context))}"
    if kind in ("literal_error", "enum"):
        allowed = [part.strip("'") for part in context["expected"].replace(" or ", ", ").split(", ")]
        return f"{given!r} is not allowed{did_you_mean(str(given), allowed)}"
    if kind == "value_error":
        return str(context["error"])
    message = error["msg"].replace("Input should be", "must be").replace("Value error, ", "")
    return f"{message}, not {given!r}"


def _tags(context: Any) -> list[str]:
    return [tag.strip("' ") for tag in str(context.get("expected_tags", "")).split(",") if tag]


def _path(loc: Sequence[Any], model: type[BaseModel]) -> str:
    """The dotted path of ``loc`` without the union tags that pydantic puts into it."""
    parts: list[str] = []
    annotation: Any = model
    for step in loc:
        following, is_key = _descend(annotation, step)
        if is_key:
            parts.append(str(step))
        annotation = following
    return ".".join(parts)


def _section(model: type[BaseModel], loc: Sequence[Any]) -> type[BaseModel] | None:
    annotation: Any = model
    for step in loc:
        annotation, _ = _descend(annotation, step)
    models = _models(annotation)
    return models[0] if len(models) == 1 else None


def _models(annotation: Any) -> list[type[BaseModel]]:
    """All models that an annotation allows."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Annotated, Union, UnionType):
        return [m for a in get_args(annotation) for m in _models(a)]
    return []


def _descend(annotation: Any, step: Any) -> tuple[Any, bool]:
    """Where ``step`` leads from ``annotation``, and whether it is a key of the file."""
    models = _models(annotation)
    for candidate in models:
        if len(models) > 1 and step in (*_tag_values(candidate), candidate.__name__):
            return candidate, False
    for candidate in models:
        if step in candidate.model_fields:
            field = candidate.model_fields[step]
            return field.annotation, True
    return None, True


def _tag_values(model: type[BaseModel]) -> tuple[Any, ...]:
    """The values of the literal fields of a model: one of them is its tag."""
    values: list[Any] = []
    for field in model.model_fields.values():
        if get_origin(field.annotation) is Literal:
            values.extend(get_args(field.annotation))
    return tuple(values)
