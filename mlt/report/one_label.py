"""Top-1 error, recall and precision by name, of one method's seeds and of two methods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from mlt.metrics import Difference, Interval, SeedMean, aggregate_seeds, compare_seeds
from mlt.metrics.confidence.estimates import Groups
from mlt.predictions import Predictions

__all__ = ["TOP1_ERROR", "one_label_differences", "one_label_means"]

Value = TypeVar("Value", SeedMean, Difference)

TOP1_ERROR = "top-1 error"
"""Of the values here the one of which less is better."""


def one_label_means(runs: Sequence[Predictions], groups: Groups) -> dict[str, SeedMean]:
    """Mean, spread and interval of each rate over the seeds of a method.

    Args:
        runs: One predictions per seed, of images with exactly one label each.
        groups: Class indices of named groups.

    Returns:
        "top-1 error", "macro recall", "recall, head" and so on for the groups, "macro precision".
    """
    accuracy, recall, precision = (
        aggregate_seeds(runs, groups=groups, metric=metric)
        for metric in ("accuracy", "recall", "precision")
    )
    return _named(_error(accuracy["total"]), recall, precision["total"])


def one_label_differences(
    runs: Sequence[Predictions], baseline: Sequence[Predictions], groups: Groups
) -> dict[str, Difference]:
    """The same rates, a method's minus the baseline's."""
    accuracy, recall, precision = (
        compare_seeds(runs, baseline, groups=groups, metric=metric)
        for metric in ("accuracy", "recall", "precision")
    )
    return _named(_turned(accuracy["total"]), recall, precision["total"])


def _named(error: Value, recall: dict[str, Value], precision: Value) -> dict[str, Value]:
    named = {
        "macro recall" if group == "total" else f"recall, {group}": of
        for group, of in recall.items()
    }
    return {TOP1_ERROR: error, **named, "macro precision": precision}


def _error(accuracy: SeedMean) -> SeedMean:
    of = accuracy.interval
    interval = Interval(1 - of.high, 1 - of.low, 1 - of.centre)
    return replace(accuracy, mean=1 - accuracy.mean, interval=interval)


def _turned(accuracy: Difference) -> Difference:
    """The difference in error, from that in accuracy."""
    return Difference(-accuracy.value, -accuracy.high, -accuracy.low, accuracy.p_value)
