"""The result of one method: mAP and AUROC over all, head, medium and tail classes, and rates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from mlt.class_groups import SEEN, seen_and_unseen
from mlt.metrics import Interval, SeedMean, Summary, aggregate_seeds, summarize
from mlt.report.decision_tables import rates_table
from mlt.report.format import CORRECTED, Mean, format_value
from mlt.report.methods import Report
from mlt.report.one_label import one_label_means
from mlt.report.render import Section
from mlt.report.svg import Scale, circle, path, svg
from mlt.report.tables import Column, Table

__all__ = ["summary_section"]


@dataclass(frozen=True)
class GroupMean:
    """The mAP over some classes.

    Attributes:
        name: "total", "head", "medium" or "tail".
        rule: The training images of its classes, in words.
        num_classes: How many classes it has.
        num_tested: How many of them have a test image; the others are undefined.
        result: Mean, standard deviation and interval of the average precision.
        auroc: The same of the AUROC.
    """

    name: str
    rule: str
    num_classes: int
    num_tested: int
    result: SeedMean
    auroc: SeedMean

    @property
    def spread(self) -> str:
        """What is said of the standard deviation; nothing of one run."""
        sd = self.result.sd
        return "" if math.isnan(sd) else f" ± {format_value(sd, 'percent')}"

    @property
    def bar(self) -> Markup:
        """The mean and its interval on a line from 0 to 100 %."""
        return interval_bar(self.result.mean, self.result.interval, self.name)


def summary_section(report: Report) -> Section:
    """Gather the result of the only method."""
    first = report.baseline.first
    summary = summarize(first.predictions, limits=first.limits)
    means = _group_means(report)
    areas = {"AUROC" if m.name == "total" else f"AUROC, {m.name}": m.auroc for m in means}
    one_label = {}
    if first.predictions.one_label:
        one_label = one_label_means(report.baseline.predictions, report.groups)
    return Section(
        "summary",
        {
            "table": summary_table(means),  # among the written tables; the page shows tiles
            "means": means,
            "num_runs": len(report.baseline.runs),
            "first_run": first.name,
            "units": _units(summary),
            "untested": report.untested,
            "rates": rates_table(summary, first),
            "facts": _mean_facts(one_label | areas) | _ranking_facts(summary),
        },
    )


def _units(summary: Summary) -> str:
    """What the test images are, in words: independent, or several of one patient."""
    if summary.num_groups is None:
        return "test images"
    return (
        f"test images, of other groups (patients or the like) than the {summary.num_groups} that "
        f"these {summary.num_images} belong to"
    )


def summary_table(means: Sequence[GroupMean]) -> Table:
    """Return total, head, medium and tail of one method."""
    rows = [
        [mean.name, mean.rule, mean.num_classes, mean.num_tested,
         Mean(mean.result.mean, mean.result.sd), mean.result.interval.centre, mean.result.interval,
         Mean(mean.auroc.mean, mean.auroc.sd), mean.auroc.interval]
        for mean in means
    ]  # fmt: skip
    columns = [
        Column("mean over"),
        Column("training images"),
        Column("classes", "count"),
        Column("with test images", "count", "Classes without one are undefined and left out"),
        Column("mAP", "mean", "Mean over the runs, ± standard deviation over several"),
        Column("corrected", "percent", CORRECTED),
        Column("95 % interval", "interval"),
        Column("AUROC", "mean", "Mean over the classes of the area under the ROC curve"),
        Column("AUROC interval", "interval"),
    ]
    return Table("summary", "Mean average precision and AUROC in percent", columns, rows)


def interval_bar(value: float, interval: Interval, kind: str) -> Markup:
    """Draw a value and its interval on a line from 0 to 100 %."""
    x = Scale(0, 1, 4, 196)
    parts = [path("M4 8H196", "track")]
    if interval.defined:
        parts.append(path(f"M{x(interval.low)} 8H{x(interval.high)}", f"band {kind}"))
    if not math.isnan(value):
        parts.append(circle(x(value), 8, f"point {kind}"))
    return svg(200, 16, f"{format_value(value, 'percent')} on a line from 0 to 100", *parts)


def _group_means(report: Report) -> list[GroupMean]:
    classes, ap = report.class_counts, report.baseline.ap
    rules = {"total": "all", **classes.limits.describe(), **SEEN}
    groups = {**classes.groups, **seen_and_unseen(classes.counts)}
    members = {"total": np.arange(classes.num_classes), **groups}
    runs = report.baseline.predictions
    results = aggregate_seeds(runs, groups=groups)
    areas = aggregate_seeds(runs, groups=groups, metric="AUROC")
    return [
        GroupMean(
            name=name,
            rule=rules[name],
            num_classes=len(members[name]),
            num_tested=int(np.isfinite(ap[members[name]]).sum()),
            result=results[name],
            auroc=areas[name],
        )
        for name in members
    ]


def _mean_facts(means: Mapping[str, SeedMean]) -> dict[str, str]:
    """Each mean, with its spread over several runs and its interval."""
    return {
        name: f"{format_value(Mean(of.mean, of.sd), 'mean')} % "
        f"({format_value(of.interval, 'interval')})"
        for name, of in means.items()
    }


def _ranking_facts(summary: Summary) -> dict[str, str]:
    """What else is said of the ranking of labels, by name."""
    details = summary.details
    assert details is not None
    return {
        "micro AP": f"{format_value(details.micro_ap, 'percent')} %",
        "LRAP": f"{format_value(details.ranking.lrap, 'percent')} %",
        "ranking loss": f"{format_value(details.ranking.ranking_loss, 'percent')} %",
        "one-error": f"{format_value(details.ranking.one_error, 'percent')} %",
        "coverage": f"{details.ranking.coverage:.2f} labels",
    }
