"""Methods beside each other: means over seeds, and paired differences from the baseline."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mlt.class_groups import GROUPS
from mlt.metrics import Difference, SeedMean, aggregate_seeds, compare_seeds, holm
from mlt.report.methods import Report

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
        means: For each method its mean mAP of "total" and of the report's groups.
        tests: The same for the differences from the baseline, which itself has an empty one.
        auroc_means: For each method its mean AUROC, likewise.
        auroc_tests: The differences of these from the baseline.
        class_tests: For each method the differences of the classes, in column order.
    """

    report: Report
    means: list[dict[str, SeedMean]]
    tests: list[dict[str, Contrast]]
    auroc_means: list[dict[str, SeedMean]]
    auroc_tests: list[dict[str, Contrast]]
    class_tests: list[dict[str, Contrast]]

    @property
    def num_tests(self) -> int:
        """How many differences of means the correction is for."""
        return _defined(self.tests)

    @property
    def num_class_tests(self) -> int:
        """How many differences of classes the correction is for."""
        return _defined(self.class_tests)


def compare_methods(report: Report) -> Compared:
    """Aggregate every method over its seeds and test it against the baseline.

    Head, medium and tail (and seen and unseen) are those of the baseline's training counts for
    every method, whatever it was trained on itself. The p-values of the means are corrected
    together by Holm's method, and so are those of AUROC and those of the classes.

    Args:
        report: The methods; the first is the baseline.
    """
    groups, others = report.groups, report.methods[1:]
    baseline = report.baseline.predictions
    classes = report.single_classes
    of_means = [compare_seeds(m.predictions, baseline, groups=groups) for m in others]
    of_areas = [
        compare_seeds(m.predictions, baseline, groups=groups, metric="AUROC") for m in others
    ]
    of_classes = [compare_seeds(m.predictions, baseline, groups=classes) for m in others]
    for differences in of_classes:
        del differences["total"]
    return Compared(
        report=report,
        means=[aggregate_seeds(m.predictions, groups=groups) for m in report.methods],
        tests=[{}, *_corrected(of_means)],
        auroc_means=[
            aggregate_seeds(m.predictions, groups=groups, metric="AUROC") for m in report.methods
        ],
        auroc_tests=[{}, *_corrected(of_areas)],
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
