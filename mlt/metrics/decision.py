"""From logits to what a user sees: calibrated probabilities and the labels that are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlt.errors import DataError
from mlt.metrics.calibration import Calibration, CalibrationCheck, fit_calibration
from mlt.metrics.calibration import Method as CalibrationMethod
from mlt.metrics.calibration_error import reliability
from mlt.metrics.held_out import HeldOut
from mlt.metrics.precision_recall import decide, precision_recall_f1
from mlt.metrics.thresholds import Objective, Thresholds, tune_thresholds
from mlt.predictions import Predictions

__all__ = ["Decision", "TunedDecision", "tune_decision"]

# Drawn strongly towards the common line, a class whose logits lie far from the others' would have a
# threshold above all of them; not at all, three positives would decide where its threshold goes.
_SCALE_SHRINKAGE = 1.0


@dataclass(frozen=True)
class Decision:
    """A calibration and a threshold on the logits for each class.

    Attributes:
        calibration: From logits to probabilities.
        thresholds: The logit at and above which a label is given; None: 0 for every class, which
            is a probability of one half before calibration. Their ``pooled`` one is on the log
            odds of each class, where one number can serve all.
    """

    calibration: Calibration
    thresholds: Thresholds | None = None

    @classmethod
    def plain(cls, class_names: Sequence[str]) -> Decision:
        """The sigmoid as it is and a threshold of one half.

        Example:
            >>> Decision.plain(["cat", "dog"]).labels([[0.1, -0.1]])
            array([[ True, False]])
        """
        return cls(Calibration.identity(class_names))

    @property
    def limits(self) -> tuple[float, ...]:
        """The logit of each class at and above which its label is given."""
        if self.thresholds is None:
            return (0.0,) * len(self.calibration.class_names)
        return self.thresholds.values

    def probabilities(self, logits: ArrayLike) -> NDArray[np.float64]:
        """(N, C) probabilities for (N, C) logits."""
        return self.calibration.apply(logits)

    def labels(self, logits: ArrayLike) -> NDArray[np.bool_]:
        """(N, C) decisions for (N, C) logits."""
        return decide(logits, self.limits)

    def to_json(self) -> dict[str, Any]:
        """Plain values that ``json`` can write."""
        return {
            "calibration": self.calibration.to_json(),
            "thresholds": None if self.thresholds is None else self.thresholds.to_json(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Decision:
        """What :meth:`to_json` gave; further keys are left alone.

        Raises:
            DataError: If it is not that.
        """
        try:
            calibration = Calibration.from_json(value["calibration"])
            given = value["thresholds"]
        except (KeyError, TypeError) as error:
            raise DataError(f"these are no calibration and thresholds: {error!r}") from error
        thresholds = None if given is None else Thresholds.from_json(given)
        if thresholds is not None and thresholds.class_names != calibration.class_names:
            raise DataError("calibration and thresholds are of different classes")
        return cls(calibration, thresholds)


@dataclass(frozen=True)
class TunedDecision:
    """A decision and what it gives on images that it was not tuned on.

    Attributes:
        decision: Tuned on all images.
        rates: Of thresholds tuned on one half of the images and applied to the other.
        reliability: Of a calibration fitted likewise.
    """

    decision: Decision
    rates: HeldOut
    reliability: CalibrationCheck

    def to_json(self) -> dict[str, Any]:
        """What is saved: the decision, and under ``checks`` how it was checked."""
        checks = {"thresholds": self.rates.to_json(), "calibration": self.reliability.to_json()}
        return {**self.decision.to_json(), "checks": checks}


def tune_decision(
    predictions: Predictions,
    *,
    goal: Objective = "f_beta",
    target: float = 1.0,
    shrinkage: float = 10.0,
    calibration: CalibrationMethod = "platt_per_label",
    seed: int = 0,
) -> TunedDecision:
    """Tune thresholds and calibration on the predictions of validation images.

    The thresholds are tuned on each class's own log odds (Platt's), where a distance means the same
    for every class, so that a rare class can be drawn towards the common threshold although its
    logits may lie elsewhere. They are kept as logits.

    Args:
        predictions: Of images that the model was not trained on, and that no result is to be
            reported on.
        goal: What the thresholds are tuned for, see :func:`mlt.metrics.tune_thresholds`.
        target: Of the goal: beta, or a share in [0, 1].
        shrinkage: Positives at which a class and all classes together weigh the same.
        calibration: See :func:`mlt.metrics.fit_calibration`.
        seed: Of the halves on which both are checked.

    Raises:
        ConfigError: If an option is impossible.
        DataError: If there are too few images, no positive, or logits that are not finite.
    """
    n = len(predictions)
    if n < 2:
        raise DataError("thresholds are tuned and checked on at least two images")
    rule: dict[str, Any] = {"goal": goal, "target": target, "shrinkage": shrinkage}
    decision, _ = _fit(predictions, calibration, rule, predictions.logits)
    targets, logits, known = predictions.targets, predictions.logits, predictions.known
    half = np.random.default_rng(seed).permutation(n) % 2
    tuned, pooled = np.zeros((2, *targets.shape), bool)
    calibrated = np.zeros(targets.shape)
    for number in (0, 1):
        inside = half == number
        rest = _rows(predictions, ~inside)
        other, pooled[inside] = _fit(rest, calibration, rule, logits[inside])
        tuned[inside] = other.labels(logits[inside])
        calibrated[inside] = other.probabilities(logits[inside])
    plain = Decision.plain(predictions.class_names)
    return TunedDecision(
        decision,
        HeldOut(
            tuned=precision_recall_f1(targets, tuned, known),
            pooled=precision_recall_f1(targets, pooled, known),
            fixed=precision_recall_f1(targets, plain.labels(logits), known),
            images=n,
        ),
        CalibrationCheck(
            before=reliability(targets, plain.probabilities(logits), known),
            after=reliability(targets, calibrated, known),
            images=n,
        ),
    )


def _fit(
    predictions: Predictions,
    method: CalibrationMethod,
    rule: Mapping[str, Any],
    logits: NDArray[np.float32],
) -> tuple[Decision, NDArray[np.bool_]]:
    """A decision, and what one threshold for all would give for some logits."""
    p, names = predictions, predictions.class_names
    line = fit_calibration(
        p.targets, p.logits, p.known, class_names=names, method=method, shrinkage=rule["shrinkage"]
    )
    scale = _own_scale(p)
    found = tune_thresholds(
        p.targets, _log_odds(scale, p.logits), p.known, class_names=names, **rule
    )
    limits = (np.array(found.values) - scale.intercepts) / scale.slopes
    thresholds = replace(found, values=tuple(limits.tolist()))
    return Decision(line, thresholds), _log_odds(scale, logits) >= found.pooled


def _own_scale(predictions: Predictions) -> Calibration:
    """The log odds of each class by itself, in which its threshold is drawn towards the others'."""
    p = predictions
    try:
        return fit_calibration(
            p.targets, p.logits, p.known, class_names=p.class_names, shrinkage=_SCALE_SHRINKAGE
        )
    except DataError:  # the logits order nothing: as they are, then
        return Calibration.identity(p.class_names)


def _log_odds(line: Calibration, logits: NDArray[np.float32]) -> NDArray[np.float64]:
    return logits.astype(np.float64) * line.slopes + line.intercepts


def _rows(predictions: Predictions, kept: NDArray[np.bool_]) -> Predictions:
    known = predictions.known
    return replace(
        predictions,
        image_ids=predictions.image_ids[kept],
        logits=predictions.logits[kept],
        targets=predictions.targets[kept],
        known=None if known is None else known[kept],
    )
