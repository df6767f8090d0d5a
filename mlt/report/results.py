"""The tables of one method: means, classes, rates, thresholds, runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlt.class_groups import GROUPS
from mlt.metrics import (
    PrecisionRecallF1,
    SeedMean,
    Summary,
    Thresholds,
    aggregate_seeds,
    decide,
    precision_recall_f1,
)
from mlt.metrics.summary import TOP
from mlt.report.cells import Mean
from mlt.report.comparison import MEANS
from mlt.report.methods import Report
from mlt.report.runs import Run
from mlt.report.tables import Column, Table

__all__ = [
    "calibration_table",
    "class_means",
    "class_table",
    "held_out_table",
    "mean_table",
    "rates_table",
    "run_table",
    "threshold_table",
]

_RATES = ("CP", "CR", "CF1", "OP", "OR", "OF1", "macro_f1", "sample_f1")
_RATE_HINTS = {
    "CP": "Precision, mean over classes", "CR": "Recall, mean over classes",
    "CF1": "Harmonic mean of CP and CR", "OP": "Precision over all labels together",
    "OR": "Recall over all labels together", "OF1": "Harmonic mean of OP and OR",
    "macro_f1": "Mean over classes of F1", "sample_f1": "Mean over images of F1",
}  # fmt: skip


def mean_table(report: Report, means: Mapping[str, SeedMean]) -> Table:
    """Total, head, medium and tail of one method."""
    stats, ap = report.stats, report.baseline.ap
    rule = {"total": "all", **stats.limits.describe()}
    members = {"total": np.arange(stats.num_classes), **stats.groups}
    rows = [
        [name, rule[name], len(members[name]), int(np.isfinite(ap[members[name]]).sum()),
         Mean(means[name].mean, means[name].sd), means[name].interval]
        for name in MEANS
    ]  # fmt: skip
    columns = [
        Column("mean over"),
        Column("training images"),
        Column("classes", "count"),
        Column("with test images", "count", "Classes without one are undefined and left out"),
        Column("mAP", "mean", "Mean over the runs, ± standard deviation over several"),
        Column("95 % interval", "interval"),
    ]
    return Table("summary", "Mean average precision in percent", columns, rows)


def class_means(report: Report) -> list[SeedMean]:
    """The average precision of each class of the one method, over its runs."""
    means = aggregate_seeds(report.baseline.predictions, groups=report.single_classes)
    return [means[name] for name in report.single_classes]


def class_table(report: Report, means: Sequence[SeedMean]) -> Table:
    """A line a class, from the most to the least frequent in training."""
    columns = [
        Column("class"),
        Column("group", "group"),
        Column("train", "count", "Training images"),
        Column("test", "count", "Test images"),
        Column("AP", "mean", "Average precision in percent, ± standard deviation over the runs"),
        Column("95 % interval", "interval"),
        Column("lift", "number", "How many times the AP of a random order"),
    ]
    stats, run = report.stats, report.baseline.first
    rows = []
    for c in report.order.tolist():
        of = means[c]
        lift = of.mean / run.prevalence[c] if run.positives[c] else math.nan
        rows.append(
            [stats.names[c], stats.group_of(c), int(stats.counts[c]), int(run.positives[c]),
             Mean(of.mean, of.sd), of.interval, float(lift)]
        )  # fmt: skip
    return Table("classes", "Average precision of each class", columns, rows,
                 links=report.order.tolist())  # fmt: skip


def rates_table(summary: Summary, run: Run) -> Table:
    """Precision, recall and F1 of decisions by fixed rules, and by tuned thresholds if any."""
    more = summary.details
    assert more is not None
    rules = [
        ("probability of 50 % or more", more.rates),
        (f"the {TOP} highest an image", more.top_rates),
    ]
    if run.decision and run.decision.thresholds:
        p = run.predictions
        tuned = precision_recall_f1(p.targets, run.decision.thresholds.decide(p.logits), p.known)
        rules.append(("tuned threshold of each class", tuned))
    return _rates("rates", "Labels given by a rule, in percent", "label given at", rules)


def held_out_table(checks: Mapping[str, Any]) -> Table | None:
    """What `mlt tune` measured of the thresholds on images it had not tuned them on."""
    stored = checks.get("thresholds")
    if not isinstance(stored, Mapping):
        return None
    names = {"fixed": "before: one fixed threshold", "pooled": "one tuned threshold for all",
             "tuned": "a tuned threshold for each class"}  # fmt: skip
    rows = [
        [label, *(_number(stored[key].get(rate)) for rate in _RATES)]
        for key, label in names.items()
        if isinstance(stored.get(key), Mapping)
    ]
    if not rows:
        return None
    title = f"On {stored.get('images', 'other')} images that were not used for tuning, in percent"
    return Table("held-out", title, _rate_columns("rule"), rows)


def calibration_table(checks: Mapping[str, Any]) -> Table | None:
    """What `mlt tune` measured of the calibration on images it had not fitted it on."""
    stored = checks.get("calibration")
    if not isinstance(stored, Mapping):
        return None
    names = {"before": "as the model gives it", "after": "calibrated"}
    rows = [
        [label, *(_number(stored[key].get(part)) for part in ("ece", "class_ece", "brier"))]
        for key, label in names.items()
        if isinstance(stored.get(key), Mapping)
    ]
    columns = [
        Column("probability"),
        Column("calibration error", "percent", "Of all labels together, in bins of equal width"),
        Column("class by class", "percent", "Mean over classes of the same"),
        Column("Brier score", "percent", "Mean squared distance from the truth"),
    ]
    title = f"On {stored.get('images', 'other')} images that were not used for calibration"
    return Table("calibration", f"{title}, in percent", columns, rows) if rows else None


def threshold_table(report: Report, run: Run, thresholds: Thresholds) -> Table:
    """For each class its threshold, and precision, recall and F1 without and with it."""
    p = run.predictions
    known = np.ones(p.targets.shape, bool) if p.known is None else p.known
    before = _class_rates(p.targets & known, decide(p.logits, 0.0) & known)
    after = _class_rates(p.targets & known, thresholds.decide(p.logits) & known)
    columns = [
        Column("class"),
        Column("group", "group"),
        Column("positives", "count", "In the data that the thresholds were tuned on"),
        Column("threshold", "threshold", "The logit at and above which the label is given"),
        *(Column(f"{rate} at 0", "percent") for rate in ("precision", "recall", "F1")),
        *(Column(f"{rate} tuned", "percent") for rate in ("precision", "recall", "F1")),
    ]
    rows = [
        [p.class_names[c], report.stats.group_of(c), thresholds.positives[c],
         thresholds.values[c], *before[:, c].tolist(), *after[:, c].tolist()]
        for c in report.order.tolist()
    ]  # fmt: skip
    return Table("thresholds", "Thresholds, and rates in percent without and with them", columns,
                 rows, links=report.order.tolist())  # fmt: skip


def run_table(report: Report) -> Table:
    """A line a run: where it is, and its mAP."""
    groups = {"total": np.arange(report.stats.num_classes), **report.stats.groups}
    rows = []
    for method in report.methods:
        for run in method.runs:
            values = [run.ap[groups[name]] for name in MEANS]
            rows.append(
                [method.name, str(run.path), run.seed, len(run.history) or None,
                 *(float(np.nanmean(v)) if np.isfinite(v).any() else math.nan for v in values)]
            )  # fmt: skip
    columns = [
        Column("method"),
        Column("folder"),
        Column("seed", "text"),
        Column("epochs", "count"),
        Column("mAP", "percent"),
        *(Column(group, "percent") for group in GROUPS),
    ]
    return Table("runs", "Every run, mAP in percent", columns, rows, note=report.groups_note)


def _rates(name: str, title: str, first: str, rules: list[tuple[str, PrecisionRecallF1]]) -> Table:
    rows = [[label, *(_number(rates.to_json()[rate]) for rate in _RATES)] for label, rates in rules]
    return Table(name, title, _rate_columns(first), rows)


def _rate_columns(first: str) -> list[Column]:
    titles = {"macro_f1": "macro F1", "sample_f1": "image F1"}
    return [
        Column(first),
        *(Column(titles.get(rate, rate), "percent", _RATE_HINTS[rate]) for rate in _RATES),
    ]


def _class_rates(truth: ArrayLike, given: ArrayLike) -> NDArray[np.float64]:
    """(3, C) precision, recall and F1 of each class, NaN where undefined."""
    truth, given = np.asarray(truth), np.asarray(given)
    right, positive, chosen = (a.sum(axis=0) for a in (truth & given, truth, given))
    with np.errstate(invalid="ignore", divide="ignore"):
        rates = np.stack([right / chosen, right / positive, 2 * right / (positive + chosen)])
    rates[:, positive == 0] = np.nan
    return rates


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
