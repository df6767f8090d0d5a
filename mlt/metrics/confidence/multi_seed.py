"""Several runs of one method that differ in their seed, and two methods compared over them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlt.class_groups import GroupLimits
from mlt.errors import DataError
from mlt.metrics.confidence.auroc_influence import auroc_influence
from mlt.metrics.confidence.estimates import (
    Combine,
    Estimates,
    Groups,
    InfluenceOf,
    ap_influence,
    estimate,
)
from mlt.metrics.confidence.influence import ClassInfluence, mean_over_models
from mlt.metrics.confidence.interval import (
    Interval,
    add_variances,
    analytic_interval,
    rate_interval,
)
from mlt.metrics.confidence.rate_influence import precision_influence, recall_influence
from mlt.metrics.confidence.significance import Difference, t_test
from mlt.metrics.precision_recall import top_k
from mlt.predictions import Predictions, align

__all__ = ["Metric", "SeedMean", "aggregate_seeds", "compare_seeds"]

Metric = Literal["AP", "AUROC", "recall", "precision", "accuracy"]
"""What is averaged over classes. The last three are of images with exactly one label each; top-1
accuracy is averaged over the images instead, and is there for "total" only."""


@dataclass(frozen=True)
class SeedMean:
    """The mAP (or another metric) of a method over its seeds; NaN where undefined.

    Attributes:
        mean: Mean over the seeds.
        sd: Standard deviation over the seeds (of a single run, so with S - 1); NaN for one seed.
        interval: For other seeds and other test images. Of one seed: for other images alone. Its
            ``centre`` is the mean without the upward bias of average precision.
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
            "corrected": None if math.isnan(self.interval.centre) else self.interval.centre,
            "sd": None if math.isnan(self.sd) else self.sd,
            "interval": self.interval.to_json(),
            "seeds": self.seeds,
        }


def aggregate_seeds(
    runs: Sequence[Predictions],
    limits: GroupLimits | None = None,
    *,
    groups: Groups | None = None,
    level: float = 0.95,
    metric: Metric = "AP",
) -> dict[str, SeedMean]:
    """Mean, spread and interval of the mAP (or mean AUROC) of one method over its seeds.

    The interval carries two sources of chance: which images were tested, by the influence of each
    image on the mean over the seeds, and which seeds were drawn, by their variance over S. Their
    degrees of freedom are combined by Welch and Satterthwaite, so that three seeds make a wide
    interval where seeds matter and a narrow one where they do not. The variance over seeds contains
    a part of the other (how images and seeds interact), which errs on the wide side.
    Images of one patient or the like count together where the predictions have
    :attr:`~mlt.predictions.Predictions.groups`; the first that has them decides.

    Args:
        runs: One predictions per seed, on the same images. The training counts of the first make
            head, medium and tail; where they differ from those of what this is set beside, give
            the same ``groups`` to both.
        limits: Where head, medium and tail begin.
        groups: Class indices of named groups, to be averaged in place of head, medium and tail:
            single classes, for example.
        level: Confidence.
        metric: "AP" (the mean is mAP) or another one of `Metric`.

    Returns:
        One for "total", "head", "medium" and "tail", or "total" and those groups. Without training
        counts and groups, one for "total".

    Raises:
        DataError: If there is no run or they are not of the same images, classes and targets.

    Example:
        >>> targets = [[1], [1], [0], [1], [0]]
        >>> runs = [
        ...     Predictions.from_arrays([[2.0], [1.0], [0.5], [0.0], [-1.0]], targets),
        ...     Predictions.from_arrays([[2.0], [0.0], [0.5], [1.0], [-1.0]], targets),
        ...     Predictions.from_arrays([[0.0], [2.0], [0.5], [1.0], [2.5]], targets),
        ... ]
        >>> total = aggregate_seeds(runs)["total"]
        >>> round(total.mean, 3), round(total.sd, 3), total.seeds
        (0.807, 0.189, 3)
    """
    if not runs:
        raise DataError("there is no run to aggregate")
    groups = _groups(runs[0], limits) if groups is None else groups
    found = _estimate(runs, groups, mean_over_models, metric)
    result = {}
    for name, mean in found.means.items():
        of_runs = found.model_means(name)
        variance, freedom = _variance_of_mean(of_runs)
        of_seeds = {"extra_variance": variance, "extra_freedom": freedom}
        if metric in ("AP", "AUROC"):
            interval = analytic_interval(mean, level, **of_seeds)
        else:
            # The mean over several runs is no share of images any more.
            classes = len(found.columns[name]) if len(runs) == 1 else 0
            interval = rate_interval(mean, level, classes=classes, **of_seeds)
        sd = float(np.std(of_runs, ddof=1)) if len(of_runs) > 1 else math.nan
        result[name] = SeedMean(float(of_runs.mean()), sd, interval, len(of_runs))
    return result


def compare_seeds(
    first: Sequence[Predictions],
    second: Sequence[Predictions],
    limits: GroupLimits | None = None,
    *,
    groups: Groups | None = None,
    level: float = 0.95,
    metric: Metric = "AP",
) -> dict[str, Difference]:
    """The difference in mAP (or mean AUROC) of two methods over their seeds, on the same images.

    The test-set part of the variance is paired: what makes an image hard for both methods cancels.
    The seeds are not, since seed 1 of one method has nothing in common with seed 1 of another.
    Test and interval are Student's t with the degrees of freedom of :func:`aggregate_seeds`, where
    a class on which all images agree is no surer than a sign test of them. With one seed per side
    only the test images vary, and the answer is about these two models. Images of one patient or
    the like count together, as in :func:`aggregate_seeds`.

    Args:
        first: Predictions of the one method, one per seed. The training counts of the first of
            them make head, medium and tail, for both sides.
        second: Predictions of the other, one per seed.
        limits: Where head, medium and tail begin.
        groups: Class indices of named groups, to be compared in place of head, medium and tail:
            single classes, for example.
        level: Confidence.
        metric: "AP" (the mean is mAP) or another one of `Metric`.

    Returns:
        First minus second for "total", "head", "medium" and "tail", or "total" and those groups.
        Without training counts and groups, for "total".

    Raises:
        DataError: If a side has no run or they are not of the same images, classes and targets.

    Example:
        >>> targets = np.arange(60)[:, None] % 6 == 0
        >>> noise = np.arange(60.0)[:, None] * 37 % 60
        >>> poor = Predictions.from_arrays(noise, targets)
        >>> good = Predictions.from_arrays(noise + 40 * targets, targets)
        >>> total = compare_seeds([good], [poor])["total"]
        >>> round(total.value, 2), total.p_value < 0.01
        (0.64, True)
    """
    count = len(first)
    if not count or not second:
        raise DataError("there is no run to compare on one of the sides")

    def difference(runs: Sequence[ClassInfluence]) -> ClassInfluence:
        return mean_over_models(runs[:count]).minus(mean_over_models(runs[count:]))

    groups = _groups(first[0], limits) if groups is None else groups
    found = _estimate([*first, *second], groups, difference, metric, paired=True)
    result = {}
    for name, mean in found.means.items():
        a, b = np.split(found.model_means(name), [count])
        of_seeds = add_variances(_variance_of_mean(a), _variance_of_mean(b))
        variance, freedom = add_variances((mean.variance, mean.freedom), of_seeds)
        images = math.inf if variance == 0 and _same(first, second) else mean.positives
        tested = t_test(float(a.mean() - b.mean()), variance, freedom, level, images)
        # No two shares differ by more than 1.
        result[name] = replace(tested, low=max(tested.low, -1.0), high=min(tested.high, 1.0))
    return result


def _same(first: Sequence[Predictions], second: Sequence[Predictions]) -> bool:
    """Whether both sides are the same models."""
    return len(first) == len(second) and all(
        a is b or np.array_equal(a.logits, align(a, b).logits)
        for a, b in zip(first, second, strict=True)
    )


def _groups(predictions: Predictions, limits: GroupLimits | None) -> Groups:
    """Class indices of head, medium and tail; none without training counts."""
    if predictions.class_counts is None:
        return {}
    return predictions.training_counts(limits).groups


def _estimate(
    runs: Sequence[Predictions],
    groups: Groups,
    combine: Combine,
    metric: Metric,
    *,
    paired: bool = False,
) -> Estimates:
    first = runs[0]
    aligned = [first, *(align(first, run) for run in runs[1:])]
    image_groups = next((run.groups for run in aligned if run.groups is not None), None)
    influence_of = _INFLUENCES[metric]
    how = combine, influence_of, image_groups, paired
    if metric in ("AP", "AUROC"):
        scores = [run.log_odds for run in aligned]
        return estimate(first.targets, scores, first.known, groups, *how)
    _check_one_label(first)
    chosen = [top_k(run.logits, 1) for run in aligned]
    if metric == "accuracy":
        right = [np.any(first.targets & each, axis=1, keepdims=True) for each in chosen]
        return estimate(np.ones((len(first), 1), bool), right, None, None, *how)
    return estimate(first.targets, chosen, None, groups, *how)


_INFLUENCES: dict[Metric, InfluenceOf] = {
    "AP": ap_influence,
    "AUROC": auroc_influence,
    "recall": recall_influence,
    "precision": precision_influence,
    "accuracy": recall_influence,
}


def _check_one_label(predictions: Predictions) -> None:
    if not predictions.one_label:
        raise DataError(
            "recall, precision and accuracy of the most probable class are of images with exactly "
            "one label each, and these have other numbers of labels"
        )


def _variance_of_mean(means: NDArray[np.float64]) -> tuple[float, float]:
    """Variance of the mean over seeds and its degrees of freedom; nothing is known of one seed."""
    if len(means) < 2:
        return 0.0, math.inf
    return float(np.var(means, ddof=1)) / len(means), len(means) - 1.0
