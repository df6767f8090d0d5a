"""A decision tuned on validation images, and what it is worth on images it was not tuned on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlt.errors import ConfigError, DataError
from mlt.metrics.calibration import Calibration, fit_calibration
from mlt.metrics.calibration import Method as CalibrationMethod
from mlt.metrics.calibration_error import Reliability, reliability
from mlt.metrics.confidence.clusters import Clusters
from mlt.metrics.decision import Decision
from mlt.metrics.precision_recall import PrecisionRecallF1, precision_recall_f1
from mlt.metrics.thresholds import Objective, tune_thresholds
from mlt.predictions import Predictions

__all__ = ["HeldOutRates", "HeldOutReliability", "TunedDecision", "tune_decision"]

# Drawn strongly towards the common line, a class whose logits lie far from the others' would have a
# threshold above all of them; not at all, three positives would decide where its threshold goes.
_SCALE_SHRINKAGE = 1.0


@dataclass(frozen=True)
class HeldOutRates:
    """Precision, recall and F1 on images that the thresholds were not tuned on.

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


@dataclass(frozen=True)
class HeldOutReliability:
    """Reliability on images that the calibration was not fitted on.

    Attributes:
        before: Of the plain sigmoid.
        after: Of the calibrated probabilities.
        images: Images that both were measured on.
    """

    before: Reliability
    after: Reliability
    images: int

    def to_json(self) -> dict[str, Any]:
        """Plain values, None where undefined."""
        parts = {"before": self.before.to_json(), "after": self.after.to_json()}
        return {"images": self.images, **parts}


@dataclass(frozen=True)
class TunedDecision:
    """A decision and what it gives on images that it was not tuned on.

    Attributes:
        decision: Tuned on all images.
        rates: Of thresholds tuned on one half of the images and applied to the other; None of a
            softmax, which has no thresholds.
        reliability: Of a calibration fitted likewise.
    """

    decision: Decision
    rates: HeldOutRates | None
    reliability: HeldOutReliability

    def to_json(self) -> dict[str, Any]:
        """What is saved: the decision, and under ``checks`` how it was checked."""
        checks = {} if self.rates is None else {"thresholds": self.rates.to_json()}
        checks["calibration"] = self.reliability.to_json()
        return {**self.decision.to_json(), "checks": checks}


def tune_decision(
    predictions: Predictions,
    *,
    goal: Objective = "f_beta",
    target: float = 1.0,
    shrinkage: float = 10.0,
    calibration: CalibrationMethod | None = None,
    seed: int = 0,
) -> TunedDecision:
    """Tune thresholds and calibration on the predictions of validation images.

    The thresholds are tuned on each class's own log odds (Platt's), where a distance means the same
    for every class, so that a rare class can be drawn towards the common threshold although its
    logits may lie elsewhere. They are kept as logits.

    Of a softmax, which gives the most probable class, only the calibration is tuned.

    Args:
        predictions: Of images that the model was not trained on, and that no result is to be
            reported on.
        goal: What the thresholds are tuned for, see :func:`mlt.metrics.tune_thresholds`.
        target: Of the goal: beta, or a share in [0, 1].
        shrinkage: Positives at which a class and all classes together weigh the same.
        calibration: See :func:`mlt.metrics.fit_calibration`; None: "platt_per_label", or of a
            softmax "temperature".
        seed: Of the halves on which both are checked.

    Raises:
        ConfigError: If an option is impossible, or a goal is given for a softmax.
        DataError: If there are too few images, all are of one group, there is no positive, or a
            logit is not finite.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> targets = rng.random((400, 2)) < 0.1
        >>> logits = rng.normal(size=(400, 2)) + 3 * targets
        >>> tuned = tune_decision(Predictions.from_arrays(logits, targets))
        >>> tuned.rates.tuned.cf1 > tuned.rates.fixed.cf1
        True
        >>> tuned.reliability.after.ece < tuned.reliability.before.ece
        True
    """
    n = len(predictions)
    if n < 2:
        raise DataError("thresholds are tuned and checked on at least two images")
    if predictions.activation == "softmax":
        if (goal, target) != ("f_beta", 1.0):
            raise ConfigError(
                f"goal {goal}, target {target:g}: a softmax gives the most probable class of each "
                "image, so there are no thresholds to tune, only the calibration; leave them out"
            )
        return _tuned_softmax(predictions, calibration or "temperature", seed)
    calibration = calibration or "platt_per_label"
    rule: dict[str, Any] = {"goal": goal, "target": target, "shrinkage": shrinkage}
    decision, _ = _fit(predictions, calibration, rule, predictions.logits)
    targets, logits, known = predictions.targets, predictions.logits, predictions.known
    half = _halves(predictions, seed)
    tuned, pooled = np.zeros((2, *targets.shape), bool)
    calibrated = np.zeros(targets.shape)
    for number in (0, 1):
        inside = half == number
        rest = predictions.take(~inside)
        other, pooled[inside] = _fit(rest, calibration, rule, logits[inside])
        tuned[inside] = other.labels(logits[inside])
        calibrated[inside] = other.probabilities(logits[inside])
    plain = Decision.plain(predictions.class_names)
    return TunedDecision(
        decision,
        HeldOutRates(
            tuned=precision_recall_f1(targets, tuned, known),
            pooled=precision_recall_f1(targets, pooled, known),
            fixed=precision_recall_f1(targets, plain.labels(logits), known),
            images=n,
        ),
        HeldOutReliability(
            before=reliability(targets, plain.probabilities(logits), known),
            after=reliability(targets, calibrated, known),
            images=n,
        ),
    )


def _tuned_softmax(predictions: Predictions, method: CalibrationMethod, seed: int) -> TunedDecision:
    """A calibration, and what it gives on halves of the images that it was not fitted on."""
    p, names = predictions, predictions.class_names

    def fit(part: Predictions) -> Calibration:
        return fit_calibration(
            part.targets,
            part.logits,
            part.known,
            class_names=names,
            method=method,
            activation="softmax",
        )

    half = _halves(p, seed)
    calibrated = np.zeros(p.targets.shape)
    for number in (0, 1):
        inside = half == number
        calibrated[inside] = fit(p.take(~inside)).apply(p.logits[inside])
    plain = Decision.plain(names, "softmax")
    checked = HeldOutReliability(
        before=reliability(p.targets, plain.probabilities(p.logits), p.known),
        after=reliability(p.targets, calibrated, p.known),
        images=len(p),
    )
    return TunedDecision(Decision(fit(p)), None, checked)


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
    # A threshold that is a score itself must not end above it where rounding has moved it.
    given = _log_odds(scale, p.logits) >= found.values
    limits = np.minimum(limits, np.where(given, p.logits, np.inf).min(axis=0))
    thresholds = replace(found, values=tuple(limits.tolist()))
    return Decision(line, thresholds), _log_odds(scale, logits) >= found.pooled


def _halves(predictions: Predictions, seed: int) -> NDArray[np.intp]:
    """(N,) 0 or 1 at random; the images of one patient or the like are in the same half."""
    n = len(predictions)
    if predictions.groups is None:
        return np.random.default_rng(seed).permutation(n) % 2
    clusters = Clusters.of(predictions.groups, n)
    if clusters.size < 2:
        raise DataError("all images belong to one group; thresholds are checked on at least two")
    return (np.random.default_rng(seed).permutation(clusters.size) % 2)[clusters.codes]


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
