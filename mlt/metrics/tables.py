"""The tables that the command line prints after an evaluation."""

from __future__ import annotations

import math

import numpy as np

from mlt.metrics.decision import Decision
from mlt.metrics.precision_recall import TOP, PrecisionRecallF1
from mlt.metrics.summary import Summary
from mlt.metrics.text import bounds, percent
from mlt.metrics.tuning import TunedDecision

__all__ = ["class_table", "decision_table", "rates_table", "result_table", "tuned_table"]

_RATES = ("CP", "CR", "CF1", "OP", "OR", "OF1")


def result_table(summary: Summary, part: str = "test", *, auroc: bool = False) -> str:
    """Total, head, medium and tail mAP in percent: what ``print(summary)`` shows.

    Args:
        summary: The evaluation.
        part: What the images are, to be named: test, validation.
        auroc: Whether to show AUROC of every row, in columns of its own, instead of a line on the
            total; both with details.

    Returns:
        A few lines of text without a trailing newline.

    Example:
        >>> from mlt.metrics import summarize
        >>> summary = summarize([[2.0], [1.0]], [[1], [0]], details=False)
        >>> print(result_table(summary, part="validation"))
                training images       classes     mAP
        total   all                         1  100.00
        without training counts, so no head, medium and tail
        mAP in percent over 2 validation images
    """
    return summary.table(part, auroc=auroc)


def rates_table(summary: Summary) -> str:
    """Precision, recall and F1 of the decisions, micro AP and the order of labels.

    Args:
        summary: The evaluation; with details.

    Returns:
        A few lines of text without a trailing newline; empty without details.

    Example:
        >>> from mlt.metrics import summarize
        >>> summary = summarize([[2.0, -1.0], [1.0, 1.5]], [[1, 0], [0, 1]])
        >>> print(*rates_table(summary).splitlines()[:2], sep="\\n")
        labels given                        CP      CR     CF1      OP      OR     OF1
        at logit 0                       75.00  100.00   85.71   66.67  100.00   80.00
    """
    more = summary.details
    if more is None:
        return ""
    rule = _rule(more.threshold)
    lines = [_rates_heading("labels given")]
    lines.append(_rates_line(rule, more.rates))
    lines.append(_rates_line(f"the {TOP} highest an image", more.top_rates))
    lines.append(_by_image(more.rates, rule))
    lines.append(
        f"micro AP {percent(more.micro_ap)}, ranking loss {percent(more.ranking.ranking_loss)}, "
        f"one-error {percent(more.ranking.one_error)}, LRAP {percent(more.ranking.lrap)}, "
        f"coverage {more.ranking.coverage:.2f} labels"
    )
    if more.f_beta is not None:
        of = more.f_beta
        lines.append(
            f"F{of.beta:g} {rule}: mean over classes {percent(of.macro)}, over images "
            f"{percent(of.samples)}, over all labels {percent(of.micro)}"
        )
    if more.rates.never_predicted:
        lines.append(f"classes that are never given {rule}: {more.rates.never_predicted}")
    return "\n".join(lines)


def _rule(threshold: float | tuple[float, ...] | None) -> str:
    """By what rule labels are given, in words."""
    if threshold is None:
        return "the most probable class"
    return (
        "at each class's threshold" if isinstance(threshold, tuple) else f"at logit {threshold:g}"
    )


def class_table(summary: Summary, *, auroc: bool = False) -> str:
    """Average precision of every class in percent, most frequent class first.

    Lift is how many times the average precision of a random order that is. The interval is around
    the corrected average precision, without its upward bias.

    Args:
        summary: The evaluation.
        auroc: Whether to show AUROC and its intervals too; with details.

    Returns:
        One line per class under a heading, without a trailing newline.

    Example:
        >>> from mlt.metrics import summarize
        >>> names, counts = ["cat", "yeti"], [150, 9]
        >>> arrays = [[2.0, -1.0], [1.0, 1.5]], [[1, 0], [0, 1]]
        >>> summary = summarize(*arrays, class_names=names, class_counts=counts, details=False)
        >>> print(class_table(summary))
        class  group     train    test      AP    lift
        cat    head        150       1  100.00     2.0
        yeti   tail          9       1  100.00     2.0
    """
    width = max(5, *(len(c.name) for c in summary.per_class))
    with_intervals = summary.details is not None
    heading = f"{'class':{width}}  group     train    test      AP    lift"
    if with_intervals:
        heading += f"{'corrected':>11}{'interval':>17}"
    if with_intervals and auroc:
        heading += f"{'AUROC':>8}{'interval':>17}"
    lines = [heading]
    for c in sorted(summary.per_class, key=lambda c: -(c.n_train or 0)):
        line = (
            f"{c.name:{width}}  {c.group or '-':7} {_count(c.n_train):>7} {c.n_test:>7} "
            f"{percent(c.ap):>7} {_times(c.lift):>7}"
        )
        if with_intervals:
            line += f"{percent(c.corrected_ap):>11}{bounds(c.interval):>17}"
        if with_intervals and auroc:
            line += f"{percent(c.auroc):>8}{bounds(c.auroc_interval):>17}"
        lines.append(line)
    return "\n".join(lines)


def tuned_table(tuned: TunedDecision) -> str:
    """What tuned thresholds and a calibration do on images that they were not tuned on.

    Args:
        tuned: What was found, and how it was checked.

    Returns:
        A few lines of text without a trailing newline.

    Example:
        >>> from mlt.metrics import Predictions, tune_decision
        >>> targets = np.arange(60)[:, None] % 3 == 0
        >>> logits = np.sin(np.arange(60.0))[:, None] + targets
        >>> tuned = tune_decision(Predictions.from_arrays(logits, targets))
        >>> [line.split("  ")[0] for line in tuned_table(tuned).splitlines()[1:4]]
        ['at a probability of one half', 'at one threshold for all', 'at a threshold for each']
    """
    rates, check = tuned.rates, tuned.reliability
    lines = []
    if rates is not None:
        lines.append(_rates_heading("labels given"))
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
            f"{label:30}{percent(was.ece):>8}{percent(was.class_ece):>11}"
            f"{was.log_loss:>10.4f}{was.brier:>8.4f}"
        )
    lines.append(
        f"rates and ECE in percent over {check.images} images, each half decided by what was tuned "
        "on the other"
    )
    if check.after.log_loss > check.before.log_loss:
        lines.append(
            "the calibration makes the log loss worse: on so few images, --calibration temperature "
            "or none may suit better"
        )
    return "\n".join(lines)


def decision_table(decision: Decision) -> str:
    """The threshold of every class, rarest last, as a logit and as a calibrated probability.

    Args:
        decision: Calibration and thresholds.

    Returns:
        One line per class under a heading, without a trailing newline; of a softmax a sentence.

    Example:
        >>> print(decision_table(Decision.plain(["cat", "yeti"])))
        class  positives  logit  probability
        cat            0   0.00        50.00
        yeti           0   0.00        50.00
    """
    names = decision.calibration.class_names
    if decision.gives_one_label:
        return (
            "each image is given its most probable class; the logits are multiplied by "
            f"{decision.calibration.slopes[0]:.3g} before the softmax"
        )
    limits = np.array(decision.limits)
    finite = np.where(np.isfinite(limits), limits, 0.0)
    shares = decision.probabilities(finite[None])[0]
    tuned = decision.thresholds
    positives = (0,) * len(names) if tuned is None else tuned.positives
    width = max(5, *(len(name) for name in names))
    lines = [f"{'class':{width}}  positives  logit  probability"]
    for c in sorted(range(len(names)), key=lambda c: -positives[c]):
        at = f"{limits[c]:>7.2f}{percent(shares[c]):>13}" if np.isfinite(limits[c]) else "  never"
        lines.append(f"{names[c]:{width}}{positives[c]:>11}{at}")
    return "\n".join(lines)


def _rates_heading(title: str) -> str:
    return f"{title:30}" + "".join(f"{name:>8}" for name in _RATES)


def _rates_line(label: str, rates: PrecisionRecallF1) -> str:
    values = (rates.cp, rates.cr, rates.cf1, rates.op, rates.or_, rates.of1)
    return f"{label:30}" + "".join(f"{percent(value):>8}" for value in values)


def _by_image(rates: PrecisionRecallF1, label: str) -> str:
    return (
        f"mean over images {label}: precision {percent(rates.sample_precision)}, "
        f"recall {percent(rates.sample_recall)}, F1 {percent(rates.sample_f1)}"
    )


def _count(value: int | None) -> str:
    return "-" if value is None else str(value)


def _times(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1f}"
