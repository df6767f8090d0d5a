"""How plain values are written: for people, for CSV, and escaped for Markdown and LaTeX."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from mlt.metrics import Difference, Interval

__all__ = [
    "ABSENT",
    "CORRECTED",
    "MINUS",
    "Kind",
    "Mean",
    "escape_latex",
    "escape_markdown",
    "format_value",
    "number_suffixes",
    "numbers",
]

Kind = Literal[
    "text", "group", "verdict", "count", "number", "threshold", "percent", "interval", "mean",
    "marked", "difference", "p_value",
]  # fmt: skip
"""How a value is shown: a share in [0, 1] as percent, a difference with its sign, and so on."""

CORRECTED = "Without the upward bias of few positives; the interval is around this value"
"""What the heading of a corrected average precision means."""

ABSENT = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
MARKS = {"better": "▲", "worse": "▼"}
VERDICTS = {"better": "▲ better", "worse": "▼ worse"}


@dataclass(frozen=True)
class Mean:
    """A mean over runs, and what the test says of it.

    Attributes:
        value: The mean, NaN if undefined.
        sd: Standard deviation over the runs, NaN for one.
        verdict: "better" or "worse" than the baseline, None where nothing is certain.
    """

    value: float
    sd: float = math.nan
    verdict: str | None = None


def format_value(value: Any, kind: Kind) -> str:
    """Return a value as people read it.

    Example:
        >>> format_value(0.12345, "percent"), format_value(0.0002, "p_value")
        ('12.35', '< 0.001')
        >>> format_value(Mean(0.5, 0.01), "mean")
        '50.00 ± 1.00'
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ABSENT
    return _FORMATS[kind](value)


def _interval(value: Interval) -> str:
    if not value.defined:
        return ABSENT
    return f"{format_value(value.low, 'percent')} to {format_value(value.high, 'percent')}"


def _mean(value: Mean) -> str:
    if math.isnan(value.value):
        return ABSENT
    spread = "" if math.isnan(value.sd) else f" ± {format_value(value.sd, 'percent')}"
    mark = f" {MARKS[value.verdict]}" if value.verdict else ""
    return f"{format_value(value.value, 'percent')}{spread}{mark}"


def _difference(value: Difference) -> str:
    if math.isnan(value.value):
        return ABSENT
    if math.isnan(value.low):
        return _points(value.value)
    return f"{_points(value.value)} ({_points(value.low)} to {_points(value.high)})"


def _points(value: float) -> str:
    return _signed(100 * value, "+")


def _signed(value: float, plus: str) -> str:
    sign = "" if round(value, 2) == 0 else plus if value > 0 else MINUS
    return f"{sign}{abs(value):.2f}"


def _p_value(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _threshold(value: float) -> str:
    if math.isinf(value):
        return "never" if value > 0 else "always"
    return _signed(value, "")


_FORMATS: dict[Kind, Callable[[Any], str]] = {
    "text": str,
    "group": str,
    "verdict": VERDICTS.__getitem__,
    "count": lambda value: f"{value:,}",
    "number": lambda value: f"{value:.2f}",
    "threshold": _threshold,
    "percent": lambda value: f"{100 * value:.2f}",
    "interval": _interval,
    "mean": _mean,
    "marked": _mean,
    "difference": _difference,
    "p_value": _p_value,
}


def number_suffixes(kind: Kind) -> list[str]:
    """Return what each number of a cell adds to the heading of its column in CSV."""
    match kind:
        case "interval":
            return [" low", " high"]
        case "difference":
            return ["", " low", " high"]
        case "mean":
            return ["", " sd"]
        case _:
            return [""]


def numbers(value: Any, kind: Kind) -> list[Any]:
    """Return the numbers of a cell, one for each of :func:`number_suffixes`."""
    match kind:
        case "interval":
            return [value.low, value.high]
        case "difference":
            return [value.value, value.low, value.high]
        case "mean":
            return [value.value, value.sd]
        case "marked":
            return [value.value]
        case _:
            return [value]


def escape_markdown(text: str) -> str:
    """Escape text for a cell of a Markdown table, on one line."""
    return re.sub(r"([\\`*_\[\]<>|~])", r"\\\1", " ".join(text.split()))


_LATEX = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", MINUS: "$-$", ABSENT: "--", "±": r"$\pm$",
    "▲": r"$\uparrow$", "▼": r"$\downarrow$",
    **{c: f"\\{c}" for c in "&%$#_{}"},
}  # fmt: skip


def escape_latex(text: str) -> str:
    """Escape text for LaTeX."""
    return "".join(_LATEX.get(c, c) for c in text)
