"""Thresholds and calibration of a checkpoint, tuned on validation images and kept in it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np

from mlt.config import Config
from mlt.engine.evaluate import Part, evaluate_checkpoint
from mlt.errors import CheckpointError, ConfigError, DataError
from mlt.metrics import TunedDecision, tune_decision
from mlt.models.checkpoint import (
    check_class_names,
    checkpoint_digest,
    decision_copy,
    read_info,
    save_decision,
)
from mlt.predictions import Predictions
from mlt.run_folder import RunFolder

__all__ = ["tune_checkpoint"]

logger = logging.getLogger(__name__)


def tune_checkpoint(
    checkpoint: str | Path,
    validation: Config | str | Path,
    *,
    allow_test_images: bool = False,
    **options: Any,
) -> TunedDecision:
    """Tune thresholds and calibration, and put them into the checkpoint.

    Args:
        checkpoint: A ``.safetensors`` file of a run.
        validation: A configuration that names validation images (if it names none, its test
            images are taken for them), or a file with the checkpoint's predictions of them.
        allow_test_images: Tune on test images of the run although it has validation images.
        **options: Of :func:`mlt.metrics.tune_decision`.

    Returns:
        What was found, and what it gives on images it was not tuned on.

    Raises:
        UserError: For whatever is wrong with checkpoint, predictions or options, or if these are
            test images of a run that has validation images; the checkpoint is then as it was.
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
    _check_not_tested(RunFolder(Path(checkpoint).parent), predictions, allow_test_images)
    tuned = tune_decision(predictions, **options)
    save_decision(checkpoint, tuned.to_json())
    logger.info("thresholds and calibration are in %s", checkpoint)
    logger.info("and, to read, in %s", decision_copy(checkpoint))
    return tuned


def _check_not_tested(run: RunFolder, predictions: Predictions, allowed: bool) -> None:
    """Refuse images that the run's results are about; warn of them where there are no others.

    Raises:
        ConfigError: If the run has validation images to tune on, and these are not allowed.
    """
    shared = _tested(run, predictions)
    if not shared:
        return
    what = (
        f"{shared} of these {len(predictions)} images are test images of the run, see "
        f"{run.predictions}. Rates of its test images with thresholds that were tuned on them look "
        "better than they are"
    )
    if run.validation.is_file() and not allowed:
        raise ConfigError(
            f"{what}. Tune on its validation images: --predictions {run.validation}; "
            "--allow-test-images tunes on these all the same"
        )
    logger.warning(
        "warning: %s. The rates that are printed are of halves that they were not tuned on%s",
        what,
        "" if run.validation.is_file() else "; the run has no validation images (data.validation)",
    )


def _tested(run: RunFolder, predictions: Predictions) -> int:
    """How many of the images are test images of the run, by their ids and labels."""
    if not run.predictions.is_file():
        return 0
    try:
        tested = Predictions.load(run.predictions)
    except DataError:
        return 0
    if tested.class_names != predictions.class_names:
        return 0
    _, ours, theirs = np.intersect1d(
        predictions.image_ids.astype(np.str_),
        tested.image_ids.astype(np.str_),
        return_indices=True,
    )
    # Ids alone may be row numbers, which images of any two parts have in common.
    same = np.array_equal(predictions.targets[ours], tested.targets[theirs])
    return len(ours) if same else 0
