"""Methods beside each other: means over seeds, and paired differences from the baseline."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mlt.class_groups import GROUPS
from mlt.metrics import Difference, SeedMean, aggregate_seeds, compare_seeds, holm
from mlt.metrics.confidence.multi_seed import Metric
from mlt.report.methods import Method, Report
from mlt.report.one_label import TOP1_ERROR, one_label_differences, one_label_means

__all__ = ["LEVEL", "MEANS", "Compared", "Contrast", "OneLabelCompared", "compare_methods"]

MEANS = ("total", *GROUPS)
LEVEL = 0.05
"""Corrected p-values below this are called a difference."""


@dataclass(frozen=True)
class Contrast:
    """A difference from the baseline.

    Attributes:
        difference: The method minus the baseline, with the p-value of this test alone.
        corrected: The p-value corrected for all tests of the table.
        lower_is_better: Whether it is of an error.
    """

    difference: Difference
    corrected: float
    lower_is_better: bool = False

    @property
    def verdict(self) -> str | None:
        """Whether the method is better or worse than the baseline, where the test allows it."""
        if math.isnan(self.corrected) or self.corrected >= LEVEL:
            return None
        return "better" if (self.difference.value > 0) != self.lower_is_better else "worse"


@dataclass(frozen=True, eq=False)
class OneLabelCompared:
    """The most probable class of every image, where each image has exactly one label.

    Both have a value for "top-1 error", "macro recall", "recall, head" and so on for the report's
    groups, and "macro precision".

    Attributes:
        means: For each method its means over the seeds.
        tests: The differences of these from the baseline, which itself has an empty one.
    """

    means: list[dict[str, SeedMean]]
    tests: list[dict[str, Contrast]]


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
        one_label: Top-1 error, recall and precision; None where images have several labels or none.
    """

    report: Report
    means: list[dict[str, SeedMean]]
    tests: list[dict[str, Contrast]]
    auroc_means: list[dict[str, SeedMean]]
    auroc_tests: list[dict[str, Contrast]]
    class_tests: list[dict[str, Contrast]]
    one_label: OneLabelCompared | None

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
    together by Holm's method, and so are those of AUROC, those of the most probable class and those
    of the classes.

    Args:
        report: The methods; the first is the baseline.
    """
    others = report.methods[1:]
    baseline = report.baseline.predictions
    classes = report.single_classes
    of_classes = [compare_seeds(m.predictions, baseline, groups=classes) for m in others]
    for differences in of_classes:
        del differences["total"]
    return Compared(
        report=report,
        means=_means(report, "AP"),
        tests=_tests(report, "AP"),
        auroc_means=_means(report, "AUROC"),
        auroc_tests=_tests(report, "AUROC"),
        class_tests=[{}, *_corrected(of_classes)],
        one_label=_one_label(report) if report.baseline.first.predictions.one_label else None,
    )


def _means(report: Report, metric: Metric) -> list[dict[str, SeedMean]]:
    return [
        aggregate_seeds(m.predictions, groups=report.groups, metric=metric) for m in report.methods
    ]


def _tests(report: Report, metric: Metric) -> list[dict[str, Contrast]]:
    return [{}, *_corrected([_differences(report, m, metric) for m in report.methods[1:]])]


def _differences(report: Report, method: Method, metric: Metric) -> dict[str, Difference]:
    baseline = report.baseline.predictions
    return compare_seeds(method.predictions, baseline, groups=report.groups, metric=metric)


def _one_label(report: Report) -> OneLabelCompared:
    baseline, groups = report.baseline.predictions, report.groups
    tests = [one_label_differences(m.predictions, baseline, groups) for m in report.methods[1:]]
    return OneLabelCompared(
        [one_label_means(m.predictions, groups) for m in report.methods], [{}, *_corrected(tests)]
    )


def _corrected(differences: list[dict[str, Difference]]) -> list[dict[str, Contrast]]:
    """Holm's correction over all of them."""
    flat = [d.p_value for each in differences for d in each.values()]
    corrected = iter(holm(np.array(flat)).tolist())
    return [
        {name: Contrast(d, next(corrected), name == TOP1_ERROR) for name, d in each.items()}
        for each in differences
    ]


def _defined(tests: list[dict[str, Contrast]]) -> int:
    return sum(not math.isnan(t.corrected) for each in tests for t in each.values())
