"""The middle part of a report: one class at a time, and classes in pairs."""

from __future__ import annotations

from collections.abc import Sequence

from mlt.report import charts
from mlt.report.confusion import confusion, pair_table
from mlt.report.curves import SQUARE
from mlt.report.markup import Html, section, tag
from mlt.report.methods import Report
from mlt.report.svg import figure, legend, svg
from mlt.report.tables import Table

__all__ = ["confusion_section", "one_class_section"]

MATRIX = 40
"""Classes of the matrices of pairs, at most."""


def one_class_section(report: Report, notes: Sequence[str], calibrated: bool) -> Html:
    """Curves, mistakes and images of a class that the reader chooses; the script fills it in."""
    curve = SQUARE.axes("recall, %", "precision, %")
    reliable = SQUARE.axes("predicted probability, %", "observed share, %")
    diagonal = f"M{SQUARE.x(0)} {SQUARE.y(0)}L{SQUARE.x(1)} {SQUARE.y(1)}"
    several = not report.single
    second = [_line("pr", "other")] if several else []
    rel_second = [_line("rel", "other"), _dots("rel", "other")] if several else []
    calibrated_line = [_line("cal", "calibrated"), _dots("cal", "calibrated")] if calibrated else []
    names = [("chosen", "chosen method"), ("other", report.baseline.name)] if several else []
    if calibrated:
        names = [*(names or [("chosen", "as the model gives it")]), ("calibrated", "calibrated")]
    figures = [
        figure(
            svg(400, 350, "Precision and recall", *curve, *second, _line("pr", "chosen")),
            "Going down the ranking, recall grows and precision falls. The area under the line "
            "is the average precision.",
            title="Precision and recall",
        ),
        figure(
            svg(400, 350, "Reliability", *reliable, tag("path", d=diagonal, class_="axis"),
                *rel_second, *calibrated_line, _line("rel", "chosen"), _dots("rel", "chosen")),
            "On the diagonal, probabilities mean what they say; below it they are too high. A "
            "point is a tenth of the range; with few labels in it, it jumps about.",
            title="Reliability",
        ),
    ]  # fmt: skip
    controls = [
        tag("label", "Class", tag("select", id="choose-class")),
        tag(
            "span",
            tag("button", "previous", type="button", id="previous"),
            tag("button", "next", type="button", id="next"),
            class_="steps",
        ),
    ]
    if several:
        controls.insert(0, tag("label", "Method", tag("select", id="choose-method")))
    first = report.baseline.first
    note = []
    if several:
        note = ["Each method is shown by its first run. The report of one run shows more."]
    elif len(report.baseline.runs) > 1:
        note = [f"This is the run {first.name}."]
    return section(
        "class",
        "One class closely",
        tag("noscript", tag("p", "Choosing a class takes JavaScript; the rest does not.")),
        tag("div", *controls, class_="controls"),
        tag("p", id="facts", role="status"),
        legend(names) if names else Html(""),
        tag("div", *figures, class_="pair"),
        tag("div", id="mistakes", class_="pair"),
        tag("p", f"Without a threshold: each class is given to as many of the "
            f"{len(first.predictions):,} test images as have it. What has it but is not among "
            f"them is missed; what is among them but has it not is a false alarm. Worst first, "
            f"with probability and place in the ranking. ", " ".join([*note, *notes]),
            class_="caption"),
    )  # fmt: skip


def confusion_section(report: Report) -> tuple[Html, Table]:
    """Labels that stand together beside false alarms that go with labels."""
    found = confusion(report.baseline.first.predictions)
    table = pair_table(found, report.stats.names)
    order = report.order.tolist()
    chosen = set(sorted(order, key=lambda c: -found.num_alarms[c])[:MATRIX])
    classes = [c for c in order if c in chosen]
    left = "Share of the images of the class (row) that also have the other (column)"
    right = "Share of the false alarms of the class (row) in images of the other (column)"
    part = len(classes) < len(order)
    shades = [f"{100 * low:g} % and more" for low in charts.SHADES]
    html = section(
        "pairs",
        "Labels together, and mistaken for each other",
        legend([(f"shade{i + 1}", name) for i, name in enumerate(shades)]),
        tag(
            "div",
            figure(charts.pair_matrix(report, found.cooccurrence, classes, left), left + ".",
                   wide=True, title="Truly together"),
            figure(charts.pair_matrix(report, found.with_alarms, classes, right), right + ".",
                   wide=True, title="False alarms"),
            class_="pair",
        ),
        tag("p", "Where both are dark, the model takes the company of a label for the label. "
            "Where only the right one is, it mistakes one for the other."
            + (f" The {len(classes)} classes with the most false alarms." if part else ""),
            class_="caption"),
        table.to_html(filters=True),
        tag("p", "False alarms as above, without a threshold. At most 100 pairs, those with the "
            "most false alarms beyond what the share of the second class would give by chance.",
            class_="caption"),
    )  # fmt: skip
    return html, table


def _line(what: str, kind: str) -> Html:
    return tag("path", class_=f"line {kind}", data_curve=f"{what}-{kind}")


def _dots(what: str, kind: str) -> Html:
    return tag("path", class_=f"dots {kind}", data_dots=f"{what}-{kind}")
