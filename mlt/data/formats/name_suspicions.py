"""Class names that look as if a table was taken apart in the wrong way."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

__all__ = ["name_with_shared_word", "other_separator", "suspicious_names"]

_SEPARATORS = (";", ",", "|", "/", "+", "&", "\t", " ")
_QUOTES = "\"'`"
_PAIRS = ("[]", "{}", "()")
_NONE = frozenset(("no finding", "no findings", "normal", "healthy", "background", "nothing"))
_WEIGHTED = re.compile(r":[01]?\.\d+$")
_LOOKED_AT = 10_000
_SHOWN = 5


def other_separator(names: Sequence[str]) -> str | None:
    """A separator by which names are lists: their parts are fewer than they are, or names too.

    Words are names too in "nodule" and "pulmonary nodule", so that with spaces only numbers count,
    see :func:`name_with_shared_word`.

    Args:
        names: The different cells of a column that its own separator does not take apart.

    Example:
        >>> other_separator(["road water", "road", "clear road", "clear water", "clear"])
        ' '
        >>> other_separator(["nodule", "pulmonary nodule", "cardiac effusion"]) is None
        True
    """
    names = [name for name in names[:_LOOKED_AT] if name]
    for separator in _SEPARATORS:
        parts = [[p.strip() for p in name.split(separator) if p.strip()] for name in names]
        lists = [listed for listed in parts if len(listed) > 1]
        if lists and len({part for listed in parts for part in listed}) < len(names):
            return separator
        if separator == " ":
            numbers = all(part.isdecimal() for listed in parts for part in listed)
            return separator if lists and numbers else None
        if any(set(listed) & set(names) for listed in lists):
            return separator
    return None


def name_with_shared_word(names: Sequence[str]) -> str | None:
    """A name of several words, one of which is in another name too; such names may be lists.

    Example:
        >>> name_with_shared_word(["clear primary", "haze primary water", "cloudy"])
        'clear primary'
        >>> name_with_shared_word(["aortic elongation", "nodule"]) is None
        True
    """
    names = names[:_LOOKED_AT]
    counts = Counter(word for name in names for word in set(name.split()))
    for name in names:
        words = name.split()
        if len(words) > 1 and any(counts[word] > 1 for word in words):
            return name
    return None


def suspicious_names(class_names: Sequence[str]) -> list[str]:
    """Notes on names with a loose bracket or a weight, nearly the same names, and "none".

    Example:
        >>> suspicious_names(["['cat'", "Dog", "dog", "mass (benign)"])[0]
        'do these class names belong to lists that were taken apart wrongly? "[\\'cat\\'"'
        >>> suspicious_names(["Dog", "dog"])
        ["are the classes 'Dog' and 'dog' one class?"]
    """
    notes = []
    if loose := [name for name in class_names if _has_loose_end(name)]:
        more = f" and {len(loose) - _SHOWN} more" if len(loose) > _SHOWN else ""
        notes.append(
            "do these class names belong to lists that were taken apart wrongly? "
            f"{', '.join(map(repr, loose[:_SHOWN]))}{more}"
        )
    if weighted := [name for name in class_names if _WEIGHTED.search(name)]:
        notes.append(
            f"do these class names end in a weight, which is not read? {weighted[0]!r}; remove it, "
            "or write a line per image and class, with value_column"
        )
    alike: dict[str, list[str]] = {}
    for name in class_names:
        plain = unicodedata.normalize("NFC", re.sub(r"[\s_-]+", "", name)).casefold()
        alike.setdefault(plain, []).append(name)
    same = [" and ".join(map(repr, group)) for group in alike.values() if len(group) > 1]
    notes += [f"are the classes {group} one class?" for group in same]
    none = [name for name in class_names if re.sub(r"[\s_-]+", " ", name).casefold() in _NONE]
    return notes + [
        f"does {name!r} mean that there is none of the classes? Then set negatives: [{name}]"
        for name in none
    ]


def _has_loose_end(name: str) -> bool:
    """Whether a name begins or ends with a quote, or with a bracket that is not paired within."""
    if name[0] in _QUOTES or name[-1] in _QUOTES:
        return True
    if name[0] in "[{" or name[-1] in "]}":
        return True
    return any(
        (name[0] in pair or name[-1] in pair) and name.count(pair[0]) != name.count(pair[1])
        for pair in _PAIRS
    )
