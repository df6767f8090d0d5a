"""A threshold for each label, tuned on validation data and held back where positives are few."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlt.errors import ConfigError, DataError
from mlt.metrics.inputs import ScoredLabels, check_scores
from mlt.metrics.precision_recall import decide

__all__ = [
    "Objective",
    "Thresholds",
    "plain_threshold",
    "tune_thresholds",
]

Objective = Literal["f_beta", "precision", "recall", "rate"]


@dataclass(frozen=True)
class Thresholds:
    """The score at and above which a label is given, one per class.

    Attributes:
        class_names: C names.
        values: C scores on the scale they were tuned on; infinity where a label is never
            given, minus infinity where it always is.
        pooled: The one threshold that all labels together would have.
        goal: What was tuned for.
        target: The beta, precision, recall or rate of the goal.
        shrinkage: Positives at which a class weighs as much as the pooled threshold.
        positives: Positives of each class in the data it was tuned on.
    """

    class_names: tuple[str, ...]
    values: tuple[float, ...]
    pooled: float
    goal: Objective
    target: float
    shrinkage: float
    positives: tuple[int, ...]

    def decide(self, scores: ArrayLike) -> NDArray[np.bool_]:
        """(N, C) decisions for (N, C) scores.

        Example:
            >>> Thresholds(("a", "b"), (0.5, 2.0), 1.0, "f_beta", 1.0, 0.0, (9, 9)).decide([[1, 1]])
            array([[ True, False]])
        """
        return decide(scores, self.values)

    def to_json(self) -> dict[str, Any]:
        """Plain values that ``json`` can write; an infinite threshold is a word.

        ``"never"`` is infinity, at which a label is never given, ``"always"`` minus infinity.
        """
        return {
            "goal": self.goal,
            "target": self.target,
            "shrinkage": self.shrinkage,
            "pooled": plain_threshold(self.pooled),
            "classes": [
                {"name": name, "threshold": plain_threshold(value), "positives": count}
                for name, value, count in zip(
                    self.class_names, self.values, self.positives, strict=True
                )
            ],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Thresholds:
        """Read what :meth:`to_json` returned.

        Raises:
            DataError: If it is not that.
        """
        try:
            classes = value["classes"]
            return cls(
                class_names=tuple(str(c["name"]) for c in classes),
                values=tuple(_from_plain(c["threshold"]) for c in classes),
                pooled=_from_plain(value["pooled"]),
                goal=_goal(value["goal"]),
                target=float(value["target"]),
                shrinkage=float(value["shrinkage"]),
                positives=tuple(int(c["positives"]) for c in classes),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"these are not thresholds: {error!r}") from error


def tune_thresholds(
    targets: ArrayLike,
    scores: ArrayLike,
    known: ArrayLike | None = None,
    *,
    class_names: Sequence[str] | None = None,
    goal: Objective = "f_beta",
    target: float = 1.0,
    shrinkage: float = 10.0,
) -> Thresholds:
    """Find the threshold of each label on validation data.

    The threshold lies halfway between two scores, so that rounding does not matter; where every
    label is given it is the lowest score itself. The goals:

    - ``"f_beta"``: the highest F-beta, ``target`` being beta.
    - ``"precision"``: the most recall with a precision of at least ``target``.
    - ``"recall"``: the most precision with a recall of at least ``target``.
    - ``"rate"``: the label is given to the share ``target`` of the images, or as many as the
      labels have positives for a target of 0.

    The best threshold on few positives is an accident of these few. So each is drawn towards the
    pooled threshold, that of all (image, class) pairs together: with n positives, the class has the
    weight n / (n + shrinkage). A class without positives has the pooled threshold. Where no
    threshold reaches a precision, the label is never given and nothing is drawn.

    Args:
        targets: (N, C) array of 0 and 1 or booleans: validation data, not training or test data.
        scores: (N, C) logits or probabilities, higher is more likely. Best are calibrated log odds,
            as in :func:`mlt.metrics.tune_decision`: a class can be drawn sensibly towards a pooled
            threshold only where the scores of all classes mean the same.
        known: (N, C) booleans. None: all are known.
        class_names: C names; "0", "1", ... if None.
        goal: What to reach.
        target: Of the goal: beta > 0, or a share in [0, 1].
        shrinkage: Positives at which class and pool weigh the same; 0 trusts every class.

    Returns:
        One threshold per class.

    Raises:
        ConfigError: If the goal is unknown or the target or shrinkage impossible.
        DataError: As for :func:`mlt.metrics.average_precision`, or if nothing is positive.

    Example:
        >>> tuned = tune_thresholds([[1], [1], [0], [0]], [[4], [3], [2], [1]], shrinkage=0)
        >>> tuned.values
        (2.5,)
    """
    _check_goal(goal, target, shrinkage)
    labels = check_scores(targets, scores, known)
    c = labels.targets.shape[1]
    names = tuple(map(str, range(c))) if class_names is None else tuple(class_names)
    if len(names) != c:
        raise ConfigError(f"{len(names)} class names for {c} columns of targets")
    positives = labels.positives.sum(axis=0)
    if not positives.any():
        raise DataError("no label is positive, so no threshold can be tuned; give other images")
    pooled = _best(labels, None, goal, target)
    values = []
    for k in range(c):
        own = _best(labels, k, goal, target) if positives[k] else pooled
        share = positives[k] / (positives[k] + shrinkage) if positives[k] else 0.0
        if not (math.isinf(own) or math.isinf(pooled)):
            own = share * own + (1 - share) * pooled
        values.append(float(own))
    return Thresholds(
        names, tuple(values), pooled, goal, float(target), float(shrinkage),
        tuple(positives.tolist()),
    )  # fmt: skip


def _best(labels: ScoredLabels, k: int | None, goal: Objective, target: float) -> float:
    """The best threshold of column ``k``, or of all columns together."""
    y, s = labels.flat(k)
    order = np.argsort(s)[::-1]
    s, y = s[order], y[order]
    last = np.flatnonzero(np.append(s[1:] != s[:-1], True))
    given = (last + 1).astype(np.float64)
    right = np.cumsum(y)[last].astype(np.float64)
    i = _choose(given, right, goal, target)
    if i is None:
        return math.inf
    here = s[last[i]]
    below = s[last[i] + 1] if last[i] + 1 < len(s) else here
    if not (np.isfinite(here) and np.isfinite(below)):
        return float(here)
    middle = here + (below - here) / 2
    return float(middle if middle > below else here)  # neighbouring numbers have no middle


def _choose(
    given: NDArray[np.float64], right: NDArray[np.float64], goal: Objective, target: float
) -> int | None:
    """Index of the last score that gets the label; None if no score does."""
    total = right[-1]
    if goal == "f_beta":
        weight = target**2
        return int(np.argmax((1 + weight) * right / (given + weight * total)))
    if goal == "precision":
        enough = np.flatnonzero(right >= target * given)
        # Of equal recall, the first has the highest precision.
        return int(enough[np.argmax(right[enough])]) if len(enough) else None
    if goal == "recall":
        enough = np.flatnonzero(right >= target * total)
        return int(enough[np.argmax(right[enough] / given[enough])])
    wanted = total if target == 0 else target * given[-1]
    return int(np.argmin(np.abs(given - wanted)))


def _check_goal(goal: str, target: float, shrinkage: float) -> None:
    _goal(goal)
    if goal == "f_beta" and not 0 < target < math.inf:
        raise ConfigError(f"the target of f_beta is beta, a positive number; got {target}")
    if goal != "f_beta" and not 0 <= target <= 1:
        raise ConfigError(f"the target of {goal} is a share between 0 and 1; got {target}")
    if not 0 <= shrinkage < math.inf:
        raise ConfigError(f"shrinkage is a number of positives, at least 0; got {shrinkage}")


def _goal(name: str) -> Objective:
    for goal in get_args(Objective):
        if name == goal:
            return goal
    raise ConfigError(f"goal must be one of {', '.join(get_args(Objective))}; got {name!r}")


def plain_threshold(value: float) -> float | str:
    """A threshold as JSON has it, which has no infinity.

    Example:
        >>> plain_threshold(0.5), plain_threshold(math.inf), plain_threshold(-math.inf)
        (0.5, 'never', 'always')
    """
    if math.isinf(value):
        return "never" if value > 0 else "always"
    return value


def _from_plain(value: float | str) -> float:
    if value == "never":
        return math.inf
    return -math.inf if value == "always" else float(value)
