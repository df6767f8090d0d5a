"""Small pieces of SVG: elements, scales, axes. Colours and fonts are left to the style sheet.

Every text and attribute is escaped, so the result is markup that a template may print as it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup

__all__ = ["Plot", "Scale", "circle", "element", "line_path", "path", "shorten", "svg", "text"]


@dataclass(frozen=True)
class Scale:
    """A linear map from values to coordinates.

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
        """Return round values in the range, about so many.

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
    ) -> list[Markup]:
        """Draw grid lines, numbers and the names of the axes.

        Args:
            x_label: Stands below.
            y_label: Stands above the axis, so that no one has to turn the head.
            percent: Whether x and y are shares to be written as percent.
        """
        parts = []
        for value in self.y.ticks(4):
            y = self.y(value)
            parts += [
                path(f"M{self.x.start} {y}H{self.x.end}", "grid"),
                text(self.x.start - 6, y + 4, _tick_label(value, percent[1]), "end"),
            ]
        for value in self.x.ticks(5):
            x = self.x(value)
            parts += [
                path(f"M{x} {self.y.start}v4", "axis"),
                text(x, self.y.start + 17, _tick_label(value, percent[0]), "middle"),
            ]
        parts += [
            path(f"M{self.x.start} {self.y.start}H{self.x.end}", "axis"),
            text(self.x.end, self.y.start + 34, x_label, "end"),
            text(0, self.y.end - 12, y_label),
        ]
        return parts


def element(name: str, /, *children: str, **attributes: str | int | None) -> Markup:
    """Return an element.

    Args:
        name: Its name.
        *children: Texts, which are escaped, and markup.
        **attributes: A trailing underscore is dropped and others become hyphens. None leaves the
            attribute out.

    Example:
        >>> element("text", "a < b", element("title", "!"), class_="note", text_anchor=None)
        Markup('<text class="note">a &lt; b<title>!</title></text>')
    """
    written = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), value)
        for key, value in attributes.items()
        if value is not None
    )
    return Markup("<{0}{1}>{2}</{0}>").format(name, written, Markup("").join(children))


def svg(
    width: float, height: float, label: str, *parts: Markup, class_: str | None = None
) -> Markup:
    """Return a drawing, with a name for those who cannot see it."""
    return element("svg", element("title", label), *parts, viewBox=f"0 0 {width:g} {height:g}",
                   role="img", width=f"{width:g}", height=f"{height:g}", class_=class_)  # fmt: skip


def text(
    x: float, y: float, content: str, anchor: str | None = None, class_: str | None = None
) -> Markup:
    """Return a text; ``anchor`` is "middle" or "end"."""
    return element("text", content, x=f"{x:g}", y=f"{y:g}", text_anchor=anchor, class_=class_)


def path(d: str, class_: str) -> Markup:
    """Return a path by the commands of its ``d``."""
    return element("path", d=d, class_=class_)


def circle(x: float, y: float, class_: str) -> Markup:
    """Return the point of a value."""
    return element("circle", cx=f"{x:g}", cy=f"{y:g}", r=4, class_=class_)


def line_path(points: Iterable[tuple[float, float]]) -> str:
    """Return the ``d`` of straight lines through points.

    Example:
        >>> line_path([(0, 1.0), (2.5, 3.0)])
        'M0 1L2.5 3'
    """
    pairs = [f"{x:g} {y:g}" for x, y in points]
    return "M" + "L".join(pairs) if pairs else ""


def shorten(name: str, limit: int) -> str:
    """Return a name of at most ``limit`` characters."""
    return name if len(name) <= limit else f"{name[: limit - 1]}…"


def _tick_label(value: float, percent: bool) -> str:
    return f"{100 * value:.10g}" if percent else f"{value:g}"
