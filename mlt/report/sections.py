"""The parts of a report, each a heading, a few words and its figures or tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from mlt.config.yaml_text import dump_yaml
from mlt.data.stats import GROUPS
from mlt.metrics import SeedMean, Summary
from mlt.report import charts
from mlt.report.comparison import LEVEL, MEANS, Compared
from mlt.report.confusion import confusion, pair_table
from mlt.report.curves import SQUARE
from mlt.report.load import Report
from mlt.report.markup import Html, tag
from mlt.report.svg import figure, legend, svg
from mlt.report.tables import Column, Table, shown

__all__ = [
    "classes_section",
    "compared_classes_section",
    "comparison_section",
    "confusion_section",
    "one_class_section",
    "settings_section",
    "summary_section",
    "thresholds_section",
    "training_section",
]

MATRIX = 40
"""Classes of the matrices of pairs, at most."""

GROUP_LEGEND = [(group, group) for group in GROUPS]

CORRECTED = (
    "An interval can lie below its value: the average precision of few positives is too high on "
    "average, and the interval, unlike the value, is corrected for that."
)


def section(name: str, title: str, *parts: Html) -> Html:
    """A part of the page that the navigation leads to."""
    return tag("section", tag("h2", title), *parts, id=name)


def paragraph(*parts: str) -> Html:
    """A few words."""
    return tag("p", *parts)


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
    runs = len(report.baseline.runs)
    over = (
        f"Mean over {runs} runs that differ in their seed, ± their standard deviation; the "
        f"interval is for other seeds and other test images."
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
        _undefined(summary),
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
        means.to_html(filters=True),
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
        legend(GROUP_LEGEND),
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
    table = pair_table(found, report.stats.class_names)
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


def thresholds_section(tables: Sequence[Table], goal: str) -> Html:
    """What tuned thresholds change."""
    *held_out, by_class = tables
    return section(
        "thresholds",
        "Thresholds",
        tag("p", f"Tuned for {goal}. The rates of the classes are measured on this report's test "
            f"images: if the thresholds were tuned on them too, the tuned side is too good.",
            class_="caption"),
        *(table.to_html() for table in held_out),
        by_class.to_html(filters=True),
    )  # fmt: skip


def training_section(report: Report) -> Html:
    """How training went."""
    figures = []
    if report.single:
        runs = report.baseline.runs
        loss = charts.training_lines(runs, "loss")
        first = charts.training_lines(runs[:1], "mAP")
        several = f" A line for each of {len(runs)} runs." if len(runs) > 1 else ""
        if loss:
            figures.append(figure(loss, f"Mean loss of each epoch.{several}", title="Loss"))
        if first:
            key = legend([("total", "total"), *GROUP_LEGEND])
            name = f" Of the run {runs[0].name}." if len(runs) > 1 else ""
            figures.append(
                figure(first, f"mAP on the test images after an epoch.{name}", key, title="mAP")
            )
    else:
        kind = "total" if charts.training_lines(report.baseline.runs, "total") else "loss"
        for method in report.methods:
            drawing = charts.training_lines(method.runs, kind, small=True)
            if drawing:
                figures.append(tag("figure", tag("h3", method.name), drawing))
        if figures:
            what = (
                "Total mAP on the test images" if kind == "total"
                else "Loss; each has its own scale, as different losses cannot be compared"
            )  # fmt: skip
            figures.append(tag("p", f"{what}. A line a run.", class_="caption"))
    if not figures:
        figures.append(paragraph("The runs have no metrics.jsonl with more than one epoch."))
    grid = "pair" if report.single else "grid"
    return section("training", "Training", tag("div", *figures, class_=grid))


def settings_section(report: Report, runs: Table) -> tuple[Html, Table | None]:
    """Where the runs are, and what they were configured to do."""
    parts = [runs.to_html()]
    table = None
    if not report.single:
        table = _settings_table(report)
        parts += [table.to_html()] if table.rows else []
    config = report.baseline.first.config
    if config:
        name = "Configuration" if report.single else f"Configuration of {report.baseline.name}"
        parts.append(tag("details", tag("summary", name), tag("pre", dump_yaml(config))))
    return section("runs", "Runs and configuration", *parts), table


def _settings_table(report: Report) -> Table:
    """The keys in which the methods differ."""
    flat = [_flat(method.first.settings) for method in report.methods]
    keys = [
        key for key in dict.fromkeys(k for values in flat for k in values)
        if len({values.get(key) for values in flat}) > 1
    ]  # fmt: skip
    rows = [
        [method.name, *(values.get(key) for key in keys)]
        for method, values in zip(report.methods, flat)
    ]
    columns = [Column("method"), *(Column(key) for key in keys)]
    return Table("settings", "What the configurations differ in", columns, rows if keys else [])


def _flat(values: Mapping[str, object], prefix: str = "") -> dict[str, str]:
    result: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            result |= _flat(value, f"{prefix}{key}.")
        else:
            result[f"{prefix}{key}"] = "none" if value is None else str(value)
    return result


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


def _undefined(summary: Summary) -> Html:
    if not summary.undefined:
        return Html("")
    return tag("p", "Without a test image, so undefined and in no mean: ",
               ", ".join(summary.undefined), class_="note")  # fmt: skip


def _order(summary: Summary) -> Html:
    more = summary.details
    if more is None:
        return Html("")
    facts = {
        "micro AP": f"{shown(more.micro_ap, 'percent')} %",
        "ranking loss": f"{shown(more.order.ranking_loss, 'percent')} %",
        "one-error": f"{shown(more.order.one_error, 'percent')} %",
        "coverage": f"{more.order.coverage:.2f} labels",
    }
    items = [tag("div", tag("dt", name), tag("dd", value)) for name, value in facts.items()]
    return tag("dl", *items, class_="facts")


def _line(what: str, kind: str) -> Html:
    return tag("path", class_=f"line {kind}", data_curve=f"{what}-{kind}")


def _dots(what: str, kind: str) -> Html:
    return tag("path", class_=f"dots {kind}", data_dots=f"{what}-{kind}")
