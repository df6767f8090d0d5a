"""Average precision and AUROC per class, of one method or of several beside each other."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from mlt.class_counts import ClassCounts
from mlt.class_groups import GROUPS
from mlt.metrics import SeedMean, aggregate_seeds
from mlt.report.comparison import Compared, Contrast
from mlt.report.format import CORRECTED, Mean, format_value
from mlt.report.methods import Report
from mlt.report.render import Section
from mlt.report.runs import Run
from mlt.report.svg import Scale, element, path, svg, text
from mlt.report.tables import Column, Table

__all__ = ["class_table", "classes_section", "compared_class_table", "compared_classes_section"]

WIDTH = 960
"""Of the drawing of all classes."""

NAMED = 90
"""Up to so many classes have their name below their bar."""

_COLUMNS = [
    Column("class"),
    Column("group", "group"),
    Column("train", "count", "Training images"),
    Column("test", "count", "Test images"),
]


def classes_section(report: Report) -> Section:
    """Gather the classes of one method."""
    means = aggregate_seeds(report.baseline.predictions, groups=report.single_classes)
    per_class = [means[name] for name in report.single_classes]
    runs, single = report.baseline.predictions, report.single_classes
    areas = aggregate_seeds(runs, groups=single, metric="AUROC")
    return Section(
        "classes",
        {
            "table": class_table(
                report, per_class, [areas[name] for name in single], _recalls(report)
            ),
            "bars": class_bars(report.class_counts, per_class, report.baseline.first),
            "colors": [(group, group) for group in GROUPS],
        },
    )


def _recalls(report: Report) -> list[SeedMean]:
    """The recall of each class, where every test image has exactly one label; else none."""
    runs = report.baseline.predictions
    if not runs[0].one_label:
        return []
    found = aggregate_seeds(runs, groups=report.single_classes, metric="recall")
    return [found[name] for name in report.single_classes]


def compared_classes_section(compared: Compared) -> Section:
    """Gather the classes of several methods."""
    return Section(
        "classes",
        {
            "table": compared_class_table(compared),
            "baseline": compared.report.baseline.name,
            "num_tests": compared.num_class_tests,
        },
    )


def class_table(
    report: Report,
    means: Sequence[SeedMean],
    areas: Sequence[SeedMean],
    recalls: Sequence[SeedMean] = (),
) -> Table:
    """Return one line per class, from the most to the least frequent in training.

    Args:
        report: The method.
        means: (C,) average precision over its runs, with intervals.
        areas: (C,) AUROC, likewise.
        recalls: (C,) recall, likewise, where every image has exactly one label; else none.
    """
    run, rows = report.baseline.first, []
    for c in report.order.tolist():
        of, area = means[c], areas[c]
        lift = of.mean / run.prevalence[c] if run.positives[c] else math.nan
        rows.append(
            [*_class(report, c), Mean(of.mean, of.sd), of.interval.centre, of.interval, float(lift),
             Mean(area.mean, area.sd), area.interval]
        )  # fmt: skip
        if recalls:
            rows[-1] += [Mean(recalls[c].mean, recalls[c].sd), recalls[c].interval]
    columns = [
        *_COLUMNS,
        Column("AP", "mean", "Average precision in percent, ± standard deviation over the runs"),
        Column("corrected", "percent", CORRECTED),
        Column("95 % interval", "interval"),
        Column("lift", "number", "How many times the AP of a random order"),
        Column("AUROC", "mean", "Area under the ROC curve in percent; 50 is a random order"),
        Column("AUROC interval", "interval"),
    ]
    if recalls:
        hint = "Share of its test images whose most probable class it is, in percent"
        columns += [Column("recall", "mean", hint), Column("recall interval", "interval")]
    title = "Average precision and AUROC of each class"
    return Table("classes", title, columns, rows, links=report.order.tolist())


def compared_class_table(compared: Compared) -> Table:
    """Return one line per class: the average precision of every method, marked if it differs."""
    report = compared.report
    rows = []
    for c in report.order.tolist():
        cells = [
            _marked(method.ap[c], tests.get(str(c)))
            for method, tests in zip(report.methods, compared.class_tests)
        ]
        areas = [float(method.auroc[c]) for method in report.methods]
        rows.append([*_class(report, c), *cells, *areas])
    hint = "AP in percent, mean over runs"
    columns = [
        *_COLUMNS,
        *(Column(method.name, "marked", hint) for method in report.methods),
        *(Column(f"{m.name} AUROC", "percent", only_csv=True) for m in report.methods),
    ]
    title = "Average precision of each class by method, in percent"
    return Table("classes", title, columns, rows, links=report.order.tolist(),
                 note=report.groups_note)  # fmt: skip


def class_bars(classes: ClassCounts, means: Sequence[SeedMean], run: Run) -> Markup:
    """Draw the average precision of every class, from the most to the least frequent in training.

    Args:
        classes: Training counts and groups.
        means: (C,) average precision with its interval.
        run: Has the test images per class, and the average precision of a random order.
    """
    order = np.argsort(-classes.counts, kind="stable").tolist()
    x = Scale(0, len(order), 40, WIDTH - 4)
    y = Scale(0, 1, 280, 36)
    strip = Scale(0, math.log10(max(classes.counts.max(), 9) + 1), 352, 306)
    pitch = (x.end - x.start) / len(order)
    named = len(order) <= NAMED
    parts = []
    for value in (0, 0.25, 0.5, 0.75, 1):
        parts += [
            path(f"M{x.start} {y(value)}H{x.end}", "grid"),
            text(x.start - 6, y(value) + 4, f"{100 * value:g}", "end"),
        ]
    parts += [text(0, y(1) - 18, "AP, %"), text(0, strip.end - 6, "training images, logarithmic")]
    parts += _group_names(classes, x)
    for place, c in enumerate(order):
        name, group, count = classes.names[c], classes.group_of(c), int(classes.counts[c])
        ap, interval = means[c].mean, means[c].interval
        left, width, middle = x(place) + 0.1 * pitch, 0.8 * pitch, x(place + 0.5)
        hint = (
            f"{name} ({group}): AP {format_value(ap, 'percent')}, corrected "
            f"{format_value(interval.centre, 'percent')}, interval "
            f"{format_value(interval, 'interval')}; {count} training and {run.positives[c]} "
            f"test images"
        )
        bar = [element("title", hint)]
        if not math.isnan(ap):
            bar += [
                _bar(left, y(ap), width, y(0), group),
                path(f"M{left:.1f} {y(float(run.prevalence[c]))}h{width:.1f}", "chance"),
            ]
        if interval.defined and pitch > 3:
            bar.append(path(f"M{middle} {y(interval.low)}V{y(interval.high)}", "whisker"))
        bar.append(_bar(left, strip(math.log10(count + 1)), width, strip(0), group))
        if named:
            turned = f"translate({middle + 3:g} {strip.start + 8:g}) rotate(-60)"
            size = "small" if pitch < 16 else None
            bar.append(element("text", name, class_=size, text_anchor="end", transform=turned))
        parts.append(element("g", *bar))
    longest = max(len(name) for name in classes.names)
    height = strip.start + (14 + 5.2 * min(longest, 24) if named else 8)
    label = "Average precision of each class, in order of training images"
    return svg(WIDTH, round(height), label, *parts, class_="wide")


def _class(report: Report, c: int) -> list[str | int]:
    """What every table says of a class first."""
    classes, positives = report.class_counts, report.baseline.first.positives
    return [classes.names[c], classes.group_of(c), int(classes.counts[c]), int(positives[c])]


def _marked(value: float, tested: Contrast | None) -> Mean:
    return Mean(float(value), verdict=tested.verdict if tested else None)


def _group_names(classes: ClassCounts, x: Scale) -> list[Markup]:
    """The names of the groups above their bars, and lines between them."""
    parts, start = [], 0
    for group in GROUPS:
        size = len(classes.groups[group])
        if not size:
            continue
        if start:
            parts.append(path(f"M{x(start)} 22V352", "divider"))
        if x(start + size) - x(start) > 50:  # the legend names the others
            parts.append(text(x(start) + 5, 18, group, class_="strong"))
        start += size
    return parts


def _bar(left: float, top: float, width: float, bottom: float, group: str) -> Markup:
    return element("rect", x=f"{left:.1f}", y=f"{top:g}", width=f"{max(width, 0.6):.1f}",
                   height=f"{max(bottom - top, 0):.1f}", class_=f"bar {group}")  # fmt: skip
