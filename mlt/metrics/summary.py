"""The result of an evaluation: mAP, AUROC, a line per class, rates, ranking metrics, intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlt.class_groups import GROUPS, SEEN, GroupLimits, seen_and_unseen
from mlt.metrics.confidence.interval import UNDEFINED, Interval
from mlt.metrics.confidence.metric_intervals import MetricIntervals
from mlt.metrics.f_beta import FBeta
from mlt.metrics.one_label import OneLabelRates
from mlt.metrics.precision_recall import TOP, PrecisionRecallF1
from mlt.metrics.ranking import RankingMetrics
from mlt.metrics.text import bounds, percent
from mlt.metrics.thresholds import plain_threshold

__all__ = ["ClassResult", "Details", "GroupLimits", "Summary"]


@dataclass(frozen=True)
class ClassResult:
    """One class: its name, group, average precision, AUROC and number of images.

    Attributes:
        name: Its name.
        group: "head", "medium" or "tail"; None without training counts.
        ap: Average precision in [0, 1]; NaN where no test image has the class.
        n_train: Training images that have it; None if not known.
        n_test: Test images that have it.
        n_known: Test images for which it is known whether they have it.
        interval: Of the average precision, over test sets.
        auroc_interval: Of the AUROC, over test sets.
    """

    name: str
    group: str | None
    ap: float
    n_train: int | None
    n_test: int
    n_known: int
    interval: Interval = UNDEFINED
    auroc_interval: Interval = UNDEFINED

    @property
    def corrected_ap(self) -> float:
        """The average precision without its upward bias, which the interval is around."""
        return self.interval.centre

    @property
    def auroc(self) -> float:
        """Area under the ROC curve; NaN where no test image has the class, or all have it."""
        return self.auroc_interval.centre

    @property
    def prevalence(self) -> float:
        """Share of the test images that have the class: the average precision of a random order."""
        return self.n_test / self.n_known if self.n_known else math.nan

    @property
    def lift(self) -> float:
        """How many times the average precision of a random order the class has; NaN without one."""
        return self.ap / self.prevalence if self.n_test else math.nan

    def to_json(self) -> dict[str, Any]:
        """Plain values, None where undefined."""
        return {
            "name": self.name,
            "group": self.group,
            "AP": _number(self.ap),
            "AP_corrected": _number(self.corrected_ap),
            "AP_interval": self.interval.to_json(),
            "AUROC": _number(self.auroc),
            "AUROC_interval": self.auroc_interval.to_json(),
            "n_train": self.n_train,
            "n_test": self.n_test,
            "prevalence": _number(self.prevalence),
            "lift": _number(self.lift),
        }


@dataclass(frozen=True)
class Details:
    """What an evaluation reports beside average precision.

    Attributes:
        micro_ap: Average precision of all (image, class) pairs in one ranking.
        rates: Precision, recall and F1 of the decisions at ``threshold``.
        top_rates: The same of the three highest labels of each image.
        ranking: Ranking loss, coverage, one-error, LRAP.
        threshold: The logit, or the logits of the classes, at and above which a label is given;
            None: the most probable class is given.
        intervals: Of each average precision and each mean of them, around the corrected values.
        auroc: Of each AUROC and each mean of them, around these.
        f_beta: F-beta of the decisions, if it was asked for.
        one_label: Top-1 error, recall and precision, if every image has exactly one label.
    """

    micro_ap: float
    rates: PrecisionRecallF1
    top_rates: PrecisionRecallF1
    ranking: RankingMetrics
    threshold: float | tuple[float, ...] | None
    intervals: MetricIntervals
    auroc: MetricIntervals
    f_beta: FBeta | None = None
    one_label: OneLabelRates | None = None

    def to_json(self, class_names: Sequence[str]) -> dict[str, Any]:
        """What they add to ``metrics.json``."""
        at = self.threshold
        limit: Any = at
        if at is not None:
            limit = list(map(plain_threshold, at)) if isinstance(at, tuple) else plain_threshold(at)
        one, of_one = self.one_label, {}
        if one is not None:
            of_one = one.intervals_to_json(class_names)
        return {
            **({} if one is None else one.to_json(class_names)),
            "mAP_corrected": self.intervals.centres,
            "AUROC": self.auroc.centres,
            "intervals": {
                "level": self.intervals.level,
                "method": "analytic",
                "resamples": 0,
                "mAP": self.intervals.to_json(),
                "AUROC": self.auroc.to_json(),
                **of_one,
            },
            "micro_AP": _number(self.micro_ap),
            "rates": {"threshold": limit, **self.rates.to_json()},
            f"rates_top{TOP}": self.top_rates.to_json(),
            "label_order": self.ranking.to_json(),
            **({} if self.f_beta is None else {"F_beta": self.f_beta.to_json()}),
        }


@dataclass(frozen=True)
class Summary:
    """The result of an evaluation. Printed, it is the table of total, head, medium and tail.

    Attributes:
        total: mAP over all classes that have a test image; NaN if none has.
        head: The same over the head classes, and so on; NaN for a group without such a class.
        per_class: One result per class, in column order.
        limits: Which classes are head and tail.
        num_images: Images evaluated.
        details: What else there is to report; None if only mAP was asked for.
        num_groups: Patients, videos or the like that the images belong to, and that the intervals
            are over; None if not known.
        seen: mAP over the classes with a training image; NaN where all classes have one.
        unseen: mAP over the classes without a training image.
    """

    total: float
    head: float
    medium: float
    tail: float
    per_class: tuple[ClassResult, ...]
    limits: GroupLimits
    num_images: int
    details: Details | None = None
    num_groups: int | None = None
    seen: float = math.nan
    unseen: float = math.nan

    @property
    def undefined(self) -> tuple[str, ...]:
        """Names of the classes that no test image has; they are in no mean."""
        return tuple(c.name for c in self.per_class if math.isnan(c.ap))

    @property
    def undefined_auroc(self) -> tuple[str, ...]:
        """Names of the classes that no test image has, or all have: without an AUROC."""
        return tuple(c.name for c in self.per_class if math.isnan(c.auroc))

    @property
    def group_sizes(self) -> dict[str, int]:
        """Number of classes in "head", "medium" and "tail"; empty without training counts."""
        groups = [c.group for c in self.per_class]
        return {} if None in groups else {group: groups.count(group) for group in GROUPS}

    @property
    def seen_sizes(self) -> dict[str, int]:
        """Number of classes in "seen" and "unseen"; empty where all have a training image."""
        counts = [0 if c.n_train is None else c.n_train for c in self.per_class]
        return {name: len(classes) for name, classes in seen_and_unseen(counts).items()}

    def __str__(self) -> str:
        return self.table()

    def table(self, part: str = "test", *, auroc: bool = False) -> str:
        """Total, head, medium and tail mAP in percent, with the classes and limits they stand for.

        Where classes have no training image, seen and unseen follow.

        Args:
            part: What the images are, to be named: test, validation.
            auroc: Whether to show AUROC of every row, in columns of its own, instead of a line on
                the total; both with details.

        Returns:
            A few lines of text without a trailing newline.
        """
        rule = {**self.limits.describe(), **SEEN}
        rows = [("total", "all", len(self.per_class), self.total)]
        sizes = {**self.group_sizes, **self.seen_sizes}
        rows += [(g, rule[g], size, getattr(self, g)) for g, size in sizes.items()]
        heading = f"{'':6}  {'training images':22}{'classes':>7}{'mAP':>8}"
        lines = [f"{n:6}  {images:22}{size:>7}{percent(m):>8}" for n, images, size, m in rows]
        note = f"mAP in percent over {self.num_images} {part} images"
        if self.num_groups is not None:
            note += f" of {self.num_groups} groups (patients or the like)"
        if self.details is not None:
            of = self.details.intervals
            heading += f"{'corrected':>11}{'interval':>17}"
            lines = [line + _around(of.means[row[0]], 11) for line, row in zip(lines, rows)]
            note += (
                f"; corrected: less the upward bias of rare classes; {100 * of.level:g} % intervals"
                + ("" if self.num_groups is None else " for other groups")
            )
        one = None if self.details is None else self.details.one_label
        if one is not None:
            heading += f"{'recall':>8}{'interval':>17}"
            lines = [line + _around(one.recall.means[row[0]], 8) for line, row in zip(lines, rows)]
        if not auroc and self.details is not None:
            lines += self._auroc_line(self.details.auroc.means["total"])
        if auroc and self.details is not None:
            areas = self.details.auroc.means
            heading += f"{'AUROC':>8}{'interval':>17}"
            lines = [line + _around(areas[row[0]], 8) for line, row in zip(lines, rows)]
            if alike := [name for name in self.undefined_auroc if name not in self.undefined]:
                lines.append(f"in every test image, so without an AUROC: {', '.join(alike)}")
        if one is not None:
            lines.append(_one_label_line(one))
        if self.undefined:
            lines.append(
                f"without a test image, so undefined and in no mean: {', '.join(self.undefined)}"
            )
        if not self.group_sizes:
            lines.append("without training counts, so no head, medium and tail")
        return "\n".join([heading, *lines, note])

    def _auroc_line(self, total: Interval) -> list[str]:
        """The mean AUROC and its interval in a line; none where no class has an AUROC."""
        if math.isnan(total.centre):
            return []
        classes = len(self.per_class) - len(self.undefined_auroc)
        over = "1 class" if classes == 1 else f"{classes} classes"
        around = f" ({bounds(total)})" if total.defined else ""
        return [f"AUROC {percent(total.centre)}{around} over {over}"]

    def to_json(self) -> dict[str, Any]:
        """What ``metrics.json`` holds: plain values, null where a number is undefined."""
        groups = (*GROUPS, *self.seen_sizes)
        means = {"total": self.total, **{group: getattr(self, group) for group in groups}}
        result: dict[str, Any] = {
            "mAP": {name: _number(value) for name, value in means.items()},
            "num_classes": {
                "total": len(self.per_class),
                **self.group_sizes,
                **self.seen_sizes,
            },
            "limits": {"head": self.limits.head, "tail": self.limits.tail},
            "num_images": self.num_images,
            **({} if self.num_groups is None else {"num_groups": self.num_groups}),
            "undefined_classes": list(self.undefined),
        }
        if self.details is not None:
            result |= self.details.to_json([c.name for c in self.per_class])
            result["undefined_AUROC"] = list(self.undefined_auroc)
        result["per_class"] = [c.to_json() for c in self.per_class]
        return result


def _around(interval: Interval, width: int) -> str:
    """What an interval is around, and its bounds, as two columns."""
    return f"{percent(interval.centre):>{width}}{bounds(interval):>17}"


def _one_label_line(of: OneLabelRates) -> str:
    """Top-1 error and macro precision in a line; macro recall is in the row of all classes."""
    error, precision = of.top1_error, of.precision.means["total"]
    return (
        f"top-1 error {percent(error.centre)} ({bounds(error)}), macro precision "
        f"{percent(precision.centre)} ({bounds(precision)})"
    )


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
