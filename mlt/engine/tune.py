"""Thresholds and calibration of a checkpoint, tuned on validation images and kept in it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np

from mlt.config import Config
from mlt.engine.evaluate import Part, evaluate_checkpoint
from mlt.errors import CheckpointError, DataError
from mlt.metrics import TunedDecision, tune_decision
from mlt.models.checkpoint import (
    check_class_names,
    checkpoint_digest,
    decision_copy,
    read_info,
    save_decision,
)
from mlt.predictions import Predictions

__all__ = ["tune_checkpoint"]

logger = logging.getLogger(__name__)


def tune_checkpoint(
    checkpoint: str | Path, validation: Config | str | Path, **options: Any
) -> TunedDecision:
    """Tune thresholds and calibration, and put them into the checkpoint.

    Args:
        checkpoint: A ``.safetensors`` file of a run.
        validation: A configuration that names validation images (if it names none, its test
            images are taken for them), or a file with the checkpoint's predictions of them.
        **options: Of :func:`mlt.metrics.tune_decision`.

    Returns:
        What was found, and what it gives on images it was not tuned on.

    Raises:
        UserError: For whatever is wrong with checkpoint, predictions or options; the checkpoint
            is then as it was.
    """
    if isinstance(validation, Config):
        part: Part = "validation" if validation.data.has_validation else "test"
        predictions = evaluate_checkpoint(validation, checkpoint, part)
    else:
        predictions = Predictions.load(validation)
        names = read_info(checkpoint).class_names
        check_class_names(checkpoint, names, predictions.class_names)
        if predictions.model not in ("", checkpoint_digest(checkpoint)):
            raise CheckpointError(
                f"{validation} are predictions of other weights than {checkpoint} has; make them "
                "with `mlt evaluate CONFIG --checkpoint FILE --output DIR`, or give --config"
            )
    tuned = tune_decision(predictions, **options)
    save_decision(checkpoint, tuned.to_json())
    _warn_if_tested(Path(checkpoint), predictions)
    logger.info("thresholds and calibration are in %s", checkpoint)
    logger.info("and, to read, in %s", decision_copy(checkpoint))
    return tuned


def _warn_if_tested(checkpoint: Path, predictions: Predictions) -> None:
    """Tell whoever tunes on the images that the run's results are about."""
    tested = checkpoint.parent / "predictions.npz"
    if not tested.is_file():
        return
    try:
        run = Predictions.load(tested)
    except DataError:
        return
    if np.array_equal(run.image_ids, predictions.image_ids) and np.array_equal(
        run.targets, predictions.targets
    ):
        logger.warning(
            "warning: these are the test images of the run. Rates of its test images with these "
            "thresholds would look better than they are; the rates below are of halves that they "
            "were not tuned on"
        )
