"""Several runs of one method that differ in their seed, and two methods compared over them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from mlt.data.stats import GroupLimits
from mlt.errors import DataError
from mlt.metrics.compare import Difference, align, groups_of
from mlt.metrics.influence import Expansion, MeanExpansion, average, expand
from mlt.metrics.intervals import Interval, analytic_interval, combined
from mlt.metrics.predictions import Predictions
from mlt.metrics.resampling import RankGroups, rank_groups

__all__ = ["SeedMean", "aggregate_seeds", "compare_seeds"]


@dataclass(frozen=True)
class SeedMean:
    """The mAP of a method over its seeds; NaN where undefined.

    Attributes:
        mean: Mean over the seeds.
        sd: Standard deviation over the seeds (of a single run, so with S - 1); NaN for one seed.
        interval: For other seeds and other test images. Of one seed: for other images alone.
        seeds: S, the number of seeds.
    """

    mean: float
    sd: float
    interval: Interval
    seeds: int

    def to_json(self) -> dict[str, Any]:
        """Plain values, None where undefined."""
        return {
            "mean": None if math.isnan(self.mean) else self.mean,
            "sd": None if math.isnan(self.sd) else self.sd,
            "interval": self.interval.to_json(),
            "seeds": self.seeds,
        }


def aggregate_seeds(
    runs: Sequence[Predictions], limits: GroupLimits | None = None, *, level: float = 0.95
) -> dict[str, SeedMean]:
    """Mean, spread and interval of the mAP of one method over its seeds.

    The interval carries two sources of chance: which images were tested, by the influence of each
    image on the mean over the seeds, and which seeds were drawn, by their variance over S. Their
    degrees of freedom are combined by Welch and Satterthwaite, so that three seeds make a wide
    interval where seeds matter and a narrow one where they do not. The variance over seeds contains
    a part of the other (how images and seeds interact), which errs on the wide side.

    Args:
        runs: One predictions a seed, on the same images.
        limits: Where head, medium and tail begin.
        level: Confidence.

    Returns:
        One for "total", "head", "medium" and "tail".

    Raises:
        DataError: If there is no run or they are not of the same images, classes and targets.
    """
    values, means = _gather(runs, limits, average)
    result = {}
    for name, (columns, mean) in means.items():
        over_seeds = values[:, columns].mean(axis=1) if columns else np.full(len(runs), np.nan)
        extra = _variance_of_mean(over_seeds)
        interval = analytic_interval(mean, level, extra_variance=extra[0], extra_freedom=extra[1])
        sd = float(np.std(over_seeds, ddof=1)) if len(runs) > 1 else math.nan
        result[name] = SeedMean(float(over_seeds.mean()), sd, interval, len(runs))
    return result


def compare_seeds(
    first: Sequence[Predictions],
    second: Sequence[Predictions],
    limits: GroupLimits | None = None,
    *,
    level: float = 0.95,
) -> dict[str, Difference]:
    """The difference in mAP of two methods, each over its own seeds, on the same images.

    The test-set part of the variance is paired: what makes an image hard for both methods cancels.
    The seeds are not, since seed 1 of one method has nothing in common with seed 1 of another.
    Test and interval are Student's t with the degrees of freedom of :func:`aggregate_seeds`. With
    one seed a side only the test images vary, and the answer is about these two models.

    Args:
        first: Predictions of the one method, a seed each.
        second: Predictions of the other, a seed each.
        limits: Where head, medium and tail begin.
        level: Confidence.

    Returns:
        First minus second for "total", "head", "medium" and "tail".

    Raises:
        DataError: If a side has no run or they are not of the same images, classes and targets.
    """
    count = len(first)
    if not count or not second:
        raise DataError("there is no run to compare on one of the sides")

    def difference(runs: Sequence[Expansion]) -> Expansion:
        return average(runs[:count]).minus(average(runs[count:]))

    values, means = _gather([*first, *second], limits, difference)
    result = {}
    for name, (columns, mean) in means.items():
        if not columns:
            result[name] = _t_test(math.nan, math.nan, math.nan, level)
            continue
        over_seeds = values[:, columns].mean(axis=1)
        a, b = over_seeds[:count], over_seeds[count:]
        of_seeds = combined(_variance_of_mean(a), _variance_of_mean(b))
        variance, freedom = combined(mean.variance(), of_seeds)
        result[name] = _t_test(float(a.mean() - b.mean()), variance, freedom, level)
    return result


def _gather(
    runs: Sequence[Predictions],
    limits: GroupLimits | None,
    combine: Callable[[Sequence[Expansion]], Expansion],
) -> tuple[NDArray[np.float64], dict[str, tuple[list[int], MeanExpansion]]]:
    """Go through the classes once, so that the influences of one class at a time are held.

    Returns:
        (S, C) average precision of each run, and of "total" and each group its defined classes and
        the mean over them of what ``combine`` makes of the runs.
    """
    if not runs:
        raise DataError("there is no run to aggregate")
    runs = [runs[0], *(align(runs[0], run) for run in runs[1:])]
    classes = len(runs[0].class_names)
    groups = {"total": np.arange(classes), **groups_of(runs[0], limits)}
    means: dict[str, tuple[list[int], MeanExpansion]] = {g: ([], MeanExpansion()) for g in groups}
    values = np.full((len(runs), classes), np.nan)
    for k in range(classes):
        cuts = [_cut(run, k) for run in runs]
        expansions = [expand(cut) for cut in cuts if cut is not None]
        if not expansions:
            continue
        values[:, k] = [expansion.value for expansion in expansions]
        together = combine(expansions)
        for name, (columns, mean) in means.items():
            if k in groups[name]:
                columns.append(k)
                mean.add(together)
    return values, means


def _cut(run: Predictions, k: int) -> RankGroups | None:
    known = None if run.known is None else run.known[:, k]
    return rank_groups(run.targets[:, k], run.logits[:, k], known)


def _variance_of_mean(means: NDArray[np.float64]) -> tuple[float, float]:
    """Variance of the mean over seeds and its degrees of freedom; nothing is known of one seed."""
    if len(means) < 2:
        return 0.0, math.inf
    return float(np.var(means, ddof=1)) / len(means), len(means) - 1.0


def _t_test(value: float, variance: float, freedom: float, level: float) -> Difference:
    if math.isnan(value) or math.isnan(variance):
        return Difference(value, math.nan, math.nan, math.nan)
    if variance == 0:
        return Difference(value, value, value, 1.0 if value == 0 else 0.0)
    error = math.sqrt(variance)
    half = float(stats.t.ppf((1 + level) / 2, freedom)) * error
    p_value = float(2 * stats.t.sf(abs(value) / error, freedom))
    return Difference(value, value - half, value + half, p_value)
