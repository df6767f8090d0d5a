"""Class names in one cell, in a list as Python or JSON write it: `['cat', 'dog']`, `[cat, dog]`."""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Iterable

from mlt.data.formats.cells import is_blank

__all__ = ["are_list_literals", "parse_list"]

_PAIRS = {"[": "]", "{": "}", "(": ")"}
_ITEM = re.compile(
    r"""\s*(?:[uU]?(?P<quoted>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")\s*|(?P<bare>[^\s,'"][^,]*)|)"""
    r"""(?:,|$|(?=['"]))""",
    re.DOTALL,
)


def are_list_literals(cells: Iterable[str]) -> bool:
    """Whether all cells that say something are lists as Python or JSON write them.

    Example:
        >>> are_list_literals(["['cat', 'dog']", "", "[]"])
        True
        >>> are_list_literals(["['cat', 'dog']", "cow"])
        False
    """
    found = False
    for text in cells:
        if is_blank(text):
            continue
        if not _is_list(text):
            return False
        found = True
    return found


def _is_list(text: str) -> bool:
    text = text.strip()
    end = _PAIRS.get(text[0])
    if end is None or len(text) < 2 or text[-1] != end:
        return False
    # Parentheses are as often part of a name.
    return text[0] != "(" or text[1:].lstrip()[:1] in ("'", '"')


def parse_list(text: str) -> list[str]:
    """The names in a list literal; nothing is evaluated but single quoted strings.

    Args:
        text: As Python, JSON, NumPy or Postgres write lists of strings, or with names without
            quotes. Names may contain commas and escapes within quotes.

    Raises:
        ValueError: If it is not such a list.

    Example:
        >>> parse_list("['it\\\\'s', 'a, b']"), parse_list('["x"]'), parse_list("[cat, dog]")
        (["it's", 'a, b'], ['x'], ['cat', 'dog'])
    """
    if is_blank(text):
        return []
    inner = text.strip()[1:-1]
    names, at = [], 0
    while at < len(inner):
        item = _ITEM.match(inner, at)
        if item is None or item.end() == at:
            raise ValueError(f"{text!r} cannot be read as a list at {inner[at : at + 30]!r}")
        quoted, bare = item["quoted"], item["bare"]
        if quoted is not None:
            names.append(_unquote(quoted).strip())
        elif bare is not None:
            if bare[0] in _PAIRS:
                raise ValueError(f"{text!r} is a list within a list")
            names.append("" if is_blank(bare) else bare.strip())
        at = item.end()
    return [name for name in names if name]


def _unquote(literal: str) -> str:
    """The text of one quoted string, which can hold nothing else."""
    try:
        if literal[0] == '"':
            return str(json.loads(literal, strict=False))
    except ValueError:
        pass  # an escape that only Python has
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes that are none
            return str(ast.literal_eval(literal))
    except (SyntaxError, ValueError):
        return literal[1:-1]
