"""Top-1 error, recall and precision of images with exactly one label each, with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlt.errors import DataError
from mlt.metrics.confidence.estimates import Groups, estimate
from mlt.metrics.confidence.interval import Interval, rate_interval
from mlt.metrics.confidence.metric_intervals import MetricIntervals
from mlt.metrics.confidence.rate_influence import precision_influence, recall_influence
from mlt.metrics.inputs import check_scores
from mlt.metrics.precision_recall import top_k
from mlt.predictions import Predictions

__all__ = ["OneLabelRates", "one_label_rates", "top1_accuracy"]


@dataclass(frozen=True)
class OneLabelRates:
    """How often the class with the highest score is the right one; all in [0, 1].

    Attributes:
        top1_error: Share of the images whose class is another one, the centre of its interval.
        recall: Share of the images of each class that are recognised, which is its accuracy, and
            its means: of ``"total"`` (macro recall) and of named groups, such as head, medium and
            tail (many-, medium- and few-shot accuracy).
        precision: Share of the images taken for each class that are of it, and its means; 0 of a
            class that no image is taken for.
    """

    top1_error: Interval
    recall: MetricIntervals
    precision: MetricIntervals

    def to_json(self, class_names: Sequence[str]) -> dict[str, Any]:
        """What they add to ``metrics.json``."""

        def by_name(rates: MetricIntervals) -> dict[str, float | None]:
            return {n: _number(i.centre) for n, i in zip(class_names, rates.per_class, strict=True)}

        return {
            "top1_error": self.top1_error.centre,
            "macro_precision": _number(self.precision.means["total"].centre),
            "macro_recall": _number(self.recall.means["total"].centre),
            "recall": self.recall.centres,
            "per_class_recall": by_name(self.recall),
            "per_class_precision": by_name(self.precision),
        }

    def intervals_to_json(self, class_names: Sequence[str]) -> dict[str, Any]:
        """Their intervals, under the same names."""

        def by_name(rates: MetricIntervals) -> dict[str, Any]:
            return {n: i.to_json() for n, i in zip(class_names, rates.per_class, strict=True)}

        return {
            "top1_error": self.top1_error.to_json(),
            "macro_precision": self.precision.means["total"].to_json(),
            "macro_recall": self.recall.means["total"].to_json(),
            "recall": self.recall.to_json(),
            "per_class_recall": by_name(self.recall),
            "per_class_precision": by_name(self.precision),
        }


def one_label_rates(
    targets: ArrayLike,
    scores: ArrayLike,
    groups: Groups | None = None,
    *,
    level: float = 0.95,
    image_groups: ArrayLike | None = None,
) -> OneLabelRates:
    """Top-1 error, recall and precision, where every image has exactly one label.

    A class without a test image is undefined and in no mean. The intervals of the top-1 error and
    of the recall of a class are exact (Clopper and Pearson, Biometrika 26, 1934); where images
    belong together, with the number of images that theirs are worth (Korn and Graubard, Survey
    Methodology 24, 1998). Those of means over classes are by the influence of each image, as those
    of average precision.

    Args:
        targets: (N, C) of 0 and 1 or booleans, one 1 in each row.
        scores: (N, C), higher is more likely. Of tied classes the first is chosen.
        groups: Class indices of each group.
        level: Confidence.
        image_groups: (N,) names of what the images belong to, such as patients or videos; images of
            one count together (an empty name: by itself). None: images are independent.

    Raises:
        DataError: If there is no image, or one has another number of labels; or as for
            :func:`mlt.metrics.average_precision`.
        ConfigError: If the level is not between 0 and 1.

    Example:
        >>> targets = [[1, 0], [1, 0], [1, 0], [0, 1]]
        >>> rates = one_label_rates(targets, [[2, 1], [3, 1], [0, 1], [1, 4]])
        >>> rates.top1_error.centre, round(rates.recall.means["total"].centre, 4)
        (0.25, 0.8333)
        >>> [round(bound, 3) for bound in rates.top1_error.to_json()]
        [0.006, 0.806]
    """
    labels = check_scores(targets, scores)
    truth, chosen = labels.targets, _chosen(labels.targets, labels.scores)
    wrong = ~np.any(truth & chosen, axis=1, keepdims=True)
    error = estimate(
        np.ones((len(truth), 1), bool),
        [wrong],
        None,
        None,
        lambda models: models[0],
        recall_influence,
        image_groups,
    ).means["total"]

    def intervals(influence_of: Any) -> MetricIntervals:
        found = estimate(
            truth, [chosen], None, groups, lambda models: models[0], influence_of, image_groups
        )
        return MetricIntervals(
            {
                name: rate_interval(mean, level, classes=len(found.columns[name]))
                for name, mean in found.means.items()
            },
            tuple(rate_interval(of_class, level) for of_class in found.per_class),
            level,
        )

    return OneLabelRates(
        rate_interval(error, level), intervals(recall_influence), intervals(precision_influence)
    )


def top1_accuracy(
    predictions: Predictions, groups: Mapping[str, Sequence[int] | NDArray[np.intp]]
) -> dict[str, float | None]:
    """Top-1 accuracy of all images, and mean recall of groups of classes; without intervals.

    Args:
        predictions: Of images with exactly one label each.
        groups: Class indices of each group; None for one without a test image.

    Raises:
        DataError: If an image has another number of labels.

    Example:
        >>> p = Predictions.from_arrays([[2, 1], [3, 1], [0, 1.0]], [[1, 0], [1, 0], [1, 0]])
        >>> top1_accuracy(p, {"head": [0], "tail": [1]})
        {'total': 0.6666666666666666, 'head': 0.6666666666666666, 'tail': None}
    """
    right = predictions.targets & _chosen(predictions.targets, predictions.logits)
    present = predictions.targets.sum(axis=0)
    recall = np.divide(right.sum(axis=0), present, out=np.full(len(present), np.nan),
                       where=present > 0)  # fmt: skip
    means = {name: recall[list(classes)] for name, classes in groups.items()}
    return {
        "total": float(right.any(axis=1).mean()),
        **{
            name: float(np.nanmean(of)) if np.isfinite(of).any() else None
            for name, of in means.items()
        },
    }


def _chosen(truth: NDArray[np.bool_], scores: ArrayLike) -> NDArray[np.bool_]:
    """The class with the highest score of each image, whose labels are checked."""
    counts = truth.sum(axis=1)
    others = np.flatnonzero(counts != 1)
    if len(others):
        raise DataError(
            f"image {others[0]} has {counts[others[0]]} labels; top-1 error is defined where every "
            "image has exactly one"
        )
    if not len(truth):
        raise DataError("there is no image to evaluate: the test split is empty")
    return top_k(scores, 1)


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
