"""Classes in pairs: labels that stand together, beside false alarms that go with labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from mlt.report.confusion import confusion, pair_table
from mlt.report.methods import Report
from mlt.report.render import Section
from mlt.report.svg import element, path, shorten, svg, text

__all__ = ["pairs_section"]

MATRIX = 40
"""Classes of the matrices, at most."""

SHADES = (0.02, 0.1, 0.2, 0.35, 0.5)
"""Shares from which a cell has the next darker shade."""

TOGETHER = "Share of the images of the class (row) that also have the other (column)"
ALARMS = "Share of the false alarms of the class (row) in images of the other (column)"


def pairs_section(report: Report) -> Section:
    """Gather the pairs of classes of the first run."""
    found = confusion(report.baseline.first.predictions)
    order, names = report.order.tolist(), report.class_counts.names
    most = set(sorted(order, key=lambda c: -found.num_alarms[c])[:MATRIX])
    classes = [c for c in order if c in most]
    return Section(
        "pairs",
        {
            "shades": [
                (f"shade{i}", f"{100 * low:g} % and more") for i, low in enumerate(SHADES, 1)
            ],
            "together": pair_matrix(names, found.cooccurrence, classes, TOGETHER),
            "together_label": TOGETHER,
            "alarms": pair_matrix(names, found.with_alarms, classes, ALARMS),
            "alarms_label": ALARMS,
            "num_shown": len(classes),
            "all_shown": len(classes) == len(order),
            "table": pair_table(found, names),
        },
    )


def pair_matrix(
    class_names: Sequence[str], shares: NDArray[np.float64], classes: Sequence[int], label: str
) -> Markup:
    """Draw shares of pairs of classes as shades: one path per shade keeps many cells small.

    Args:
        class_names: Of all C classes.
        shares: (C, C) shares, by row and column.
        classes: The classes to draw, in order.
        label: What the drawing shows.
    """
    n = len(classes)
    pitch = max(9.0, min(20.0, 380 / n))
    names = [shorten(class_names[c], 16) for c in classes]
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
    parts = [path(f"M{left} {top}h{side:g}v{side:g}h-{side:g}z", "frame")]
    parts += [path("".join(d), f"shade{level}") for level, d in cells.items()]
    parts.append(path(f"M{left} {top}L{left + side:g} {top + side:g}", "grid"))
    size, turn = ("small", -90) if pitch < 13 else (None, -60)
    for i, name in enumerate(names):
        middle = (i + 0.5) * pitch
        turned = f"translate({left + middle + 3:g} {top - 5}) rotate({turn})"
        parts += [
            text(left - 5, top + middle + 3, name, "end", class_=size),
            element("text", name, class_=size, transform=turned),
        ]
    return svg(round(left + side + 36), round(top + side + 4), label, *parts, class_="wide")
