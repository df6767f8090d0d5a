"""The figures of a report that stay as they are: classes, differences, training, pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mlt.class_counts import ClassCounts
from mlt.class_groups import GROUPS
from mlt.metrics import Difference, Interval, SeedMean
from mlt.report.cells import MINUS, shown
from mlt.report.comparison import MEANS, Compared
from mlt.report.markup import Html, tag
from mlt.report.methods import Report
from mlt.report.runs import Run
from mlt.report.svg import Plot, Scale, line_path, svg, text

__all__ = ["class_bars", "forest", "interval_bar", "pair_matrix", "training_lines"]

WIDTH = 960
NAMED = 90
"""Up to so many classes have their name below their bar."""


def interval_bar(value: float, interval: Interval, kind: str) -> Html:
    """A value and its interval on a line from 0 to 100 %."""
    x = Scale(0, 1, 4, 196)
    parts = [tag("path", d="M4 8H196", class_="track")]
    if interval.defined:
        parts.append(
            tag("path", d=f"M{x(interval.low)} 8H{x(interval.high)}", class_=f"band {kind}")
        )
    if not math.isnan(value):
        parts.append(tag("circle", cx=f"{x(value):g}", cy=8, r=4, class_=f"point {kind}"))
    return svg(200, 16, f"{shown(value, 'percent')} on a line from 0 to 100", *parts)


def class_bars(
    stats: ClassCounts,
    means: Sequence[SeedMean],
    positives: NDArray[np.intp],
    prevalence: NDArray[np.float64],
) -> Html:
    """Average precision of every class, from the most to the least frequent in training.

    Args:
        stats: Training counts and groups.
        means: (C,) average precision with its interval.
        positives: (C,) test images of the class.
        prevalence: (C,) average precision of a random order.
    """
    order = np.argsort(-stats.counts, kind="stable").tolist()
    named = len(order) <= NAMED
    x = Scale(0, len(order), 40, WIDTH - 4)
    y = Scale(0, 1, 280, 36)
    strip = Scale(0, math.log10(max(stats.counts.max(), 9) + 1), 352, 306)
    pitch = (x.end - x.start) / len(order)
    parts = []
    for value in (0, 0.25, 0.5, 0.75, 1):
        parts += [
            tag("path", d=f"M{x.start} {y(value)}H{x.end}", class_="grid"),
            text(x.start - 6, y(value) + 4, f"{100 * value:g}", "end"),
        ]
    parts += [text(0, y(1) - 18, "AP, %"), text(0, strip.end - 6, "training images, logarithmic")]
    parts += _group_names(stats, order, x)
    for place, c in enumerate(order):
        group, ap, interval = stats.group_of(c), means[c].mean, means[c].interval
        left, width = x(place) + 0.1 * pitch, 0.8 * pitch
        middle = x(place + 0.5)
        bar = []
        if not math.isnan(ap):
            bar.append(_bar(left, y(ap), width, y(0), f"bar {group}"))
            bar.append(
                tag("path", d=f"M{left:.1f} {y(float(prevalence[c]))}h{width:.1f}", class_="chance")
            )
        if interval.defined and pitch > 3:
            low, high = y(interval.low), y(interval.high)
            bar.append(tag("path", d=f"M{middle} {low}V{high}", class_="whisker"))
        bar.append(
            _bar(left, strip(math.log10(int(stats.counts[c]) + 1)), width, strip(0), f"bar {group}")
        )
        if named:
            size = "small" if pitch < 16 else None
            bar.append(
                tag("text", stats.names[c], class_=size, text_anchor="end",
                    transform=f"translate({middle + 3:g} {strip.start + 8:g}) rotate(-60)")
            )  # fmt: skip
        hint = (
            f"{stats.names[c]} ({group}): AP {shown(ap, 'percent')}, interval "
            f"{shown(interval, 'interval')}; {stats.counts[c]} training and {positives[c]} "
            f"test images"
        )
        parts.append(tag("g", tag("title", hint), *bar))
    longest = max(len(name) for name in stats.names)
    height = strip.start + (14 + 5.2 * min(longest, 24) if named else 8)
    label = "Average precision of each class, in order of training images"
    return svg(WIDTH, round(height), label, *parts, class_="wide")


def forest(compared: Compared) -> Html:
    """Differences from the baseline with their intervals, one panel for each mean."""
    methods = compared.report.methods
    rows = sorted(
        range(1, len(methods)), key=lambda i: -compared.tests[i]["total"].difference.value
    )
    left = 150
    panel = (WIDTH - left) / len(MEANS)
    height = 44 + 22 * len(rows)
    parts = []
    for place, i in enumerate(rows):
        parts.append(text(left - 14, 48 + 22 * place, _short(methods[i].name, 22), "end"))
    for number, name in enumerate(MEANS):
        low, high = _reach([compared.tests[i][name].difference for i in rows])
        x = Scale(low, high, left + number * panel + 10, left + (number + 1) * panel - 10)
        title = "all classes" if name == "total" else name
        parts += [
            text((x.start + x.end) / 2, 12, title, "middle", class_="strong"),
            tag("path", d=f"M{x(0)} 32V{height}", class_="zero"),
        ]
        for value in x.ticks(4):
            parts += [
                tag("path", d=f"M{x(value)} 32V{height}", class_="grid"),
                text(x(value), 28, _signed(value), "middle", class_="small"),
            ]
        for place, i in enumerate(rows):
            tested = compared.tests[i][name]
            d = tested.difference
            if math.isnan(d.value):
                continue
            at = 44 + 22 * place
            kind = tested.verdict or "unsure"
            marks = [tag("circle", cx=f"{x(d.value):g}", cy=at, r=4, class_=f"point {kind}")]
            if not math.isnan(d.low):
                marks.insert(
                    0, tag("path", d=f"M{x(d.low)} {at}H{x(d.high)}", class_=f"whisker {kind}")
                )
            hint = f"{methods[i].name}, {name}: {shown(d, 'difference')}"
            parts.append(tag("g", tag("title", hint), *marks))
    label = f"Differences in mAP from {methods[0].name}, in points"
    return svg(WIDTH, height + 4, label, *parts, class_="wide")


def training_lines(runs: Sequence[Run], what: str, small: bool = False) -> Html | None:
    """Lines over epochs; None if nothing was recorded.

    Args:
        runs: Each gives one line of each kind.
        what: "loss", or "mAP" for a line for total, head, medium and tail of one run, or "total"
            for the total mAP of each run.
        small: Whether there are many of them.
    """
    lines: list[tuple[str, list[tuple[float, float]]]] = []
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
            d = line_path([(plot.x(a), plot.y(b)) for a, b in line])
            parts.append(tag("path", d=d, class_=f"line {kind}"))
    return svg(width, height, f"{label} over epochs", *parts)


def pair_matrix(
    report: Report, shares: NDArray[np.float64], classes: Sequence[int], label: str
) -> Html:
    """Shares of pairs of classes as shades: a path for each shade keeps many cells small."""
    stats = report.stats
    n = len(classes)
    pitch = max(9.0, min(20.0, 380 / n))
    names = [_short(stats.names[c], 16) for c in classes]
    left = top = round(14 + 6 * max(map(len, names)))
    cells: dict[int, list[str]] = {}
    for i, b in enumerate(classes):
        for j, a in enumerate(classes):
            level = int(np.searchsorted(SHADES, shares[b, a], side="right"))
            if level and a != b:
                cells.setdefault(level, []).append(
                    f"M{left + j * pitch:g} {top + i * pitch:g}h{pitch:g}v{pitch:g}h-{pitch:g}z"
                )
    side = n * pitch
    parts = [tag("path", d=f"M{left} {top}h{side:g}v{side:g}h-{side:g}z", class_="frame")]
    parts += [tag("path", d="".join(d), class_=f"shade{level}") for level, d in cells.items()]
    parts.append(tag("path", d=f"M{left} {top}L{left + side:g} {top + side:g}", class_="grid"))
    size = "small" if pitch < 13 else None
    turn = -60 if size is None else -90
    for i, name in enumerate(names):
        middle = (i + 0.5) * pitch
        parts += [
            tag("text", name, x=left - 5, y=f"{top + middle + 3:g}", text_anchor="end",
                class_=size),
            tag("text", name, class_=size,
                transform=f"translate({left + middle + 3:g} {top - 5}) rotate({turn})"),
        ]  # fmt: skip
    return svg(round(left + side + 36), round(top + side + 4), label, *parts, class_="wide")


SHADES = (0.02, 0.1, 0.2, 0.35, 0.5)
"""Shares from which a cell has the next darker shade."""


def _group_names(stats: ClassCounts, order: Sequence[int], x: Scale) -> list[Html]:
    parts, start = [], 0
    for group in GROUPS:
        size = len(stats.groups[group])
        if not size:
            continue
        if start:
            parts.append(tag("path", d=f"M{x(start)} 22V352", class_="divider"))
        if x(start + size) - x(start) > 50:  # the legend names the others
            parts.append(text(x(start) + 5, 18, group, class_="strong"))
        start += size
    return parts


def _bar(left: float, top: float, width: float, bottom: float, kind: str) -> Html:
    return tag("rect", x=f"{left:.1f}", y=f"{top:g}", width=f"{max(width, 0.6):.1f}",
               height=f"{max(bottom - top, 0):.1f}", class_=kind)  # fmt: skip


def _history(run: Run, key: str, part: str | None = None) -> list[tuple[float, float]]:
    points = []
    for record in run.history:
        value = record.get(key)
        if part is not None:
            value = (value or {}).get(part)
        if isinstance(value, (int, float)) and math.isfinite(value):
            points.append((float(record["epoch"]), float(value)))
    return points


def _loss_range(losses: Sequence[float]) -> tuple[float, float]:
    """From zero or, as some losses can be negative, the lowest, to the highest."""
    low, high = min(0.0, *losses), max(losses)
    return low, high if high > low else low + 1.0


def _reach(differences: Sequence[Difference]) -> tuple[float, float]:
    """From the lowest to the highest bound, with zero and a margin."""
    bounds = [v for d in differences for v in (d.value, d.low, d.high) if not math.isnan(v)]
    low, high = min([*bounds, -0.005]), max([*bounds, 0.005])
    margin = 0.04 * (high - low)
    return low - margin, high + margin


def _signed(value: float) -> str:
    return f"{'+' if value > 0 else MINUS if value < 0 else ''}{100 * abs(value):.10g}"


def _short(name: str, limit: int) -> str:
    return name if len(name) <= limit else f"{name[: limit - 1]}…"
