"""Methods beside each other: means over seeds, and paired differences from the baseline."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mlt.class_groups import GROUPS
from mlt.metrics import Difference, SeedMean, aggregate_seeds, compare_seeds, holm
from mlt.report.cells import Mean
from mlt.report.methods import Report
from mlt.report.tables import Column, Table

__all__ = ["LEVEL", "MEANS", "Compared", "Contrast", "compare_methods"]

MEANS = ("total", *GROUPS)
LEVEL = 0.05
"""Corrected p-values below this are called a difference."""


@dataclass(frozen=True)
class Contrast:
    """A difference from the baseline.

    Attributes:
        difference: The method minus the baseline, with the p-value of this test alone.
        corrected: The p-value corrected for all tests of the table.
    """

    difference: Difference
    corrected: float

    @property
    def verdict(self) -> str | None:
        """Whether the method is better or worse than the baseline, where the test allows it."""
        if math.isnan(self.corrected) or self.corrected >= LEVEL:
            return None
        return "better" if self.difference.value > 0 else "worse"


@dataclass(frozen=True, eq=False)
class Compared:
    """What there is to say about several methods.

    Attributes:
        report: The methods.
        means: For each method its mean mAP of "total", "head", "medium" and "tail".
        tests: The same for the differences from the baseline, which itself has an empty one.
        class_tests: For each method the differences of the classes, in column order.
    """

    report: Report
    means: list[dict[str, SeedMean]]
    tests: list[dict[str, Contrast]]
    class_tests: list[dict[str, Contrast]]

    @property
    def num_tests(self) -> int:
        """How many differences of means the correction is for."""
        return _defined(self.tests)

    @property
    def num_class_tests(self) -> int:
        """How many differences of classes the correction is for."""
        return _defined(self.class_tests)

    def mean_table(self) -> Table:
        """A line a method: mean and standard deviation over seeds, marked where it differs."""
        columns = [
            Column("method"),
            Column("runs", "count", "Runs that differ in their seed"),
            Column("mAP", "mean", "Over all classes; mean ± standard deviation over the runs"),
            Column("95 % interval", "interval", "For other seeds and other test images"),
            *(Column(group, "mean", f"mAP over the {group} classes") for group in GROUPS),
            *(Column(f"{group} interval", "interval", only_csv=True) for group in GROUPS),
        ]
        rows = []
        for i, method in enumerate(self.report.methods):
            cells = [_mean(self.means[i][name], self.tests[i].get(name)) for name in MEANS]
            label = f"{method.name} (baseline)" if i == 0 else method.name
            total, *groups = [self.means[i][name].interval for name in MEANS]
            rows.append([label, len(method.runs), cells[0], total, *cells[1:], *groups])
        return Table(
            "comparison", "Mean average precision of each method, in percent", columns, rows,
            note=self.report.groups_note,
        )  # fmt: skip

    def difference_table(self) -> Table:
        """A line for each method and mean: the difference from the baseline and its test."""
        columns = [
            Column("method"),
            Column("classes", "group"),
            Column("difference", "difference", "In points of mAP, with its 95 % interval"),
            Column("p", "p_value", "Of this test alone"),
            Column("p corrected", "p_value", f"By Holm's method for {self.num_tests} tests"),
            Column("verdict", "verdict"),
        ]
        rows = [
            [method.name, name, t.difference, t.difference.p_value, t.corrected, t.verdict]
            for method, tests in zip(self.report.methods[1:], self.tests[1:])
            for name, t in tests.items()
        ]
        title = f"Differences from {self.report.baseline.name}, in points of mAP"
        return Table("differences", title, columns, rows, note=self.report.groups_note)

    def class_table(self) -> Table:
        """A line a class: the average precision of every method, marked where it differs."""
        report, stats = self.report, self.report.stats
        positives = report.baseline.first.positives
        columns = [
            Column("class"),
            Column("group", "group"),
            Column("train", "count", "Training images"),
            Column("test", "count", "Test images"),
            *(Column(method.name, "marked", "AP in percent, mean over runs")
              for method in report.methods),
        ]  # fmt: skip
        rows = []
        for c in report.order.tolist():
            cells = [
                _marked(method.ap[c], tests.get(str(c)))
                for method, tests in zip(report.methods, self.class_tests)
            ]
            rows.append([stats.names[c], stats.group_of(c), int(stats.counts[c]),
                         int(positives[c]), *cells])  # fmt: skip
        title = "Average precision of each class by method, in percent"
        return Table("classes", title, columns, rows, links=report.order.tolist(),
                     note=report.groups_note)  # fmt: skip


def compare_methods(report: Report) -> Compared:
    """Aggregate every method over its seeds and test it against the baseline.

    Head, medium and tail are those of the baseline's training counts for every method, whatever it
    was trained on itself. The p-values of the means are corrected together by Holm's method, and so
    are those of the classes.

    Args:
        report: The methods; the first is the baseline.
    """
    groups, others = report.stats.groups, report.methods[1:]
    baseline = report.baseline.predictions
    classes = report.single_classes
    of_means = [compare_seeds(m.predictions, baseline, groups=groups) for m in others]
    of_classes = [compare_seeds(m.predictions, baseline, groups=classes) for m in others]
    for differences in of_classes:
        del differences["total"]
    return Compared(
        report=report,
        means=[aggregate_seeds(m.predictions, groups=groups) for m in report.methods],
        tests=[{}, *_corrected(of_means)],
        class_tests=[{}, *_corrected(of_classes)],
    )


def _corrected(differences: list[dict[str, Difference]]) -> list[dict[str, Contrast]]:
    """Holm's correction over all of them."""
    flat = [d.p_value for each in differences for d in each.values()]
    corrected = iter(holm(np.array(flat)).tolist())
    return [
        {name: Contrast(d, next(corrected)) for name, d in each.items()} for each in differences
    ]


def _defined(tests: list[dict[str, Contrast]]) -> int:
    return sum(not math.isnan(t.corrected) for each in tests for t in each.values())


def _mean(mean: SeedMean, tested: Contrast | None) -> Mean:
    return Mean(mean.mean, mean.sd, tested.verdict if tested else None)


def _marked(value: float, tested: Contrast | None) -> Mean:
    return Mean(float(value), verdict=tested.verdict if tested else None)
