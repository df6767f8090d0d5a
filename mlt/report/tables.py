"""One table of plain values, written as Markdown, CSV, LaTeX or text; as HTML by a template.

A cell holds its plain value; the kind of its column says how it is shown. Percent are shown with
two decimals, while CSV has the values as they are, in [0, 1] and one column per number.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import Any

from mlt.report.format import (
    Kind,
    Mean,
    escape_latex,
    escape_markdown,
    format_value,
    number_suffixes,
    numbers,
)

__all__ = ["Cell", "Column", "Table"]


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
        """Whether its values are aligned to the left."""
        return self.kind in ("text", "group", "verdict")


@dataclass(frozen=True)
class Cell:
    """A value in its column, as a template asks for it."""

    value: Any
    column: Column

    @property
    def text(self) -> str:
        """What people read."""
        return format_value(self.value, self.column.kind)

    @property
    def verdict(self) -> str | None:
        """Better or worse than the baseline, where the value says so."""
        if self.column.kind == "verdict":
            return self.value
        return self.value.verdict if isinstance(self.value, Mean) else None

    @property
    def sort_key(self) -> str | None:
        """What the column is sorted by; None for texts, which are sorted by what they say."""
        value, kind = self.value, self.column.kind
        if value is None or kind in ("text", "verdict"):
            return None
        if kind == "group":
            return {"head": "0", "medium": "1", "tail": "2"}.get(value)
        number = numbers(value, kind)[0]
        if math.isnan(number):
            return None
        return "Infinity" if number == math.inf else f"{number:.6g}"  # as JavaScript reads it


@dataclass(frozen=True)
class Table:
    """Columns and rows of plain values; None where there is nothing.

    Attributes:
        name: Of the file.
        title: What it shows.
        columns: Headings and kinds.
        rows: Values in the order of the columns: texts, numbers, :class:`mlt.metrics.Interval`,
            :class:`mlt.metrics.Difference` or :class:`mlt.report.format.Mean`.
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

    @property
    def groups(self) -> list[str]:
        """The groups of its rows, if one of its columns has groups."""
        found = [
            row[j] for row in self.rows for j, c in enumerate(self.columns) if c.kind == "group"
        ]
        return list(dict.fromkeys(found))

    def cells(self) -> list[list[Cell]]:
        """Return the rows without what is for CSV alone."""
        return [
            [Cell(value, c) for value, c in zip(row, self.columns) if not c.only_csv]
            for row in self.rows
        ]

    def to_text(self) -> str:
        """Return aligned columns for a terminal."""
        lines = self._lines()
        widths = [max(map(len, cells)) for cells in zip(*lines)]
        text = "\n".join(
            "  ".join(
                cell.ljust(width) if column.is_text else cell.rjust(width)
                for cell, width, column in zip(line, widths, self.shown_columns)
            ).rstrip()
            for line in lines
        )
        note = fill(self.note, 100, break_long_words=False, break_on_hyphens=False)
        return f"{text}\n\n{note}" if note else text

    def to_markdown(self) -> str:
        """Return a table of GitHub's Markdown.

        Example:
            >>> print(Table("t", "", [Column("a|b"), Column("mAP", "percent")], [["x", 0.5]]).to_markdown())
            | a\\|b | mAP |
            | --- | ---: |
            | x | 50.00 |
        """  # noqa: E501 - one statement
        heads, *rows = [[escape_markdown(cell) for cell in line] for line in self._lines()]
        rule = ["---" if c.is_text else "---:" for c in self.shown_columns]
        lines = "\n".join(f"| {' | '.join(line)} |" for line in [heads, rule, *rows])
        return f"{lines}\n\n{escape_markdown(self.note)}" if self.note else lines

    def to_latex(self) -> str:
        r"""Return a ``tabular`` for the package booktabs."""
        spec = "".join("l" if c.is_text else "r" for c in self.shown_columns)
        heads, *rows = (" & ".join(map(escape_latex, line)) + r" \\" for line in self._lines())
        return "\n".join(
            [rf"\begin{{tabular}}{{{spec}}}", r"\toprule", heads, r"\midrule", *rows,
             r"\bottomrule", r"\end{tabular}",
             *([f"% {' '.join(self.note.split())}"] if self.note else [])]
        )  # fmt: skip

    def to_csv(self) -> str:
        """Return plain values for other programs, each bound of an interval in its own column."""
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            [f"{c.title}{suffix}" for c in self.columns for suffix in number_suffixes(c.kind)]
        )
        for row in self.rows:
            writer.writerow([p for v, c in zip(row, self.columns) for p in _csv_values(v, c.kind)])
        return file.getvalue()

    def _lines(self) -> list[list[str]]:
        """The headings, and the rows as people read them."""
        heads = [column.title for column in self.shown_columns]
        return [heads, *([cell.text for cell in row] for row in self.cells())]


def _csv_values(value: Any, kind: Kind) -> list[Any]:
    values = [None] * len(number_suffixes(kind)) if value is None else numbers(value, kind)
    return ["" if v is None or (isinstance(v, float) and math.isnan(v)) else v for v in values]
