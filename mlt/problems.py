"""What is wrong with a configuration, said so that a reader can fix it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, Tag, ValidationError

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
    found: dict[str, list[tuple[bool, Any]]] = {}
    other_branches: dict[str, Any] = {}
    for entry in error.errors(include_url=False):
        path, ends_in_key = _path(entry, model)
        if _is_aside(entry, ends_in_key):
            other_branches[path] = entry
            continue
        of_word = any(str(step).startswith("literal[") for step in entry["loc"])
        found.setdefault(path, []).append((of_word, entry))
    for path, entry in other_branches.items():
        if not any(other == path or other.startswith(f"{path}.") for other in found):
            found[path] = [(False, entry)]  # there was no other
    return [
        (path, _sentence(entry, model))
        for path, entries in found.items()
        for entry in _of_meant_branch(path, entries, found)
    ]


def _is_aside(entry: Any, ends_in_key: bool) -> bool:
    """Whether another problem at or below the same path would say what this one means.

    Where a word, a number or a section may stand, a section is no number and a word no section; a
    list whose only item is faulty has, to pydantic, no items.
    """
    kind = entry["type"]
    mismatch = kind == "model_type" or (kind.endswith("_type") and isinstance(entry["input"], dict))
    return kind == "too_short" or (mismatch and not ends_in_key)


def _of_meant_branch(path: str, entries: list[tuple[bool, Any]], found: Iterable[str]) -> list[Any]:
    """What is of interest where either a word or something else may stand.

    Pydantic reports that a number is not a word and that a word is not a number; a user who
    wrote a word meant a word.
    """
    words = [entry for of_word, entry in entries if of_word]
    others = [entry for of_word, entry in entries if not of_word]
    if words and isinstance(words[0]["input"], str):
        return words
    deeper = any(other.startswith(f"{path}.") for other in found)
    return others if others or deeper else words


def _sentence(error: Any, model: type[BaseModel]) -> str:
    kind, given, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "extra_forbidden":
        section = _section(model, error["loc"][:-1])
        allowed = list(section.model_fields) if section else []
        return f"unknown key{did_you_mean(str(error['loc'][-1]), allowed)}"
    if kind == "missing":
        return "is missing"
    if kind == "union_tag_not_found":
        key = context["discriminator"].strip("'")
        return f"the key {key!r} is missing; it says which kind of section this is"
    if kind == "union_tag_invalid":
        return f"{context['tag']!r} is not known{did_you_mean(context['tag'], _tags(context))}"
    if kind in ("literal_error", "enum"):
        allowed = [
            part.strip("'") for part in context["expected"].replace(" or ", ", ").split(", ")
        ]
        return f"{given!r} is not allowed{did_you_mean(str(given), allowed)}"
    if kind == "value_error":
        return str(context["error"])
    if kind == "too_short":
        return f"needs at least {context['min_length']}, not {context['actual_length']}"
    message = error["msg"].replace("Input should be", "must be").replace("Value error, ", "")
    return f"{message}, not {given!r}"


def _tags(context: Any) -> list[str]:
    return [tag.strip("' ") for tag in str(context.get("expected_tags", "")).split(",") if tag]


def _path(entry: Any, model: type[BaseModel]) -> tuple[str, bool]:
    """The path of a problem without pydantic's union tags, and whether it ends in none of them."""
    parts: list[str] = []
    annotation: Any = model
    is_key = True
    for step in entry["loc"]:
        following, is_key = _descend(annotation, step)
        # What is neither is an unknown key, or a branch such as "bool".
        is_key = is_key and (following is not None or entry["type"] == "extra_forbidden")
        if is_key:
            parts.append(str(step))
        annotation = following
    return ".".join(parts), is_key


def _section(model: type[BaseModel], loc: Sequence[Any]) -> type[BaseModel] | None:
    annotation: Any = model
    for step in loc:
        annotation, _ = _descend(annotation, step)
    models = _models(annotation)
    return models[0][0] if len(models) == 1 else None


def _models(annotation: Any, tag: str | None = None) -> list[tuple[type[BaseModel], set[str]]]:
    """All models that an annotation allows, each with the tags pydantic may call it by."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        tags = {annotation.__name__} if tag is None else {annotation.__name__, tag}
        return [(annotation, tags)]
    if get_origin(annotation) is Annotated:
        inner, *metadata = get_args(annotation)
        named = [m.tag for m in metadata if isinstance(m, Tag)]
        return _models(inner, named[0] if named else None)
    if get_origin(annotation) in (Union, UnionType):
        members = [found for a in get_args(annotation) for found in _models(a)]
        return [(model, tags | _literals(model)) for model, tags in members]
    return []


def _descend(annotation: Any, step: Any) -> tuple[Any, bool]:
    """Where ``step`` leads from ``annotation``, and whether it is a key of the file."""
    # A model with validators of its own is called "function-after[_check(), Model]" in a union.
    if str(step).startswith("function-"):
        step = str(step).rstrip("]").rpartition(", ")[2]
    if str(step).startswith("literal["):
        return None, False
    if (tagged := _tagged(annotation, step)) is not None:
        return tagged, False
    if isinstance(step, int) and get_origin(annotation) is tuple:
        return get_args(annotation)[0], True
    models = _models(annotation)
    if not models and isinstance(step, str):
        # Inside a dictionary the step is a key of the file, elsewhere a branch of a union.
        values = get_args(annotation)[1] if get_origin(annotation) is dict else None
        return values, values is not None
    for model, tags in models:
        if step in tags:
            return model, False
    for model, _ in models:
        if step in model.model_fields:
            return model.model_fields[step].annotation, True
    return None, True


def _tagged(annotation: Any, tag: Any) -> Any:
    """The member of a union that carries a tag; None where there is none."""
    inner, metadata = annotation, []
    if get_origin(annotation) is Annotated:
        inner, *metadata = get_args(annotation)
    if Tag(tag) in metadata:
        return inner
    members = get_args(inner) if get_origin(inner) in (Union, UnionType) else ()
    found = (_tagged(member, tag) for member in members)
    return next((member for member in found if member is not None), None)


def _literals(model: type[BaseModel]) -> set[str]:
    """The values of the literal fields of a model: one of them is its tag in a union."""
    annotations = [field.annotation for field in model.model_fields.values()]
    return {str(v) for a in annotations if get_origin(a) is Literal for v in get_args(a)}
