"""From logits to what a user sees: calibrated probabilities and the labels that are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlt.errors import DataError
from mlt.metrics.calibration import (
    Calibration,
    CalibrationCheck,
    check_calibration,
    fit_calibration,
)
from mlt.metrics.calibration import Method as CalibrationMethod
from mlt.metrics.predictions import Predictions
from mlt.metrics.rates import decide
from mlt.metrics.thresholds import Goal, HeldOut, Thresholds, check_thresholds, tune_thresholds

__all__ = ["Decision", "Tuned", "tune_decision"]


@dataclass(frozen=True)
class Decision:
    """A calibration and a threshold on the logits for each class.

    Attributes:
        calibration: From logits to probabilities.
        thresholds: The logit at and above which a label is given; None: 0 for every class, which
            is a probability of one half before calibration.
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
class Tuned:
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
    goal: Goal = "f_beta",
    target: float = 1.0,
    shrinkage: float = 10.0,
    calibration: CalibrationMethod = "platt_per_label",
    seed: int = 0,
) -> Tuned:
    """Tune thresholds and calibration on the predictions of validation images.

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
    if len(predictions) < 2:
        raise DataError("thresholds are tuned and checked on at least two images")
    data = predictions.targets, predictions.logits, predictions.known
    names = predictions.class_names
    how: dict[str, Any] = {"goal": goal, "target": target, "shrinkage": shrinkage}
    line: dict[str, Any] = {"method": calibration, "shrinkage": shrinkage}
    return Tuned(
        Decision(
            fit_calibration(*data, class_names=names, **line),
            tune_thresholds(*data, class_names=names, **how),
        ),
        check_thresholds(*data, seed=seed, **how),
        check_calibration(*data, seed=seed, **line),
    )
