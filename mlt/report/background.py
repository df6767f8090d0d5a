"""The lower part of a report: thresholds, training, runs and configurations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mlt.class_groups import GROUPS
from mlt.config.yaml_text import dump_yaml
from mlt.report import charts
from mlt.report.markup import Html, section, tag
from mlt.report.methods import Method, Report, listed
from mlt.report.svg import figure, legend
from mlt.report.tables import Column, Table

__all__ = ["settings_section", "thresholds_section", "training_section"]


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
            key = legend([("total", "total"), *((group, group) for group in GROUPS)])
            name = f" Of the run {runs[0].name}." if len(runs) > 1 else ""
            images = _watched([report.baseline])
            figures.append(
                figure(first, f"mAP on {images} after an epoch.{name}", key, title="mAP")
            )
    else:
        kind = "total" if charts.training_lines(report.baseline.runs, "total") else "loss"
        drawn = []
        for method in report.methods:
            drawing = charts.training_lines(method.runs, kind, small=True)
            if drawing:
                drawn.append(method)
                figures.append(tag("figure", tag("h3", method.name), drawing))
        if figures:
            what = (
                f"Total mAP on {_watched(drawn)} after an epoch" if kind == "total"
                else "Loss; each has its own scale, as different losses cannot be compared"
            )  # fmt: skip
            figures.append(tag("p", f"{what}. A line a run.", class_="caption"))
    if not figures:
        figures.append(tag("p", "The runs have no metrics.jsonl with more than one epoch."))
    grid = "pair" if report.single else "grid"
    return section("training", "Training", tag("div", *figures, class_=grid))


def _watched(methods: Iterable[Method]) -> str:
    """The images that training was watched on."""
    names: dict[bool, list[str]] = {True: [], False: []}
    for method in methods:
        names[method.first.watches_validation].append(method.name)
    if not names[True]:
        return "the test images"
    if not names[False]:
        return "the validation images"
    return f"the validation images ({listed(names[True])}) or test images ({listed(names[False])})"


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
