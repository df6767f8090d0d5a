"""What differs between two configurations."""

from __future__ import annotations

from mlt.config.config import Config

__all__ = ["changed_keys"]


def changed_keys(first: Config, second: Config) -> list[str]:
    """Paths of the keys whose values differ, in the order of the first.

    Args:
        first: One configuration.
        second: Another.

    Example:
        >>> from mlt.config import load_config
        >>> changed_keys(load_config("digits_mlt_bce"), load_config("digits_mlt_bce", ["seed=1"]))
        ['seed']
    """
    return _differences(first.model_dump(mode="json"), second.model_dump(mode="json"))


def _differences(a: object, b: object, path: str = "") -> list[str]:
    if isinstance(a, dict) and isinstance(b, dict):
        return [
            found
            for key in {**a, **b}
            for found in _differences(a.get(key), b.get(key), f"{path}.{key}" if path else str(key))
        ]
    return [] if a == b else [path]
