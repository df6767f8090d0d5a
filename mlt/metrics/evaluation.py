"""From predictions to the summary of an evaluation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlt.arrays import as_array
from mlt.class_counts import ClassCounts
from mlt.class_groups import GROUPS, SEEN, GroupLimits, seen_and_unseen
from mlt.errors import ConfigError, DataError
from mlt.metrics.ap import average_precision, micro_average_precision
from mlt.metrics.confidence.clusters import Clusters
from mlt.metrics.confidence.interval import UNDEFINED
from mlt.metrics.confidence.metric_intervals import (
    auroc_intervals,
    average_precision_intervals,
)
from mlt.metrics.f_beta import f_beta
from mlt.metrics.one_label import one_label_rates
from mlt.metrics.precision_recall import TOP, decide, precision_recall_f1, top_k
from mlt.metrics.ranking import ranking_metrics
from mlt.metrics.summary import ClassResult, Details, Summary
from mlt.predictions import Predictions

__all__ = ["Predictions", "summarize"]


@overload
def summarize(
    predictions: Predictions,
    *,
    limits: GroupLimits | None = None,
    details: bool = True,
    threshold: ArrayLike | None = None,
    level: float = 0.95,
    beta: float | None = None,
) -> Summary: ...
@overload
def summarize(
    predictions: ArrayLike,
    targets: ArrayLike,
    *,
    class_counts: ClassCounts | ArrayLike | None = None,
    class_names: Sequence[str] | None = None,
    known: ArrayLike | None = None,
    limits: GroupLimits | None = None,
    details: bool = True,
    threshold: ArrayLike | None = None,
    level: float = 0.95,
    beta: float | None = None,
) -> Summary: ...
def summarize(
    predictions: Predictions | ArrayLike,
    targets: ArrayLike | None = None,
    *,
    class_counts: ClassCounts | ArrayLike | None = None,
    class_names: Sequence[str] | None = None,
    known: ArrayLike | None = None,
    limits: GroupLimits | None = None,
    details: bool = True,
    threshold: ArrayLike | None = None,
    level: float = 0.95,
    beta: float | None = None,
) -> Summary:
    """Evaluate predictions: average precision per class and its means over groups of classes.

    Takes either :class:`Predictions`, or the logits and targets of a loop of one's own.

    A class that no (known) test image has is undefined: it has NaN, is left out of every mean and
    named in :attr:`Summary.undefined`. Images without any label stay in.

    Args:
        predictions: Logits, targets and the training counts that make the groups; or (N, C) logits
            alone, as an array or tensor.
        targets: (N, C) of 0 and 1 or booleans. This and the next three go with logits only, as
            :class:`Predictions` have theirs.
        class_counts: (C,) positives of each class in the training data, which make head, medium
            and tail.
        class_names: C names; "0", "1", ... if None.
        known: (N, C) booleans, False where nobody annotated. None: all are known.
        limits: Which classes are head and tail; by default 100 and 20 training images.
        details: Whether to compute :class:`Details` and intervals too; without them, for example
            after each epoch, it is faster.
        threshold: The logit at and above which a label is given, or one per class; of a softmax
            the log odds. None: 0, a probability of one half; of a softmax the most probable class.
        level: Confidence of the intervals.
        beta: Compute F-beta of the decisions too, with this beta.

    Returns:
        The means and the line of every class.

    Raises:
        DataError: If there is no image to evaluate, or arrays do not fit: see :class:`Predictions`.
        ConfigError: If both predictions and what they have themselves are given.

    Example:
        >>> logits = [[2.0, -1.0], [1.0, -3.0], [-1.0, 0.5], [-2.0, 0.1]]
        >>> targets = [[1, 0], [0, 0], [1, 1], [0, 0]]
        >>> print(summarize(logits, targets, class_counts=[150, 9], details=False))
                training images       classes     mAP
        total   all                         2   91.67
        head    100 images or more          1   83.33
        medium  20 to 99 images             0       -
        tail    fewer than 20 images        1  100.00
        mAP in percent over 4 test images
    """
    beside = targets, class_counts, class_names, known
    if not isinstance(predictions, Predictions):
        if targets is None:
            raise ConfigError(
                "summarize takes Predictions, or logits and targets; the targets are missing"
            )
        if limits is None and isinstance(class_counts, ClassCounts):
            limits = class_counts.limits
        predictions = Predictions.from_arrays(
            predictions, targets, class_counts=class_counts, class_names=class_names, known=known
        )
    elif any(given is not None for given in beside):
        raise ConfigError(
            "Predictions have targets, class counts, names and known labels of their own; give "
            "either Predictions alone or logits with these"
        )
    limits = limits or GroupLimits()
    if len(predictions) == 0:
        raise DataError("there is no image to evaluate: the test split is empty")
    if not details:
        return _summary(predictions, limits, None)
    groups = _groups(predictions, limits)
    return _summary(predictions, limits, _details(predictions, groups, threshold, level, beta))


def _summary(predictions: Predictions, limits: GroupLimits, details: Details | None) -> Summary:
    p, counts = predictions, predictions.class_counts
    training = None if counts is None else p.training_counts(limits)
    groups = _groups(p, limits)
    ap = average_precision(p.targets, p.log_odds, p.known)
    undefined = (UNDEFINED,) * len(ap)
    intervals = undefined if details is None else details.intervals.per_class
    areas = undefined if details is None else details.auroc.per_class
    n_known = np.full(len(ap), len(p)) if p.known is None else p.known.sum(axis=0)
    n_test = p.targets.sum(axis=0)
    return Summary(
        total=_mean(ap),
        **{group: _mean(ap[groups.get(group, [])]) for group in (*GROUPS, *SEEN)},
        per_class=tuple(
            ClassResult(
                name=name,
                group=None if training is None else training.group_of(c),
                ap=float(ap[c]),
                n_train=None if counts is None else int(counts[c]),
                n_test=int(n_test[c]),
                n_known=int(n_known[c]),
                interval=intervals[c],
                auroc_interval=areas[c],
            )
            for c, name in enumerate(p.class_names)
        ),
        limits=limits,
        num_images=len(p),
        num_groups=None if p.groups is None else Clusters.of(p.groups, len(p)).size,
        details=details,
    )


def _groups(predictions: Predictions, limits: GroupLimits) -> dict[str, NDArray[np.intp]]:
    """Head, medium and tail, and seen and unseen where there are both; none without counts."""
    if predictions.class_counts is None:
        return {}
    unseen = seen_and_unseen(predictions.class_counts)
    return {**predictions.training_counts(limits).groups, **unseen}


def _details(
    predictions: Predictions,
    groups: Mapping[str, NDArray[np.intp]],
    threshold: ArrayLike | None,
    level: float,
    beta: float | None,
) -> Details:
    targets, logits, known = predictions.targets, predictions.log_odds, predictions.known
    if threshold is None and predictions.activation == "softmax":
        at, decisions = None, top_k(logits, 1, known)
    else:
        at = as_array(0.0 if threshold is None else threshold).astype(np.float64)
        decisions = decide(logits, at)
    return Details(
        micro_ap=micro_average_precision(targets, logits, known),
        rates=precision_recall_f1(targets, decisions, known),
        top_rates=precision_recall_f1(targets, top_k(logits, TOP, known), known),
        ranking=ranking_metrics(targets, logits, known),
        threshold=None if at is None else tuple(at.tolist()) if at.ndim else float(at),
        intervals=average_precision_intervals(
            targets, logits, known, groups, level=level, image_groups=predictions.groups
        ),
        auroc=auroc_intervals(
            targets, logits, known, groups, level=level, image_groups=predictions.groups
        ),
        f_beta=None if beta is None else f_beta(targets, decisions, known, beta=beta),
        one_label=one_label_rates(
            targets, predictions.logits, groups, level=level, image_groups=predictions.groups
        )
        if predictions.one_label
        else None,
    )


def _mean(values: NDArray[np.float64]) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else math.nan
