"""How lists of class names differ, and names that they have twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

__all__ = ["name_difference", "repeated"]


def name_difference(
    a: Sequence[str], b: Sequence[str], of_a: str, of_b: str, limit: int = 5
) -> str | None:
    """Say how the class names of two sources differ.

    Args:
        a: Names in column order.
        b: Names in column order.
        of_a: What ``a`` belongs to, for the sentence.
        of_b: What ``b`` belongs to.
        limit: Names to list of each.

    Returns:
        A phrase, or None if both are the same names in the same order.

    Example:
        >>> name_difference(["cat", "dog"], ["cat", "cow"], "the checkpoint", "the data")
        'only in the checkpoint: dog; only in the data: cow'
        >>> name_difference(["cat", "dog"], ["dog", "cat"], "the checkpoint", "the data")
        'the same names in another order'
    """
    if tuple(a) == tuple(b):
        return None
    in_a, in_b = set(a), set(b)
    only = {of_a: [name for name in a if name not in in_b]}
    only |= {of_b: [name for name in b if name not in in_a]}
    parts = [f"only in {of}: {_some(names, limit)}" for of, names in only.items() if names]
    return "; ".join(parts) or "the same names in another order"


def repeated(names: Sequence[str]) -> list[str]:
    """The names that are there more than once, sorted.

    Example:
        >>> repeated(["cow", "cat", "dog", "cat", "cow", "cat"])
        ['cat', 'cow']
    """
    return sorted(name for name, count in Counter(names).items() if count > 1)


def _some(names: list[str], limit: int) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
