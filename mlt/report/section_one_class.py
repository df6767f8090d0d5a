"""Curves, mistakes and images of a class that the reader chooses; the script fills them in."""

from __future__ import annotations

from markupsafe import Markup

from mlt.report.curves import SQUARE
from mlt.report.methods import Report
from mlt.report.page_data import PageData
from mlt.report.render import Section
from mlt.report.svg import element, path, svg

__all__ = ["one_class_section"]


def one_class_section(report: Report, page_data: PageData) -> Section:
    """Gather the empty figures, and what the script fills them with."""
    calibrated = any(method.first.calibration for method in report.methods)
    colors = []
    if not report.single:
        colors = [("chosen", "chosen method"), ("other", report.baseline.name)]
    elif calibrated:
        colors = [("chosen", "as the model gives it")]
    if calibrated:
        colors.append(("calibrated", "calibrated"))
    first = report.baseline.first
    return Section(
        "one_class",
        {
            "compared": not report.single,
            "colors": colors,
            "precision_recall": _precision_recall(compared=not report.single),
            "reliability": _reliability(compared=not report.single, calibrated=calibrated),
            "num_images": len(first.predictions),
            "num_runs": len(report.baseline.runs),
            "first_run": first.name,
            "notes": page_data.notes,
            "data": page_data.data,
        },
    )


def _precision_recall(*, compared: bool) -> Markup:
    return svg(
        400,
        350,
        "Precision and recall",
        *SQUARE.axes("recall, %", "precision, %"),
        *([_line("pr-other")] if compared else []),
        _line("pr-chosen"),
    )


def _reliability(*, compared: bool, calibrated: bool) -> Markup:
    curves = ["rel-other"] * compared + ["cal-calibrated"] * calibrated + ["rel-chosen"]
    return svg(
        400,
        350,
        "Reliability",
        *SQUARE.axes("predicted probability, %", "observed share, %"),
        path(f"M{SQUARE.x(0)} {SQUARE.y(0)}L{SQUARE.x(1)} {SQUARE.y(1)}", "axis"),
        *(drawn for name in curves for drawn in (_line(name), _dots(name))),
    )


def _line(name: str) -> Markup:
    """A path that the script gives its ``d``; the style is what follows the hyphen."""
    return element("path", class_=f"line {name.split('-')[1]}", data_curve=name)


def _dots(name: str) -> Markup:
    return element("path", class_=f"dots {name.split('-')[1]}", data_dots=name)
