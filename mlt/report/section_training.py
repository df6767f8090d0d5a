"""How training went: loss and mAP over epochs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from markupsafe import Markup

from mlt.report.comparison import MEANS
from mlt.report.methods import Method, Report, listed
from mlt.report.render import Section
from mlt.report.runs import Run
from mlt.report.svg import Plot, Scale, line_path, path, svg

__all__ = ["training_lines", "training_section"]

Line = list[tuple[float, float]]
"""Values by epoch."""


def training_section(report: Report) -> Section:
    """Gather the curves of the only method, or one small figure per method."""
    runs = report.baseline.runs
    if report.single:
        methods = [report.baseline]
        return Section(
            "training",
            {
                "compared": False,
                "loss": training_lines(runs, "loss"),
                "map": training_lines(runs[:1], "mAP"),
                "colors": [(name, name) for name in MEANS],
                "num_runs": len(runs),
                "first_run": runs[0].name,
                "images": _watched_images(methods),
            },
        )
    what = "total" if training_lines(runs, "total") else "loss"
    drawn = {m: training_lines(m.runs, what, small=True) for m in report.methods}
    figures = {method: drawing for method, drawing in drawn.items() if drawing}
    return Section(
        "training",
        {
            "compared": True,
            "what": what,
            "figures": [(method.name, drawing) for method, drawing in figures.items()],
            "images": _watched_images(figures),
        },
    )


def training_lines(runs: Sequence[Run], what: str, small: bool = False) -> Markup | None:
    """Draw lines over epochs; None if nothing was recorded.

    Args:
        runs: Each gives one line of each kind.
        what: "loss", or "mAP" for a line for total, head, medium and tail of one run, or "total"
            for the total mAP of each run.
        small: Whether there are many of them.
    """
    lines: list[tuple[str, Line]] = []
    for run in runs:
        if what == "loss":
            lines.append(("total", _history(run, "loss")))
        else:
            lines += [(k, _history(run, "mAP", k)) for k in (MEANS if what == "mAP" else ["total"])]
    points = [p for _, line in lines for p in line]
    if len({x for x, _ in points}) < 2:
        return None
    low, high = _loss_range([y for _, y in points]) if what == "loss" else (0.0, 1.0)
    last = max(x for x, _ in points)
    width, height = (300, 180) if small else (400, 260)
    plot = Plot(Scale(0, last, 44, width - 8), Scale(low, high, height - 40, 30))
    label = "loss" if what == "loss" else "mAP, %"
    parts = plot.axes("epoch", label, percent=(False, what != "loss"))
    for kind, line in lines:
        if line:
            parts.append(path(line_path([(plot.x(a), plot.y(b)) for a, b in line]), f"line {kind}"))
    return svg(width, height, f"{label} over epochs", *parts)


def _history(run: Run, key: str, part: str | None = None) -> Line:
    points = []
    for record in run.history:
        value = record.get(key)
        if part is not None:
            value = (value or {}).get(part)
        if isinstance(value, (int, float)) and math.isfinite(value):
            epochs = record["epoch"] + (record.get("part_of_epoch") or 0.0)
            points.append((float(epochs), float(value)))
    return points


def _loss_range(losses: Sequence[float]) -> tuple[float, float]:
    """From zero or, as some losses can be negative, the lowest, to the highest."""
    low, high = min(0.0, *losses), max(losses)
    return low, high if high > low else low + 1.0


def _watched_images(methods: Iterable[Method]) -> str:
    """The images that training was watched on."""
    names: dict[bool, list[str]] = {True: [], False: []}
    for method in methods:
        names[method.first.watches_validation].append(method.name)
    if not names[True]:
        return "the test images"
    if not names[False]:
        return "the validation images"
    return f"the validation images ({listed(names[True])}) or test images ({listed(names[False])})"
