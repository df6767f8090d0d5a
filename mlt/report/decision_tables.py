"""Tables of decisions: rates by a rule, tuned thresholds per class, held-out checks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlt.metrics import Summary, Thresholds, decide, precision_recall_f1
from mlt.metrics.precision_recall import TOP
from mlt.report.methods import Report
from mlt.report.runs import Run
from mlt.report.tables import Column, Table

__all__ = ["calibration_table", "held_out_table", "rates_table", "threshold_table"]

_RATES = {
    "CP": Column("CP", "percent", "Precision, mean over classes"),
    "CR": Column("CR", "percent", "Recall, mean over classes"),
    "CF1": Column("CF1", "percent", "Harmonic mean of CP and CR"),
    "OP": Column("OP", "percent", "Precision over all labels together"),
    "OR": Column("OR", "percent", "Recall over all labels together"),
    "OF1": Column("OF1", "percent", "Harmonic mean of OP and OR"),
    "macro_f1": Column("macro F1", "percent", "Mean over classes of F1"),
    "sample_f1": Column("image F1", "percent", "Mean over images of F1"),
}


def rates_table(summary: Summary, run: Run) -> Table:
    """Return precision, recall and F1 of fixed rules, and of tuned thresholds if there are any."""
    details = summary.details
    assert details is not None
    rules = {
        "probability of 50 % or more"
        if details.threshold is not None
        else "the most probable class": details.rates,
        f"the {TOP} highest per image": details.top_rates,
    }
    if run.decision and run.decision.thresholds:
        p = run.predictions
        tuned = run.decision.thresholds.decide(p.logits)
        rules["tuned threshold of each class"] = precision_recall_f1(p.targets, tuned, p.known)
    rows = [[rule, *_rate_values(rates.to_json())] for rule, rates in rules.items()]
    columns = [Column("label given at"), *_RATES.values()]
    return Table("rates", "Labels given by a rule, in percent", columns, rows)


def held_out_table(checks: Mapping[str, Any]) -> Table | None:
    """Return what `mlt tune` measured of the thresholds on images it had not tuned them on."""
    rules = {"fixed": "before: one fixed threshold", "pooled": "one tuned threshold for all",
             "tuned": "a tuned threshold for each class"}  # fmt: skip
    images, measured = _check(checks, "thresholds", rules)
    if not measured:
        return None
    rows = [[rule, *_rate_values(rates)] for rule, rates in measured.items()]
    title = f"On {images} images that were not used for tuning, in percent"
    return Table("held-out", title, [Column("rule"), *_RATES.values()], rows)


def calibration_table(checks: Mapping[str, Any]) -> Table | None:
    """Return what `mlt tune` measured of the calibration on images it had not fitted it on."""
    names = {"before": "as the model gives it", "after": "calibrated"}
    images, measured = _check(checks, "calibration", names)
    if not measured:
        return None
    rows = [
        [name, *(_number(errors.get(key)) for key in ("ece", "class_ece", "brier"))]
        for name, errors in measured.items()
    ]
    columns = [
        Column("probability"),
        Column("calibration error", "percent", "Of all labels together, in bins of equal width"),
        Column("class by class", "percent", "Mean over classes of the same"),
        Column("Brier score", "percent", "Mean squared distance from the truth"),
    ]
    title = f"On {images} images that were not used for calibration, in percent"
    return Table("calibration", title, columns, rows)


def threshold_table(report: Report, run: Run, thresholds: Thresholds) -> Table:
    """Return for each class its threshold, and the rates in percent without and with it."""
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
        [p.class_names[c], report.class_counts.group_of(c), thresholds.positives[c],
         thresholds.values[c], *before[:, c].tolist(), *after[:, c].tolist()]
        for c in report.order.tolist()
    ]  # fmt: skip
    title = "Thresholds, and rates in percent without and with them"
    return Table("thresholds", title, columns, rows, links=report.order.tolist())


def _check(
    checks: Mapping[str, Any], key: str, names: Mapping[str, str]
) -> tuple[str, dict[str, Mapping[str, Any]]]:
    """How many images a check is of, and what it measured, by the names of what it compares."""
    stored = checks.get(key)
    if not isinstance(stored, Mapping):
        return "", {}
    found = {name: stored.get(part) for part, name in names.items()}
    measured = {name: values for name, values in found.items() if isinstance(values, Mapping)}
    return str(stored.get("images", "other")), measured


def _rate_values(rates: Mapping[str, Any]) -> list[float]:
    return [_number(rates.get(rate)) for rate in _RATES]


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
