"""Predictions beside each other over all classes, where nothing is known of the training data."""

from __future__ import annotations

from collections.abc import Sequence

from mlt.metrics import aggregate_seeds, compare_seeds, holm
from mlt.metrics.confidence.multi_seed import Metric
from mlt.report.format import CORRECTED
from mlt.report.runs import Run
from mlt.report.tables import Column, Table

__all__ = ["totals_tables"]

_METRICS: tuple[Metric, ...] = ("AP", "AUROC")


def totals_tables(runs: Sequence[Run]) -> tuple[Table, Table]:
    """Return mAP and mean AUROC of each, and their differences from the first with paired tests.

    Args:
        runs: At least two, on the same images.

    Raises:
        DataError: If they are of different images, classes or targets.
    """
    names = _names(runs)
    values, differences = [], []
    for name, run in zip(names, runs, strict=True):
        ap, area = (
            aggregate_seeds([run.predictions], groups={}, metric=metric)["total"]
            for metric in _METRICS
        )
        values.append([name, ap.mean, ap.interval.centre, ap.interval, area.mean, area.interval])
    for metric in _METRICS:
        tests = [
            compare_seeds([run.predictions], [runs[0].predictions], groups={}, metric=metric)
            for run in runs[1:]
        ]
        totals = [found["total"] for found in tests]
        corrected = holm([total.p_value for total in totals]).tolist()
        shown = "mAP" if metric == "AP" else metric
        differences += [
            [name, shown, total, total.p_value, p]
            for name, total, p in zip(names[1:], totals, corrected, strict=True)
        ]
    columns = [
        Column("predictions"),
        Column("mAP", "percent"),
        Column("corrected", "percent", CORRECTED),
        Column("95 % interval", "interval"),
        Column("AUROC", "percent"),
        Column("95 % interval", "interval"),
    ]
    of_difference = [
        Column("predictions"),
        Column("of", "text"),
        Column("difference", "difference", "In points, with its 95 % interval"),
        Column("p", "p_value", "Of this test alone"),
        Column("p corrected", "p_value", "By Holm's method over the rows of one metric"),
    ]
    title = "Mean average precision and AUROC over all classes, in percent"
    return (
        Table("comparison", title, columns, values),
        Table("differences", f"Differences from {names[0]}, in points", of_difference, differences),
    )


def _names(runs: Sequence[Run]) -> list[str]:
    """Their names, or paths where these are not enough."""
    names = [run.name for run in runs]
    return names if len(set(names)) == len(names) else [str(run.path) for run in runs]
