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
    "model.head": "name",
    "model.learn": "name",
}


def spelt_out(key: str, value: Any) -> Any:
    """``loss: cb_focal`` as ``loss: {preset: cb_focal}``, and so on.

    Example:
        >>> spelt_out("sampler", "class_aware"), spelt_out("seed", 1)
        ({'name': 'class_aware'}, 1)
        >>> spelt_out("model", {"backbone": "resnet50", "head": "csra"})
        {'backbone': 'resnet50', 'head': {'name': 'csra'}}
    """
    if key == "model" and isinstance(value, dict):
        return {inner: spelt_out(f"model.{inner}", given) for inner, given in value.items()}
    return {_WORDS[key]: value} if key in _WORDS and isinstance(value, str) else value
