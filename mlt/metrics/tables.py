"""The tables that the command line prints after an evaluation."""

from __future__ import annotations

import math

import numpy as np

from mlt.class_groups import GROUPS
from mlt.metrics.confidence.interval import Interval
from mlt.metrics.decision import Decision, TunedDecision
from mlt.metrics.precision_recall import PrecisionRecallF1
from mlt.metrics.summary import TOP, Summary

__all__ = ["class_table", "decision_table", "rates_table", "result_table", "tuned_table"]

_RATES = ("CP", "CR", "CF1", "OP", "OR", "OF1")


def result_table(summary: Summary, part: str = "test") -> str:
    """Total, head, medium and tail mAP in percent, with the classes and limits they stand for.

    Args:
        summary: The evaluation.
        part: What the images are, to be named: test, validation.

    Returns:
        A few lines of text without a trailing newline.
    """
    rule = summary.limits.describe()
    rows = [("total", "all", len(summary.per_class), summary.total)]
    for group in GROUPS:
        size = sum(c.group == group for c in summary.per_class)
        rows.append((group, rule[group], size, getattr(summary, group)))
    heading = f"{'':6}  {'training images':22}{'classes':>7}{'mAP':>8}"
    lines = [f"{n:6}  {images:22}{size:>7}{_percent(m):>8}" for n, images, size, m in rows]
    note = f"mAP in percent over {summary.num_images} {part} images"
    if summary.details is not None:
        of = summary.details.intervals
        heading += f"{'interval':>17}"
        lines = [
            f"{line}{_interval(of.means[row[0]]):>17}"
            for line, row in zip(lines, rows, strict=True)
        ]
        note += f"; {100 * of.level:g} % intervals, the upward bias of rare classes removed"
    if summary.undefined:
        lines.append(
            f"without a test image, so undefined and in no mean: {', '.join(summary.undefined)}"
        )
    return "\n".join([heading, *lines, note])


def rates_table(summary: Summary) -> str:
    """Precision, recall and F1 of the decisions, micro AP and the order of labels.

    Args:
        summary: The evaluation; with details.

    Returns:
        A few lines of text without a trailing newline; empty without details.
    """
    more = summary.details
    if more is None:
        return ""
    at = more.threshold if isinstance(more.threshold, (int, float)) else None
    rule = "at each class's threshold" if at is None else f"at logit {at:g}"
    lines = [_rates_heading("labels given")]
    lines.append(_rates_line(rule, more.rates))
    lines.append(_rates_line(f"the {TOP} highest an image", more.top_rates))
    lines.append(_by_image(more.rates, rule))
    lines.append(
        f"micro AP {_percent(more.micro_ap)}, ranking loss {_percent(more.ranking.ranking_loss)}, "
        f"one-error {_percent(more.ranking.one_error)}, coverage {more.ranking.coverage:.2f} labels"
    )
    if more.rates.never_predicted:
        lines.append(f"classes that are never given {rule}: {more.rates.never_predicted}")
    return "\n".join(lines)


def class_table(summary: Summary) -> str:
    """Average precision of every class in percent, most frequent class first.

    Lift is how many times the average precision of a random order that is.

    Args:
        summary: The evaluation.

    Returns:
        One line a class under a heading, without a trailing newline.
    """
    width = max(5, *(len(c.name) for c in summary.per_class))
    with_intervals = summary.details is not None
    heading = f"{'class':{width}}  group     train    test      AP    lift"
    lines = [heading + (f"{'interval':>17}" if with_intervals else "")]
    lines += [
        f"{c.name:{width}}  {c.group:7} {c.n_train:>7} {c.n_test:>7} {_percent(c.ap):>7} "
        f"{_times(c.lift):>7}" + (f"{_interval(c.interval):>17}" if with_intervals else "")
        for c in sorted(summary.per_class, key=lambda c: -c.n_train)
    ]
    return "\n".join(lines)


def tuned_table(tuned: TunedDecision) -> str:
    """What tuned thresholds and a calibration give on images that they were not tuned on.

    Args:
        tuned: What was found, and how it was checked.

    Returns:
        A few lines of text without a trailing newline.
    """
    rates, check = tuned.rates, tuned.reliability
    lines = [_rates_heading("labels given")]
    for label, of in (
        ("at a probability of one half", rates.fixed),
        ("at one threshold for all", rates.pooled),
        ("at a threshold for each", rates.tuned),
    ):
        lines.append(_rates_line(label, of))
    lines.append("")
    lines.append(f"{'probabilities':30}{'ECE':>8}{'class ECE':>11}{'log loss':>10}{'Brier':>8}")
    for label, was in (("as they were", check.before), ("calibrated", check.after)):
        lines.append(
            f"{label:30}{_percent(was.ece):>8}{_percent(was.class_ece):>11}"
            f"{was.log_loss:>10.4f}{was.brier:>8.4f}"
        )
    lines.append(
        f"rates and ECE in percent over {rates.images} images, each half decided by what was tuned "
        "on the other"
    )
    return "\n".join(lines)


def decision_table(decision: Decision) -> str:
    """The threshold of every class, rarest last, as a logit and as a calibrated probability.

    Args:
        decision: Calibration and thresholds.

    Returns:
        One line a class under a heading, without a trailing newline.
    """
    names = decision.calibration.class_names
    limits = np.array(decision.limits)
    finite = np.where(np.isfinite(limits), limits, 0.0)
    shares = decision.probabilities(finite[None])[0]
    tuned = decision.thresholds
    positives = (0,) * len(names) if tuned is None else tuned.positives
    width = max(5, *(len(name) for name in names))
    lines = [f"{'class':{width}}  positives  logit  probability"]
    for c in sorted(range(len(names)), key=lambda c: -positives[c]):
        at = f"{limits[c]:>7.2f}{_percent(shares[c]):>13}" if np.isfinite(limits[c]) else "  never"
        lines.append(f"{names[c]:{width}}{positives[c]:>11}{at}")
    return "\n".join(lines)


def _rates_heading(title: str) -> str:
    return f"{title:30}" + "".join(f"{name:>8}" for name in _RATES)


def _rates_line(label: str, rates: PrecisionRecallF1) -> str:
    values = (rates.cp, rates.cr, rates.cf1, rates.op, rates.or_, rates.of1)
    return f"{label:30}" + "".join(f"{_percent(value):>8}" for value in values)


def _by_image(rates: PrecisionRecallF1, label: str) -> str:
    return (
        f"mean over images {label}: precision {_percent(rates.sample_precision)}, "
        f"recall {_percent(rates.sample_recall)}, F1 {_percent(rates.sample_f1)}"
    )


def _interval(interval: Interval) -> str:
    if not interval.defined:
        return "-"
    return f"{_percent(interval.low)} to {_percent(interval.high)}"


def _times(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1f}"


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.2f}"
