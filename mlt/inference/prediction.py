"""What a model says of one image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["NoPrediction", "Prediction"]


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model says of one image.

    Attributes:
        path: The file.
        logits: (C,) float32, as the model gave them.
        probabilities: (C,) in [0, 1], calibrated if the checkpoint has a calibration.
        given: (C,) booleans, the labels whose logits reach their thresholds; of a softmax the most
            probable class.
    """

    path: Path
    logits: NDArray[np.float32]
    probabilities: NDArray[np.float64]
    given: NDArray[np.bool_]

    def highest(self, count: int) -> list[int]:
        """Indices of the classes with the highest probabilities, highest first."""
        return np.argsort(-self.probabilities, kind="stable")[:count].tolist()

    def labels(self) -> list[int]:
        """Indices of the labels that are given, most probable first."""
        order = np.argsort(-self.probabilities, kind="stable")
        return [int(c) for c in order if self.given[c]]


@dataclass(frozen=True)
class NoPrediction:
    """An image of which a model says nothing.

    Attributes:
        path: The file.
        error: Why: it could not be read, or the model gives NaN for it.
    """

    path: Path
    error: str
