"""What tuned thresholds are worth on images that they were not tuned on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mlt.errors import ConfigError
from mlt.metrics.inputs import check_scores
from mlt.metrics.precision_recall import PrecisionRecallF1, decide, precision_recall_f1
from mlt.metrics.thresholds import tune_thresholds

__all__ = ["HeldOut", "check_thresholds"]


@dataclass(frozen=True)
class HeldOut:
    """PrecisionRecallF1 on images that the thresholds were not tuned on.

    Attributes:
        tuned: With the threshold of each class.
        pooled: With the pooled threshold for all.
        fixed: With the fixed threshold that there was before.
        images: Images that each was measured on.
    """

    tuned: PrecisionRecallF1
    pooled: PrecisionRecallF1
    fixed: PrecisionRecallF1
    images: int

    def to_json(self) -> dict[str, Any]:
        """Plain values, None where undefined."""
        rules = {"tuned": self.tuned, "pooled": self.pooled, "fixed": self.fixed}
        return {"images": self.images, **{name: r.to_json() for name, r in rules.items()}}


def check_thresholds(
    targets: ArrayLike,
    scores: ArrayLike,
    known: ArrayLike | None = None,
    *,
    fixed: float = 0.0,
    folds: int = 2,
    seed: int = 0,
    **options: Any,
) -> HeldOut:
    """What tuned thresholds give on images they were not tuned on.

    The images are split into folds at random; each fold is decided with thresholds tuned on the
    others, and the rates are of all these decisions. Tuned and measured on the same images, the
    rates would look better than they are.

    Args:
        targets: (N, C) array of 0 and 1 or booleans.
        scores: (N, C) scores.
        known: (N, C) booleans. None: all are known.
        fixed: The threshold to compare with; 0 suits logits.
        folds: Parts, at least 2.
        seed: Of the split.
        **options: ``goal``, ``target`` and ``shrinkage`` of :func:`tune_thresholds`.

    Raises:
        ConfigError: If there are fewer than 2 folds or fewer images than folds.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> targets = rng.random((400, 2)) < 0.1
        >>> held_out = check_thresholds(targets, rng.normal(size=(400, 2)) + 3 * targets)
        >>> held_out.tuned.cf1 > held_out.fixed.cf1
        True
    """
    ranking = check_scores(targets, scores, known)
    n = len(ranking.targets)
    if not 2 <= folds <= n:
        raise ConfigError(f"folds must be from 2 to the number of images, {n}; got {folds}")
    fold = np.random.default_rng(seed).permutation(n) % folds
    tuned, pooled = np.zeros((2, *ranking.targets.shape), bool)
    for number in range(folds):
        inside, outside = fold == number, fold != number
        rule = tune_thresholds(
            ranking.targets[outside],
            ranking.scores[outside],
            None if ranking.known is None else ranking.known[outside],
            **options,
        )
        tuned[inside] = rule.decide(ranking.scores[inside])
        pooled[inside] = decide(ranking.scores[inside], rule.pooled)
    return HeldOut(
        tuned=precision_recall_f1(ranking.targets, tuned, ranking.known),
        pooled=precision_recall_f1(ranking.targets, pooled, ranking.known),
        fixed=precision_recall_f1(ranking.targets, decide(ranking.scores, fixed), ranking.known),
        images=n,
    )
