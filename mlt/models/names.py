"""Names of the parts of a model, and patterns of them."""

from __future__ import annotations

from fnmatch import fnmatchcase

__all__ = ["within"]


def within(name: str, part: str) -> bool:
    """Whether a module or parameter is a part, or lies below it.

    Args:
        name: As in ``blocks.0.attn``.
        part: A name, or a pattern as in ``blocks.[0-3]`` and ``*.norm*``.

    Example:
        >>> within("blocks.1.attn", "blocks.[0-3]"), within("blocks.10", "blocks.1")
        (True, False)
    """
    return fnmatchcase(name, part) or fnmatchcase(name, f"{part}.*")
