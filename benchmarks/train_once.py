"""Train a run of a benchmark, unless its output folder says that it has been trained."""

from __future__ import annotations

import time
from pathlib import Path

import mlt
from mlt.config import Config
from mlt.predictions import Predictions


def train_once(config: Config, test: bool) -> tuple[Predictions, float]:
    """Predictions of a run, and the seconds of CPU that it took, which its folder keeps.

    Args:
        config: Of the run.
        test: Whether the predictions are those of the test images, or of the validation images.
    """
    output = Path(config.output)
    seconds = output / "seconds.txt"
    if not seconds.exists():
        start = time.process_time()
        mlt.train(config, overwrite=True)  # one that was cut short begins again
        seconds.write_text(str(time.process_time() - start))
    name = "predictions.npz" if test else "validation.npz"
    return Predictions.load(output / name), float(seconds.read_text())
