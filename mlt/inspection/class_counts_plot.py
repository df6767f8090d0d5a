"""The training images of every class as a drawing of the page."""

from __future__ import annotations

import math

from markupsafe import Markup

from mlt.inspection.inspection import Inspection
from mlt.inspection.tables import class_order
from mlt.report.svg import Scale, element, path, shorten, svg, text

__all__ = ["class_counts_plot"]

WIDTH = 960
NAMED = 90
"""Up to so many classes have their name below their bar."""


def class_counts_plot(inspection: Inspection) -> Markup:
    """Draw the training images of every class, from the most to the least frequent, logarithmic.

    Args:
        inspection: What was found; there must be training images.
    """
    counts, groups = inspection.parts["train"].class_counts, inspection.groups
    order = class_order(inspection)[::-1]
    x = Scale(0, len(order), 44, WIDTH - 4)
    y = Scale(0, math.log10(max(*counts.values(), 9) + 1), 190, 24)
    pitch = (x.end - x.start) / len(order)
    parts = [text(0, 12, "training images, logarithmic")]
    for power in range(math.ceil(y.high)):
        level = y(math.log10(10**power + 1))
        parts += [
            path(f"M{x.start} {level}H{x.end}", "grid"),
            text(x.start - 6, level + 4, f"{10**power:,}", "end"),
        ]
    for place, name in enumerate(order):
        top = y(math.log10(counts[name] + 1))
        bar = element(
            "rect",
            x=f"{x(place) + 0.1 * pitch:.1f}",
            y=f"{top:g}",
            width=f"{max(0.8 * pitch, 0.6):.1f}",
            height=f"{max(y(0) - top, 0):.1f}",
            class_=f"bar {groups[name]}",
        )
        label = []
        if len(order) <= NAMED:
            turned = f"translate({x(place + 0.5) + 3:g} {y(0) + 10:g}) rotate(-60)"
            label.append(
                element(
                    "text",
                    shorten(name, 24),
                    class_="small" if pitch < 16 else None,
                    text_anchor="end",
                    transform=turned,
                )
            )
        parts.append(
            element("g", element("title", f"{name} ({groups[name]}): {counts[name]}"), bar, *label)
        )
    longest = min(max(map(len, order)), 24) if len(order) <= NAMED else 0
    return svg(
        WIDTH, round(y(0) + 20 + 5.2 * longest), "Training images of each class", *parts,
        class_="wide",
    )  # fmt: skip
