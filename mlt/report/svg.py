"""Small pieces of SVG: scales, axes, lines. Colours and fonts are left to the style sheet."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mlt.report.markup import Html, tag

__all__ = ["Plot", "Scale", "figure", "legend", "line_path", "svg", "text"]


@dataclass(frozen=True)
class Scale:
    """A straight map from values to coordinates.

    Example:
        >>> Scale(0.0, 1.0, 40.0, 240.0)(0.25)
        90.0
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self, about: int = 5) -> list[float]:
        """Round values in the range, about so many.

        Example:
            >>> Scale(0.0, 0.7, 0, 1).ticks(4)
            [0.0, 0.2, 0.4, 0.6]
        """
        rough = (self.high - self.low) / about
        power = 10.0 ** math.floor(math.log10(rough))
        step = min((m * power for m in (1, 2, 5, 10)), key=lambda s: abs(math.log(s / rough)))
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [round(i * step, 10) + 0.0 for i in range(first, last + 1)]


@dataclass(frozen=True)
class Plot:
    """A pair of scales, drawn as a frame with grid lines and numbers.

    Attributes:
        x: From left to right.
        y: From the bottom, which has the larger coordinate, to the top.
    """

    x: Scale
    y: Scale

    def axes(
        self, x_label: str, y_label: str, *, percent: tuple[bool, bool] = (True, True)
    ) -> list[Html]:
        """Grid lines, numbers and the names of the axes.

        Args:
            x_label: Stands below.
            y_label: Stands above the axis, so that no one has to turn the head.
            percent: Whether x and y are shares to be written as percent.
        """
        parts = []
        for value in self.y.ticks(4):
            y = self.y(value)
            parts += [
                tag("path", d=f"M{self.x.start} {y}H{self.x.end}", class_="grid"),
                text(self.x.start - 6, y + 4, _number(value, percent[1]), "end"),
            ]
        for value in self.x.ticks(5):
            x = self.x(value)
            parts += [
                tag("path", d=f"M{x} {self.y.start}v4", class_="axis"),
                text(x, self.y.start + 17, _number(value, percent[0]), "middle"),
            ]
        bottom = f"M{self.x.start} {self.y.start}H{self.x.end}"
        parts += [
            tag("path", d=bottom, class_="axis"),
            text(self.x.end, self.y.start + 34, x_label, "end"),
            text(0, self.y.end - 12, y_label),
        ]
        return parts


def svg(width: float, height: float, label: str, *parts: Html, class_: str = "") -> Html:
    """A drawing with a name for those who cannot see it."""
    return tag("svg", tag("title", label), *parts, viewBox=f"0 0 {width:g} {height:g}", role="img",
               width=f"{width:g}", height=f"{height:g}", class_=class_ or None)  # fmt: skip


def text(x: float, y: float, content: str, anchor: str | None = None, **attributes: str) -> Html:
    """A text; ``anchor`` is "middle" or "end"."""
    return tag("text", content, x=f"{x:g}", y=f"{y:g}", text_anchor=anchor, **attributes)


def line_path(points: Iterable[tuple[float, float]]) -> str:
    """The ``d`` of straight lines through points.

    Example:
        >>> line_path([(0, 1.0), (2.5, 3.0)])
        'M0 1L2.5 3'
    """
    pairs = [f"{x:g} {y:g}" for x, y in points]
    return "M" + "L".join(pairs) if pairs else ""


def legend(entries: Sequence[tuple[str, str]]) -> Html:
    """What the colours of a figure mean: (class of the style sheet, name)."""
    items = [tag("li", tag("span", class_=f"dot {kind}"), name) for kind, name in entries]
    return tag("ul", *items, class_="legend")


def figure(drawing: Html, caption: str, *above: Html, wide: bool = False, title: str = "") -> Html:
    """A drawing with what it shows and how to read it.

    Args:
        drawing: The SVG.
        caption: A sentence or two.
        *above: Controls or a legend.
        wide: Whether the drawing keeps its size on a narrow screen and scrolls.
        title: What it shows.
    """
    heading = [tag("h3", title)] if title else []
    if wide:
        drawing = tag("div", drawing, class_="scroll", tabindex=0, role="region",
                      aria_label=title or caption)  # fmt: skip
    return tag("figure", *heading, *above, drawing, tag("figcaption", caption))


def _number(value: float, percent: bool) -> str:
    return f"{100 * value:.10g}" if percent else f"{value:g}"
