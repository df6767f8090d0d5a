"""One table in five forms, with hostile names in each."""

from __future__ import annotations

import csv
import io
import math

import pytest

from mlt.metrics import Difference, Interval
from mlt.report.format import ABSENT, MINUS, Mean, format_value
from mlt.report.render import render_table
from mlt.report.tables import Column, Table

HOSTILE = ["<img src=x onerror=alert(1)>", "</script>", "a|b", "50 % & $x_{1}^2$ \\~#", "`*_[x](y)"]

TABLE = Table(
    "t",
    "A < B",
    [
        Column("class"),
        Column("group", "group"),
        Column("n", "count"),
        Column("AP", "mean"),
        Column("interval", "interval"),
        Column("wide", "interval", only_csv=True),
        Column("diff", "difference"),
        Column("p", "p_value"),
        Column("verdict", "verdict"),
    ],
    [
        [HOSTILE[0], "head", 1234, Mean(0.5, 0.011), Interval(0.4, 0.6), Interval(0.1, 0.9),
         Difference(-0.02, -0.03, -0.01, 0.0001), 0.0001, "worse"],
        [HOSTILE[3], "tail", 2, Mean(math.nan), Interval(math.nan, math.nan), None,
         Difference(math.nan, math.nan, math.nan, math.nan), math.nan, None],
    ],
    links=[3, 1],
)  # fmt: skip


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (0.65034, "percent", "65.03"),
        (None, "percent", ABSENT),
        (math.nan, "number", ABSENT),
        (12345, "count", "12,345"),
        (-1.239, "threshold", f"{MINUS}1.24"),
        (math.inf, "threshold", "never"),
        (-math.inf, "threshold", "always"),
        (Interval(0.1, 0.2), "interval", "10.00 to 20.00"),
        (Mean(0.5), "mean", "50.00"),
        (Mean(0.5, 0.01, "better"), "mean", "50.00 ± 1.00 ▲"),
        (Mean(0.5, verdict="worse"), "marked", "50.00 ▼"),
        (Difference(0.01, -0.02, 0.04, 0.5), "difference", f"+1.00 ({MINUS}2.00 to +4.00)"),
        (Difference(0.01, math.nan, math.nan, math.nan), "difference", "+1.00"),
        (Difference(-1e-9, -0.1, 0.1, 1.0), "difference", f"0.00 ({MINUS}10.00 to +10.00)"),
        (0.0004, "p_value", "< 0.001"),
        (0.05, "p_value", "0.050"),
    ],
)
def test_values_as_they_are_shown(value, kind, text) -> None:
    assert format_value(value, kind) == text


def test_csv_has_plain_numbers_in_columns_of_their_own() -> None:
    head, first, second = csv.reader(io.StringIO(TABLE.to_csv()))
    assert head == [
        "class", "group", "n", "AP", "AP sd", "interval low", "interval high", "wide low",
        "wide high", "diff", "diff low", "diff high", "p", "verdict",
    ]  # fmt: skip
    assert first == [
        HOSTILE[0], "head", "1234", "0.5", "0.011", "0.4", "0.6", "0.1", "0.9", "-0.02", "-0.03",
        "-0.01", "0.0001", "worse",
    ]  # fmt: skip
    assert second[0] == HOSTILE[3]
    assert second[3:] == [""] * 11


def test_markdown_keeps_to_its_columns() -> None:
    lines = TABLE.to_markdown().splitlines()
    assert lines[1] == "| --- | --- | ---: | ---: | ---: | ---: | ---: | --- |"
    assert lines[2].startswith(r"| \<img src=x onerror=alert(1)\> | head | 1,234 | 50.00 ± 1.10 |")
    pipes = Table("t", "", [Column("a")], [["a|b"], ["c\nd"]]).to_markdown()
    assert pipes.splitlines()[2:] == [r"| a\|b |", "| c d |"]


def test_latex_escapes_everything_special() -> None:
    line = TABLE.to_latex().splitlines()[5]
    assert line.startswith(
        r"50 \% \& \$x\_\{1\}\textasciicircum{}2\$ \textbackslash{}\textasciitilde{}\# & tail & 2"
    )
    assert r"$-$2.00 ($-$3.00 to $-$1.00) & \textless{} 0.001" in TABLE.to_latex()
    assert TABLE.to_latex().startswith("\\begin{tabular}{llrrrrrl}\n\\toprule")


def test_text_is_aligned() -> None:
    lines = TABLE.to_text().splitlines()
    assert len({line.index("head" if "head" in line else "tail") for line in lines[1:]}) == 1


def test_html_escapes_and_sorts_by_plain_numbers() -> None:
    html = render_table(TABLE, filters=True)
    assert "<img src=x" not in html
    assert "&lt;img src=x onerror=alert(1)&gt;</a>" in html
    assert 'data-v="-0.02"' in html
    assert 'data-v="1234"' in html
    assert 'data-class="3"' in html
    assert "wide" not in html  # for CSV alone
    assert html.count("<tr>") == 3
    assert 'value="head" data-group="table-t"' in html


def test_a_label_that_is_never_given_sorts_last() -> None:
    table = Table("t", "", [Column("x", "threshold")], [[math.inf], [-2.0], [math.nan]])
    html = render_table(table)
    assert 'data-v="Infinity">never</th>' in html
    assert f'data-v="-2">{MINUS}2.00</th>' in html
    assert f'class="number">{ABSENT}</th>' in html
