"""Sections that may be given as one word."""

from __future__ import annotations

from typing import Any

__all__ = ["spelt_out"]

# The key that the word then is.
_WORDS = {
    "loss": "preset",
    "sampler": "name",
    "transforms": "name",
    "optimizer": "name",
    "schedule": "name",
}


def spelt_out(key: str, value: Any) -> Any:
    """``loss: cb_focal`` as ``loss: {preset: cb_focal}``, and so on.

    Example:
        >>> spelt_out("sampler", "class_aware"), spelt_out("seed", 1)
        ({'name': 'class_aware'}, 1)
    """
    return {_WORDS[key]: value} if key in _WORDS and isinstance(value, str) else value
