"""Predictions beside each other over all classes, where nothing is known of the training data."""

from __future__ import annotations

from collections.abc import Sequence

from mlt.metrics import Difference, SeedMean, aggregate_seeds, compare_seeds, holm
from mlt.predictions import Predictions
from mlt.report.format import CORRECTED
from mlt.report.one_label import one_label_differences, one_label_means
from mlt.report.runs import Run
from mlt.report.tables import Column, Table

__all__ = ["totals_tables"]


def totals_tables(runs: Sequence[Run]) -> tuple[Table, Table]:
    """Return the means of each over all classes, and differences from the first with paired tests.

    They are mAP and mean AUROC, and where every image has exactly one label also top-1 error,
    macro recall and macro precision.

    Args:
        runs: At least two, on the same images.

    Raises:
        DataError: If they are of different images, classes or targets.
    """
    names = _names(runs)
    values = [_means(run.predictions) for run in runs]
    tests = [_differences(run.predictions, runs[0].predictions) for run in runs[1:]]
    rows = []
    for name, means in zip(names, values, strict=True):
        cells = [cell for mean in means.values() for cell in (mean.mean, mean.interval)]
        rows.append([name, cells[0], means["mAP"].interval.centre, *cells[1:]])
    differences = []
    for metric in values[0]:
        totals = [found[metric] for found in tests]
        corrected = holm([total.p_value for total in totals]).tolist()
        differences += [
            [name, metric, total, total.p_value, p]
            for name, total, p in zip(names[1:], totals, corrected, strict=True)
        ]
    columns = [Column("predictions")]
    for metric in values[0]:
        columns += [Column(metric, "percent"), Column("95 % interval", "interval")]
    columns.insert(2, Column("corrected", "percent", CORRECTED))
    of_difference = [
        Column("predictions"),
        Column("of", "text"),
        Column("difference", "difference", "In points, with its 95 % interval"),
        Column("p", "p_value", "Of this test alone"),
        Column("p corrected", "p_value", "By Holm's method over the rows of one metric"),
    ]
    title = "Means over all classes, in percent"
    return (
        Table("comparison", title, columns, rows),
        Table("differences", f"Differences from {names[0]}, in points", of_difference, differences),
    )


def _means(predictions: Predictions) -> dict[str, SeedMean]:
    """Each mean over all classes by its name."""
    runs = [predictions]
    one_label = one_label_means(runs, {}) if predictions.one_label else {}
    return {
        "mAP": aggregate_seeds(runs, groups={})["total"],
        "AUROC": aggregate_seeds(runs, groups={}, metric="AUROC")["total"],
        **one_label,
    }


def _differences(predictions: Predictions, baseline: Predictions) -> dict[str, Difference]:
    """The differences in these from the baseline."""
    both = [predictions], [baseline]
    one_label = one_label_differences(*both, {}) if predictions.one_label else {}
    return {
        "mAP": compare_seeds(*both, groups={})["total"],
        "AUROC": compare_seeds(*both, groups={}, metric="AUROC")["total"],
        **one_label,
    }


def _names(runs: Sequence[Run]) -> list[str]:
    """Their names, or paths where these are not enough."""
    names = [run.name for run in runs]
    return names if len(set(names)) == len(names) else [str(run.path) for run in runs]
