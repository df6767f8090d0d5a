"""Several methods against the baseline: means, differences and their tests."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from markupsafe import Markup

from mlt.metrics import Difference, SeedMean
from mlt.report.comparison import LEVEL, Compared, Contrast
from mlt.report.format import CORRECTED, MINUS, Mean, format_value
from mlt.report.methods import Report
from mlt.report.render import Section
from mlt.report.svg import Scale, circle, element, path, shorten, svg, text
from mlt.report.tables import Column, Table

__all__ = [
    "auroc_difference_table",
    "auroc_table",
    "comparison_section",
    "comparison_table",
    "difference_table",
    "one_label_difference_table",
    "one_label_table",
]

WIDTH = 960
"""Of the drawing of differences."""

_METHOD = [Column("method"), Column("runs", "count", "Runs that differ in their seed")]
_CLASSES = Column("classes", "group")


def comparison_section(compared: Compared) -> Section:
    """Gather how the methods differ from the first."""
    report = compared.report
    return Section(
        "comparison",
        {
            "headline": _headline(compared),
            "baseline": report.baseline.name,
            "means": comparison_table(compared),
            "auroc": auroc_table(compared),
            "differences": difference_table(compared),
            "auroc_differences": auroc_difference_table(compared),
            "one_label": one_label_table(compared),
            "one_label_differences": one_label_difference_table(compared),
            "untested": report.untested,
            "num_tests": compared.num_tests,
            "level": f"{LEVEL:g}",
            "some_have_one_run": any(len(m.runs) == 1 for m in report.methods),
            "forest": forest_plot(compared),
        },
    )


def comparison_table(compared: Compared) -> Table:
    """Return one line per method: mAP and standard deviation over seeds, marked if it differs."""
    groups = compared.report.groups
    columns = [
        *_METHOD,
        Column("mAP", "mean", "Over all classes; mean ± standard deviation over the runs"),
        Column("corrected", "percent", CORRECTED),
        Column("95 % interval", "interval", "For other seeds and other test images"),
        *(Column(group, "mean", f"mAP over the {group} classes") for group in groups),
        *(Column(f"{group} corrected", "percent", only_csv=True) for group in groups),
        *(Column(f"{group} interval", "interval", only_csv=True) for group in groups),
    ]
    rows = []
    for start, means, tests in _rows(compared, compared.means, compared.tests):
        total, *of_groups = [mean.interval for mean in means.values()]
        cells = [_mean(mean, tests.get(name)) for name, mean in means.items()]
        rows.append(
            [*start, cells[0], total.centre, total, *cells[1:], *(i.centre for i in of_groups),
             *of_groups]
        )  # fmt: skip
    title = "Mean average precision of each method, in percent"
    return Table("comparison", title, columns, rows, note=compared.report.groups_note)


def auroc_table(compared: Compared) -> Table:
    """Return one line per method: mean AUROC, marked if it differs."""
    groups = compared.report.groups
    columns = [
        *_METHOD,
        Column("AUROC", "mean", "Mean over all classes, ± standard deviation over the runs"),
        Column("95 % interval", "interval", "For other seeds and other test images"),
        *(Column(group, "mean", f"Mean over the {group} classes") for group in groups),
        *(Column(f"{group} interval", "interval", only_csv=True) for group in groups),
    ]
    rows = _mean_rows(compared, compared.auroc_means, compared.auroc_tests)
    title = "Mean area under the ROC curve of each method, in percent"
    return Table("auroc", title, columns, rows, note=compared.report.groups_note)


def one_label_table(compared: Compared) -> Table | None:
    """Return one line per method: top-1 error, recall and precision; None without such data."""
    one = compared.one_label
    if one is None:
        return None
    error, *others = one.means[0]
    columns = [
        *_METHOD,
        Column(error, "mean", "Share of the images whose class is not the most probable one"),
        Column("95 % interval", "interval", "For other seeds and other test images"),
        *(Column(name, "mean", "Mean over the classes; recall is accuracy") for name in others),
        *(Column(f"{name} interval", "interval", only_csv=True) for name in others),
    ]
    rows = _mean_rows(compared, one.means, one.tests)
    title = "Top-1 error, recall and precision of each method, in percent"
    return Table("one-label", title, columns, rows, note=compared.report.groups_note)


def difference_table(compared: Compared) -> Table:
    """Return one line per method and mean: the difference from the baseline and its test."""
    title = f"Differences from {compared.report.baseline.name}, in points of mAP"
    return _differences("differences", title, "mAP", compared.report, compared.tests)


def auroc_difference_table(compared: Compared) -> Table:
    """Return the same of AUROC."""
    title = f"Differences from {compared.report.baseline.name}, in points of AUROC"
    return _differences("auroc-differences", title, "AUROC", compared.report, compared.auroc_tests)


def one_label_difference_table(compared: Compared) -> Table | None:
    """Return the same of top-1 error, recall and precision; None without such data."""
    if compared.one_label is None:
        return None
    title = f"Differences from {compared.report.baseline.name} in top-1 error, recall and precision"
    tests = compared.one_label.tests
    of = Column("of")
    return _differences("one-label-differences", title, "each metric", compared.report, tests, of)


def _differences(
    name: str,
    title: str,
    metric: str,
    report: Report,
    tests: Sequence[dict[str, Contrast]],
    of: Column = _CLASSES,
) -> Table:
    rows = [
        [method.name, what, t.difference, t.difference.p_value, t.corrected, t.verdict]
        for method, found in zip(report.methods[1:], tests[1:])
        for what, t in found.items()
    ]
    num_tests = sum(not math.isnan(t.corrected) for found in tests for t in found.values())
    columns = [
        Column("method"),
        of,
        Column("difference", "difference", f"In points of {metric}, with its 95 % interval"),
        Column("p", "p_value", "Of this test alone"),
        Column("p corrected", "p_value", f"By Holm's method for {num_tests} tests"),
        Column("verdict", "verdict"),
    ]
    return Table(name, title, columns, rows, note=report.groups_note)


def _mean_rows(
    compared: Compared, means: Sequence[dict[str, SeedMean]], tests: Sequence[dict[str, Contrast]]
) -> list[list[Any]]:
    """The cells of each method: its means, of the first the interval behind it, the others last."""
    rows = []
    for start, of_method, tested in _rows(compared, means, tests):
        first, *others = [mean.interval for mean in of_method.values()]
        cells = [_mean(mean, tested.get(name)) for name, mean in of_method.items()]
        rows.append([*start, cells[0], first, *cells[1:], *others])
    return rows


def _rows(
    compared: Compared, means: Sequence[dict[str, SeedMean]], tests: Sequence[dict[str, Contrast]]
) -> Iterator[tuple[list[str | int], dict[str, SeedMean], dict[str, Contrast]]]:
    """The first cells, the means and the tests of each method."""
    for i, method in enumerate(compared.report.methods):
        label = f"{method.name} (baseline)" if i == 0 else method.name
        yield [label, len(method.runs)], means[i], tests[i]


def forest_plot(compared: Compared) -> Markup:
    """Draw differences from the baseline with their intervals, one panel for each mean."""
    methods = compared.report.methods
    rows = sorted(
        range(1, len(methods)), key=lambda i: -compared.tests[i]["total"].difference.value
    )
    left, height = 150, 44 + 22 * len(rows)
    names = ("total", *compared.report.groups)
    panel = (WIDTH - left) / len(names)
    parts = [
        text(left - 14, 48 + 22 * place, shorten(methods[i].name, 22), "end")
        for place, i in enumerate(rows)
    ]
    for number, name in enumerate(names):
        low, high = _reach([compared.tests[i][name].difference for i in rows])
        x = Scale(low, high, left + number * panel + 10, left + (number + 1) * panel - 10)
        title = "all classes" if name == "total" else name
        parts += [
            text((x.start + x.end) / 2, 12, title, "middle", class_="strong"),
            path(f"M{x(0)} 32V{height}", "zero"),
        ]
        for value in x.ticks(4):
            parts += [
                path(f"M{x(value)} 32V{height}", "grid"),
                text(x(value), 28, _points(value), "middle", class_="small"),
            ]
        parts += [
            _difference(compared.tests[i][name], x, 44 + 22 * place, f"{methods[i].name}, {name}")
            for place, i in enumerate(rows)
        ]
    label = f"Differences in mAP from {methods[0].name}, in points"
    return svg(WIDTH, height + 4, label, *parts, class_="wide")


def _difference(tested: Contrast, x: Scale, y: float, label: str) -> Markup:
    """One point and the line of its interval; nothing where the difference is undefined."""
    d, kind = tested.difference, tested.verdict or "unsure"
    if math.isnan(d.value):
        return Markup("")
    line = (
        Markup("") if math.isnan(d.low) else path(f"M{x(d.low)} {y}H{x(d.high)}", f"whisker {kind}")
    )
    hint = element("title", f"{label}: {format_value(d, 'difference')}")
    return element("g", hint, line, circle(x(d.value), y, f"point {kind}"))


def _reach(differences: Sequence[Difference]) -> tuple[float, float]:
    """From the lowest to the highest bound, with zero and a margin."""
    bounds = [v for d in differences for v in (d.value, d.low, d.high) if not math.isnan(v)]
    low, high = min([*bounds, -0.005]), max([*bounds, 0.005])
    margin = 0.04 * (high - low)
    return low - margin, high + margin


def _points(value: float) -> str:
    return f"{'+' if value > 0 else MINUS if value < 0 else ''}{100 * abs(value):.10g}"


def _mean(mean: SeedMean, tested: Contrast | None) -> Mean:
    return Mean(mean.mean, mean.sd, tested.verdict if tested else None)


def _headline(compared: Compared) -> str:
    """Which methods are better, and which are worse, in mAP over all classes."""
    baseline, *others = compared.report.methods
    verdicts = [tests["total"].verdict for tests in compared.tests[1:]]
    if len(others) == 1:
        name, verdict = others[0].name, verdicts[0]
        if verdict is None:
            return (
                f"In mAP the test finds no certain difference between {name} and {baseline.name}."
            )
        return f"In mAP {name} is {verdict} than {baseline.name}."

    def found(verdict: str) -> str:
        names = [m.name for m, v in zip(others, verdicts) if v == verdict]
        count = "none is" if not names else f"{len(names)} {'is' if len(names) == 1 else 'are'}"
        listed = f" ({', '.join(names)})" if 0 < len(names) <= 6 else ""
        return f"{count} certainly {verdict}{listed}"

    return (
        f"Of {len(others)} methods, {found('better')} than {baseline.name} in mAP over all "
        f"classes, and {found('worse')}."
    )
