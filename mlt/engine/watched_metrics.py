"""What is measured during training, of the images that it is watched on."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import torch

from mlt.data.loader import Loader
from mlt.engine.evaluate import predict
from mlt.engine.one_label import activation_of
from mlt.engine.setup import Setup
from mlt.errors import TrainingError
from mlt.metrics import auroc, summarize
from mlt.metrics.one_label import top1_accuracy
from mlt.predictions import Predictions

__all__ = ["in_words", "measure", "predict_part", "predict_watched"]


def predict_watched(setup: Setup) -> Predictions:
    """Predict the images that training is watched on: the validation images, or the test images."""
    loader = setup.test_loader if setup.validation_loader is None else setup.validation_loader
    return predict_part(setup, loader)


def predict_part(setup: Setup, loader: Loader) -> Predictions:
    """Predict the images of a loader of the run with the weights that are evaluated."""
    return predict(
        setup.training.evaluated_model,
        loader,
        setup.class_counts.counts,
        len(setup.data.train),
        setup.device,
        setup.inputs,
        setup.config.evaluation.average,
        setup.processes,
        activation_of(setup.training.loss),
    )


def measure(setup: Setup, predictions: Predictions) -> dict[str, Any]:
    """Measure what the configuration asks for, as a line of ``metrics.jsonl`` has it.

    Args:
        setup: The run.
        predictions: Of the images that it is watched on.

    Returns:
        ``mAP`` always; ``top1``, top-1 accuracy and the mean recall of head, medium and tail, where
        every image has exactly one label; ``AUROC`` and ``validation_loss`` where something is
        decided by them.

    Raises:
        TrainingError: If the validation loss is asked for and is not finite.
    """
    stopping = setup.config.training.early_stopping
    by = {setup.config.evaluation.best_by, *([stopping.metric.split(".")[0]] if stopping else [])}
    limits = setup.class_counts.limits
    measured = {"mAP": summarize(predictions, limits=limits, details=False).to_json()["mAP"]}
    if predictions.one_label:
        measured["top1"] = top1_accuracy(predictions, setup.class_counts.groups)
    if "AUROC" in by:
        measured["AUROC"] = {"total": _mean_auroc(predictions)}
    if "loss" in by:
        measured["validation_loss"] = _loss(setup, predictions)
    return measured


def in_words(measured: dict[str, Any], part: str) -> list[str]:
    """What was measured, for a person to read.

    Args:
        measured: What :func:`measure` returned.
        part: What to put before each, such as ``"validation "``.

    Example:
        >>> in_words({"mAP": {"total": 0.5, "tail": None}, "validation_loss": 0.25}, "validation ")
        ['validation mAP total 50.00', 'validation loss 0.2500']
    """
    words = []
    for name, means in measured.items():
        if name == "validation_loss":
            words.append(f"validation loss {means:.4f}")
        elif means["total"] is not None:
            values = [f"{key} {100 * v:.2f}" for key, v in means.items() if v is not None]
            words.append(f"{part}{name} {' '.join(values)}")
    return words


def _mean_auroc(predictions: Predictions) -> float | None:
    """The mean over the classes that have an AUROC; None where none has."""
    areas = auroc(predictions.targets, predictions.log_odds, predictions.known)
    return None if np.isnan(areas).all() else float(np.nanmean(areas))


def _loss(setup: Setup, predictions: Predictions) -> float:
    """The mean of the training loss over batches of the predictions, which leaves it as it was."""
    loss, device = setup.training.loss, setup.device
    before, trained = copy.deepcopy(loss.state_dict()), loss.training
    total, size = 0.0, setup.config.training.batch_size
    devices = [device] if device.type == "cuda" else []
    loss.eval()
    with torch.no_grad(), torch.random.fork_rng(devices=devices):
        for start in range(0, len(predictions), size):
            rows = slice(start, start + size)
            logits, targets, known = (
                None if array is None else torch.as_tensor(array[rows], device=device)
                for array in (predictions.logits, predictions.targets, predictions.known)
            )
            assert logits is not None and targets is not None
            total += loss(logits, targets.float(), known).item() * len(logits)
    loss.load_state_dict(before)
    loss.train(trained)
    if not math.isfinite(total):
        raise TrainingError(
            f"the loss of the validation images is {total} after update "
            f"{setup.training.position.updates}; a lower optimizer.lr usually helps"
        )
    return total / len(predictions)
