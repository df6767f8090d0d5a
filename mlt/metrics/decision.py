"""From logits to what a user sees: calibrated probabilities and the labels that are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlt.activation import Activation
from mlt.errors import DataError
from mlt.metrics.calibration import Calibration
from mlt.metrics.precision_recall import decide, top_k
from mlt.metrics.thresholds import Thresholds

__all__ = ["Decision"]


@dataclass(frozen=True)
class Decision:
    """A calibration and a threshold on the logits for each class.

    A softmax has no thresholds: of each image it gives the most probable class.

    Attributes:
        calibration: From logits to probabilities.
        thresholds: The logit at and above which a label is given; None: 0 for every class, which
            is a probability of one half before calibration. Their ``pooled`` one is on the log
            odds of each class, where one number can serve all.
    """

    calibration: Calibration
    thresholds: Thresholds | None = None

    def __post_init__(self) -> None:
        if self.gives_one_label and self.thresholds is not None:
            raise DataError("a softmax gives the most probable class; it has no thresholds")

    @classmethod
    def plain(cls, class_names: Sequence[str], activation: Activation = "sigmoid") -> Decision:
        """The sigmoid as it is and a threshold of one half; or the softmax as it is.

        Example:
            >>> Decision.plain(["cat", "dog"]).labels([[0.1, -0.1]])
            array([[ True, False]])
        """
        return cls(Calibration.identity(class_names, activation))

    @property
    def gives_one_label(self) -> bool:
        """Whether each image is given exactly one label, the most probable one."""
        return self.calibration.activation == "softmax"

    @property
    def limits(self) -> tuple[float, ...]:
        """The logit of each class at and above which its label is given; not of a softmax."""
        if self.thresholds is None:
            return (0.0,) * len(self.calibration.class_names)
        return self.thresholds.values

    def probabilities(self, logits: ArrayLike) -> NDArray[np.float64]:
        """(N, C) probabilities for (N, C) logits."""
        return self.calibration.apply(logits)

    def labels(self, logits: ArrayLike) -> NDArray[np.bool_]:
        """(N, C) decisions for (N, C) logits."""
        return top_k(logits, 1) if self.gives_one_label else decide(logits, self.limits)

    def to_json(self) -> dict[str, Any]:
        """Plain values that ``json`` can write."""
        return {
            "calibration": self.calibration.to_json(),
            "thresholds": None if self.thresholds is None else self.thresholds.to_json(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Decision:
        """Read what :meth:`to_json` returned; further keys are left alone.

        Raises:
            DataError: If it is not that.
        """
        try:
            calibration = Calibration.from_json(value["calibration"])
            given = value["thresholds"]
        except (KeyError, TypeError) as error:
            raise DataError(f"these are not a calibration and thresholds: {error!r}") from error
        thresholds = None if given is None else Thresholds.from_json(given)
        if thresholds is not None and thresholds.class_names != calibration.class_names:
            raise DataError("calibration and thresholds are of different classes")
        return cls(calibration, thresholds)
