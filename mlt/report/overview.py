"""The upper part of a report: a method's result, or a comparison, and its classes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from mlt.class_groups import GROUPS
from mlt.metrics import SeedMean, Summary
from mlt.report import charts
from mlt.report.cells import shown
from mlt.report.comparison import LEVEL, MEANS, Compared
from mlt.report.markup import Html, section, tag
from mlt.report.methods import Report
from mlt.report.svg import figure, legend
from mlt.report.tables import Table

__all__ = [
    "classes_section",
    "compared_classes_section",
    "comparison_section",
    "summary_section",
]

CORRECTED = (
    "An interval can lie below its value: the average precision of few positives is too high on "
    "average, and the interval, unlike the value, is corrected for that."
)


def summary_section(
    report: Report, means: Mapping[str, SeedMean], summary: Summary, rates: Table
) -> Html:
    """The mAP of one method, large, with everything else below."""
    tiles = []
    stats = report.stats
    sizes = {"total": stats.num_classes, **{g: len(m) for g, m in stats.groups.items()}}
    for name in MEANS:
        mean = means[name]
        spread = "" if math.isnan(mean.sd) else f" ± {shown(mean.sd, 'percent')}"
        rule = {"total": "all of them", **stats.limits.describe()}[name]
        heading = "mAP" if name == "total" else name
        tiles.append(
            tag(
                "div",
                tag(
                    "dt", heading, tag("span", f"{_count(sizes[name], 'class', 'classes')}: {rule}")
                ),
                tag("dd", tag("strong", shown(mean.mean, "percent")), tag("span", spread)),
                tag("dd", charts.interval_bar(mean.mean, mean.interval, name)),
                tag("dd", shown(mean.interval, "interval"), class_="interval"),
                class_=f"tile {name}",
            )
        )
    runs, first = len(report.baseline.runs), report.baseline.first
    over = (
        f"Mean over {runs} runs that differ in their seed, ± their standard deviation; the "
        f"interval is for other seeds and other test images. The rates below are of the run "
        f"{first.name}."
        if runs > 1
        else "One run: the interval is for other test images. Another seed may give another "
        "result; several runs of one configuration, given together, show by how much."
    )
    return section(
        "summary",
        "Summary",
        tag("dl", *tiles, class_="tiles"),
        tag("p", f"Mean average precision in percent with its 95 % interval. {over} {CORRECTED}",
            class_="caption"),
        _undefined(report),
        rates.to_html(),
        _order(summary),
    )  # fmt: skip


def comparison_section(compared: Compared, tables: Sequence[Table]) -> Html:
    """Several methods against the first."""
    report = compared.report
    drawing = figure(
        charts.forest(compared),
        f"The point is the difference in mAP, the line its 95 % interval, right of zero is better "
        f"than {report.baseline.name}. Coloured where the corrected test is certain, grey where "
        f"it is not.",
        legend([("better", "better"), ("worse", "worse"), ("unsure", "not certain")]),
        wide=True,
        title=f"Differences from {report.baseline.name}, in points",
    )
    means, differences = tables
    alone = any(len(m.runs) == 1 for m in report.methods)
    return section(
        "comparison",
        "Comparison",
        tag("p", _headline(compared), class_="lead"),
        means.to_html(filters=len(means.rows) > 8),
        _undefined(report),
        tag("p", f"▲ better and ▼ worse than the baseline {report.baseline.name}, marked only "
            f"where the test allows it: paired on the test images, corrected by Holm's method for "
            f"all {compared.num_tests} tests of this table, below {LEVEL:g}. Two methods that are "
            f"both better than the baseline need not differ from each other. {CORRECTED}",
            class_="caption"),
        tag("p", "A method with one run has no spread over seeds: its test is about this model, "
            "not about the method trained again.", class_="caption") if alone else Html(""),
        drawing,
        tag("details", tag("summary", "All differences and p-values"),
            differences.to_html(filters=True)),
    )  # fmt: skip


def classes_section(report: Report, means: Sequence[SeedMean], table: Table) -> Html:
    """Average precision class by class."""
    run = report.baseline.first
    drawing = figure(
        charts.class_bars(report.stats, means, run.positives, run.prevalence),
        "Bars are average precision, lines through them the 95 % interval, the short dark line on "
        "each the average precision of a random order. Below: training images.",
        legend([(group, group) for group in GROUPS]),
        wide=True,
        title="From the most to the least frequent class",
    )
    return section("classes", "Classes", drawing, table.to_html(filters=True))


def compared_classes_section(compared: Compared, table: Table) -> Html:
    """Average precision class by class and method by method."""
    words = (
        f"The mean over the runs of each method. ▲ and ▼ mark where a method differs from "
        f"{compared.report.baseline.name}, corrected for all {compared.num_class_tests} tests of "
        f"this table; with so many tests and few positives a class, few can be certain."
    )
    return section("classes", "Classes", tag("p", words, class_="caption"),
                   table.to_html(filters=True))  # fmt: skip


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


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


def _undefined(report: Report) -> Html:
    positives = report.baseline.first.positives
    names = [name for name, n in zip(report.stats.names, positives) if n == 0]
    if not names:
        return Html("")
    return tag("p", "Without a test image, so undefined and in no mean: ", ", ".join(names),
               class_="note")  # fmt: skip


def _order(summary: Summary) -> Html:
    more = summary.details
    if more is None:
        return Html("")
    facts = {
        "micro AP": f"{shown(more.micro_ap, 'percent')} %",
        "ranking loss": f"{shown(more.ranking.ranking_loss, 'percent')} %",
        "one-error": f"{shown(more.ranking.one_error, 'percent')} %",
        "coverage": f"{more.ranking.coverage:.2f} labels",
    }
    items = [tag("div", tag("dt", name), tag("dd", value)) for name, value in facts.items()]
    return tag("dl", *items, class_="facts")
