"""The tables that the command line prints after an evaluation."""

from __future__ import annotations

import math

from mlt.data.stats import GROUPS
from mlt.metrics.summary import Summary

__all__ = ["class_table", "result_table"]


def result_table(summary: Summary) -> str:
    """Total, head, medium and tail mAP in percent, with the classes and limits they stand for.

    Args:
        summary: The evaluation.

    Returns:
        A few lines of text without a trailing newline.
    """
    rule = summary.limits.describe()
    rows = [("total", "all", len(summary.per_class), summary.total)]
    for group in GROUPS:
        size = sum(c.group == group for c in summary.per_class)
        rows.append((group, rule[group], size, getattr(summary, group)))
    lines = [f"{'':6}  {'training images':22}{'classes':>7}{'mAP':>8}"]
    lines += [
        f"{name:6}  {images:22}{size:>7}{_percent(value):>8}" for name, images, size, value in rows
    ]
    if summary.undefined:
        lines.append(
            f"without a test image, so undefined and in no mean: {', '.join(summary.undefined)}"
        )
    lines.append(f"mAP in percent over {summary.num_images} test images")
    return "\n".join(lines)


def class_table(summary: Summary) -> str:
    """Average precision of every class in percent, most frequent class first.

    Args:
        summary: The evaluation.

    Returns:
        One line a class under a heading, without a trailing newline.
    """
    width = max(5, *(len(c.name) for c in summary.per_class))
    lines = [f"{'class':{width}}  group     train    test      AP"]
    lines += [
        f"{c.name:{width}}  {c.group:7} {c.n_train:>7} {c.n_test:>7} {_percent(c.ap):>7}"
        for c in sorted(summary.per_class, key=lambda c: -c.n_train)
    ]
    return "\n".join(lines)


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.2f}"
