"""HTML from Python calls, safe by construction: what is no :class:`Html` is escaped.

Twenty lines instead of a template library, since in a template each place has its own escaping
rules (text, attribute, script), and class names, file names and configurations may hold anything.
"""

from __future__ import annotations

import json
from html import escape
from typing import Any

__all__ = ["Html", "join", "script_json", "section", "tag"]

_VOID = frozenset({"input", "link", "meta"})


class Html(str):
    """Markup that was made by :func:`tag` or is a constant of ours."""

    __slots__ = ()


def tag(name: str, /, *children: str, **attributes: str | int | bool | None) -> Html:
    """An element.

    Args:
        name: Its name.
        *children: Texts, which are escaped, and :class:`Html`.
        **attributes: A trailing underscore is dropped and others become hyphens. None and False
            leave the attribute out, True gives it no value.

    Example:
        >>> tag("p", "a < b", tag("b", "!"), class_="note", hidden=True)
        '<p class="note" hidden>a &lt; b<b>!</b></p>'
    """
    parts = [f"<{name}"]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        attribute = key.rstrip("_").replace("_", "-")
        parts.append(f" {attribute}" if value is True else f' {attribute}="{escape(str(value))}"')
    parts.append(">")
    if name not in _VOID:
        parts += [join(*children), f"</{name}>"]
    return Html("".join(parts))


def section(name: str, title: str, *parts: Html) -> Html:
    """A part of the page that the navigation leads to."""
    return tag("section", tag("h2", title), *parts, id=name)


def join(*children: str) -> Html:
    """Several texts and elements, one after the other."""
    return Html("".join(c if isinstance(c, Html) else escape(c) for c in children))


def script_json(value: Any) -> Html:
    """JSON that may stand inside a ``<script>`` element, whatever its strings hold.

    Example:
        >>> script_json(["</script>"])
        '["\\\\u003c/script\\\\u003e"]'
    """
    text = json.dumps(value, allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Html(text)
