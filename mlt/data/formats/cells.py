"""What a cell says about one image and one class: yes, no, uncertain, nothing, or a value."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlt.errors import ConfigError

if TYPE_CHECKING:
    from mlt.data.formats.table_format import TableFormat

__all__ = [
    "BLANK",
    "NEGATIVE",
    "POSITIVE",
    "UNCERTAIN",
    "VALUE",
    "WRONG",
    "Cell",
    "are_blank",
    "check_policies",
    "explain",
    "is_blank",
    "meanings",
    "read_cell",
]

NEGATIVE, POSITIVE, UNCERTAIN, BLANK, VALUE, WRONG = range(6)

_WORDS = {
    **dict.fromkeys(("0", "false", "no", "n", "f"), NEGATIVE),
    **dict.fromkeys(("1", "true", "yes", "y", "t"), POSITIVE),
}
_BLANKS = frozenset(("", "nan", "none", "null", "na", "n/a", "<na>"))
_TARGETS = {"negative": 0.0, "positive": 1.0, "unknown": math.nan}


class Cell(NamedTuple):
    """What a cell says; ``target`` is its soft target where ``kind`` is ``VALUE``."""

    kind: int
    target: float = math.nan


def is_blank(text: str) -> bool:
    """Whether a cell says nothing, in one of the ways that programs write that.

    Example:
        >>> is_blank(" "), is_blank("NaN"), is_blank("0")
        (True, True, False)
    """
    return text.strip().casefold() in _BLANKS


def are_blank(cells: pa.Array) -> pa.Array:
    """Which of many cells say nothing, as :func:`is_blank` does of one: (N,) booleans.

    Example:
        >>> are_blank(pa.array([" ", "NaN", "0"], pa.large_string())).to_pylist()
        [True, True, False]
    """
    plain = pc.utf8_lower(pc.utf8_trim_whitespace(cells))
    return pc.is_in(plain, value_set=pa.array(sorted(_BLANKS), cells.type))


def read_cell(text: str, form: TableFormat) -> Cell:
    """Read a cell of a class column.

    Args:
        text: Its text.
        form: Whether values between 0 and 1, votes and counts are allowed, and what they are.

    Example:
        >>> from mlt.data.formats.table_format import TableFormat
        >>> form = TableFormat(soft=True)
        >>> read_cell("yes", form), read_cell("-1.0", form).kind == UNCERTAIN
        (Cell(kind=1, target=nan), True)
        >>> read_cell("0.25", form), read_cell("2", form).kind == WRONG
        (Cell(kind=4, target=0.25), True)
    """
    text = text.strip().casefold()
    if text in _BLANKS:
        return Cell(BLANK)
    if form.votes is None and text in _WORDS:
        return Cell(_WORDS[text])
    try:
        number = float(text)
    except ValueError:
        return Cell(_WORDS.get(text, WRONG))
    if number == -1:
        return Cell(UNCERTAIN)
    if form.votes is not None:
        number = number / form.votes if number.is_integer() else -math.inf
    if number in (0, 1):
        return Cell(POSITIVE if number else NEGATIVE)
    if form.counts and number > 1 and number.is_integer():
        return Cell(POSITIVE)
    if not 0 < number < 1:
        return Cell(WRONG)
    if form.threshold is not None:
        return Cell(POSITIVE if number >= form.threshold else NEGATIVE)
    return Cell(VALUE, number) if form.soft or form.votes else Cell(WRONG)


def explain(text: str, form: TableFormat) -> str:
    """What is expected of a cell instead of this text, and what to do if it is meant so."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if form.votes is not None:
        return f"expected a number of votes, 0 to {form.votes}, -1 or nothing"
    if 0 < number < 1:
        return (
            "expected 1, 0, -1 or nothing. If it is a soft target, set soft: true; if it is a "
            "confidence, set threshold: 0.5"
        )
    if number > 1 and number.is_integer():
        return (
            "expected 1, 0, -1 or nothing. If it is the number of objects, set counts: positive; "
            "if people voted, set votes: N, with the number of people"
        )
    return "expected 1, 0, -1 or nothing (or true and false, yes and no)"


def check_policies(
    form: TableFormat, class_names: Collection[str], left_out: Collection[str] = ()
) -> None:
    """Refuse policies for what is not a class.

    Args:
        form: Has the policies.
        class_names: The classes.
        left_out: What would be a class if ``class_names`` had it; a policy for it does no harm.

    Raises:
        ConfigError: Naming it, and what it may have been meant to be.
    """
    for name in form.policies:
        if name not in class_names and name not in left_out:
            close = get_close_matches(name, class_names, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            shown = ", ".join(map(repr, sorted(class_names)[:20]))
            raise ConfigError(f"policies: {name!r} is not a class{hint} (classes: {shown})")


def meanings(class_names: Sequence[str], form: TableFormat) -> np.ndarray:
    """The target of each class for each kind of cell: (C, 4) float32; NaN is unknown.

    Columns are negative, positive, uncertain and blank.
    """
    rows = []
    for name in class_names:
        policy = form.policies.get(name)
        uncertain = (policy and policy.uncertain) or form.uncertain
        blank = (policy and policy.blank) or form.blank
        rows.append([0.0, 1.0, _TARGETS[uncertain], _TARGETS[blank]])
    return np.array(rows, np.float32).reshape(-1, 4)
