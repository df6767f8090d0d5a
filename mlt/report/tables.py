"""One table, written as HTML, Markdown, CSV, LaTeX or text.

A cell holds its plain value; the kind of its column says how it is shown. Percent are shown with
two decimals, while CSV has the values as they are, in [0, 1] and one column a number.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import Any

from mlt.report.cells import PARTS, Kind, latex, markdown, numbers, shown
from mlt.report.markup import Html, join, tag

__all__ = ["Column", "Table"]


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        title: Its heading.
        kind: Of its values.
        hint: What the heading means.
        only_csv: Whether it is left to the CSV file, where width costs nothing.
    """

    title: str
    kind: Kind = "text"
    hint: str = ""
    only_csv: bool = False

    @property
    def is_text(self) -> bool:
        """Whether its values stand to the left."""
        return self.kind in ("text", "group", "verdict")


@dataclass(frozen=True)
class Table:
    """Columns and rows of plain values; None where there is nothing.

    Attributes:
        name: Of the file.
        title: What it shows.
        columns: Headings and kinds.
        rows: Values in the order of the columns: texts, numbers, :class:`mlt.metrics.Interval`,
            :class:`mlt.metrics.Difference` or :class:`Mean`.
        links: For each row, the class that its first cell leads to; empty for no links.
        note: What one must know to read it; below the table, in LaTeX a comment, not in CSV.
    """

    name: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]
    links: Sequence[int] = ()
    note: str = ""

    @property
    def shown_columns(self) -> list[Column]:
        """The columns but those for CSV alone."""
        return [column for column in self.columns if not column.only_csv]

    def texts(self) -> list[list[str]]:
        """The rows as they are shown."""
        return [
            [shown(v, c.kind) for v, c in zip(row, self.columns) if not c.only_csv]
            for row in self.rows
        ]

    def to_text(self) -> str:
        """Aligned columns for a terminal."""
        lines = "\n".join(
            "  ".join(
                cell.ljust(width) if column.is_text else cell.rjust(width)
                for cell, width, column in zip(line, self._widths(), self.shown_columns)
            ).rstrip()
            for line in [[c.title for c in self.shown_columns], *self.texts()]
        )
        note = fill(self.note, 100, break_long_words=False, break_on_hyphens=False)
        return f"{lines}\n\n{note}" if note else lines

    def to_markdown(self) -> str:
        """A table of GitHub's Markdown.

        Example:
            >>> print(Table("t", "", [Column("a|b"), Column("mAP", "percent")], [["x", 0.5]]).to_markdown())
            | a\\|b | mAP |
            | --- | ---: |
            | x | 50.00 |
        """  # noqa: E501 - one statement
        heads = [markdown(c.title) for c in self.shown_columns]
        rule = ["---" if c.is_text else "---:" for c in self.shown_columns]
        rows = [[markdown(cell) for cell in row] for row in self.texts()]
        lines = "\n".join(f"| {' | '.join(line)} |" for line in [heads, rule, *rows])
        return f"{lines}\n\n{markdown(self.note)}" if self.note else lines

    def to_latex(self) -> str:
        r"""A ``tabular`` for the package booktabs."""
        spec = "".join("l" if c.is_text else "r" for c in self.shown_columns)
        lines = [[c.title for c in self.shown_columns], *self.texts()]
        heads, *rows = (" & ".join(map(latex, line)) + r" \\" for line in lines)
        return "\n".join(
            [rf"\begin{{tabular}}{{{spec}}}", r"\toprule", heads, r"\midrule", *rows,
             r"\bottomrule", r"\end{tabular}",
             *([f"% {' '.join(self.note.split())}"] if self.note else [])]
        )  # fmt: skip

    def to_csv(self) -> str:
        """Plain values for other programs, with the bounds of intervals in columns of their own."""
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([part for c in self.columns for part in _csv_heads(c)])
        for row in self.rows:
            writer.writerow([p for v, c in zip(row, self.columns) for p in _csv_values(v, c.kind)])
        return file.getvalue()

    def to_html(self, filters: bool = False) -> Html:
        """A table that sorts by its headings.

        Args:
            filters: Whether a text field and the groups above it choose rows.
        """
        heads = [
            tag(
                "th",
                tag("button", c.title, type="button", title=c.hint or None),
                scope="col",
                class_=None if c.is_text else "number",
            )
            for c in self.shown_columns
        ]
        rows = []
        for i, row in enumerate(self.rows):
            link = self.links[i] if self.links else None
            cells = [
                _cell(j, value, column.kind, link)
                for j, (value, column) in enumerate(zip(row, self.columns))
                if not column.only_csv
            ]
            rows.append(tag("tr", *cells))
        table = tag(
            "table",
            tag("caption", self.title),
            tag("thead", tag("tr", *heads)),
            tag("tbody", *rows),
            id=f"table-{self.name}",
        )
        scrolled = tag("div", table, class_="scroll", tabindex=0, role="region",
                       aria_label=self.title)  # fmt: skip
        note = tag("p", self.note, class_="note") if self.note else ""
        return join(self._filters() if filters else "", scrolled, note)

    def _filters(self) -> Html:
        groups: list[str] = []
        for j, column in enumerate(self.columns):
            if column.kind == "group":
                groups = list(dict.fromkeys(row[j] for row in self.rows))
        target = f"table-{self.name}"
        boxes = [
            tag("label", tag("input", type="checkbox", checked=True, value=g, data_group=target),
                tag("span", class_=f"dot {g}"), g)
            for g in groups
        ]  # fmt: skip
        field = tag("input", type="search", placeholder="Filter by name", data_filter=target,
                    aria_label=f"Filter {self.title} by name")  # fmt: skip
        count = tag("span", f"{len(self.rows)} rows", class_="count", role="status",
                    data_count=target)  # fmt: skip
        return tag("div", field, *boxes, count, class_="filters")

    def _widths(self) -> list[int]:
        lines = [[c.title for c in self.shown_columns], *self.texts()]
        return [max(map(len, cells)) for cells in zip(*lines)]


def _cell(place: int, value: Any, kind: Kind, link: int | None) -> Html:
    key, text = _sort_key(value, kind), shown(value, kind)
    if kind == "group":
        content = join(tag("span", class_=f"dot {value}"), text)
    elif kind == "verdict" and value:
        content = tag("span", text, class_=value)
    elif kind in ("mean", "marked") and value and value.verdict:
        content = tag(
            "span", text, class_=value.verdict, title=f"{value.verdict} than the baseline"
        )
    elif place == 0 and link is not None:
        content = tag("a", text, href="#class", data_class=link)
    else:
        content = join(text)
    numeric = kind not in ("text", "group", "verdict")
    classes = "number" if numeric else None
    if place == 0:
        return tag("th", content, scope="row", class_=classes, data_v=key)
    return tag("td", content, class_=classes, data_v=key)


def _sort_key(value: Any, kind: Kind) -> str | None:
    """What a column is sorted by; nothing for texts, which are sorted by what they say."""
    if value is None or kind in ("text", "verdict"):
        return None
    if kind == "group":
        return {"head": "0", "medium": "1", "tail": "2"}.get(value)
    number = numbers(value, kind)[0]
    if math.isnan(number):
        return None
    return "Infinity" if number == math.inf else f"{number:.6g}"  # as JavaScript reads it


def _csv_heads(column: Column) -> list[str]:
    return [f"{column.title}{part}" for part in PARTS.get(column.kind, [""])]


def _csv_values(value: Any, kind: Kind) -> list[Any]:
    values = [None] * len(PARTS.get(kind, [""])) if value is None else numbers(value, kind)
    return ["" if v is None or (isinstance(v, float) and math.isnan(v)) else v for v in values]
