"""Epoch after epoch: train, save, evaluate, and write what came of it."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mlt.data.loader import Loader
from mlt.engine.evaluate import predict
from mlt.engine.loop import train_epoch
from mlt.engine.parallel import full
from mlt.engine.results import write_results
from mlt.engine.save_timer import SaveTimer
from mlt.engine.setup import Setup
from mlt.engine.training_state import save_training_state
from mlt.metrics import Summary, auroc, summarize
from mlt.models.checkpoint import OWN_MODEL, CheckpointInfo, save_checkpoint
from mlt.predictions import Predictions
from mlt.run_folder import RunFolder
from mlt.runtime.interrupt import GracefulStop

__all__ = ["OnEpoch", "train_epochs"]

logger = logging.getLogger(__name__)

OnEpoch = Callable[[dict[str, Any]], None]
"""Called after each epoch with the dictionary that is its line of ``metrics.jsonl``."""


def train_epochs(
    setup: Setup, folder: RunFolder, stop: GracefulStop, on_epoch: Sequence[OnEpoch]
) -> Summary:
    """Train the epochs that are left, each with its checkpoint and evaluation; write the results.

    Args:
        setup: The run.
        folder: Of the run; only the main process writes to it.
        stop: A request to end after the current update.
        on_epoch: Called in the main process with the line of each epoch.

    Raises:
        KeyboardInterrupt: When a stop was requested, after the state has been saved.
    """
    config, position, processes = setup.config, setup.training.position, setup.processes
    processes.on_main(lambda: folder.trim_history(position.epoch))
    recorded = processes.on_main(folder.recorded_epochs)
    logger.info(
        "training on %s: %d images, %d classes, %d epochs of %d updates",
        f"{processes.count} processes, {setup.device.type}"
        if processes.count > 1
        else setup.device,
        setup.class_counts.total,
        setup.class_counts.num_classes,
        config.training.epochs,
        setup.updates_per_epoch,
    )
    timer = SaveTimer(config.training.save_every, lambda: _save_state(setup, folder), processes)
    watched: Predictions | None = None
    saved = True
    while position.epoch < config.training.epochs or recorded < position.epoch:
        if recorded == position.epoch:
            train_epoch(
                setup.training,
                setup.train_loader,
                config.training,
                setup.device,
                stop,
                timer.after_update,
                processes,
            )
            ends = stop.requested or position.epoch == config.training.epochs
            saved = timer.after_epoch(ends or position.batch > 0)
        if recorded < position.epoch:
            if saved:
                _save(setup, folder.last)
            watched = _evaluate_epoch(setup, folder, on_epoch)
            recorded = position.epoch
        if processes.any(stop.requested):
            if not saved:
                timer.save()
                _save(setup, folder.last)
            logger.warning("stopped; --resume continues the run in %s", folder.path)
            raise KeyboardInterrupt
    if watched is None:  # nothing to train, or a finished run resumed
        if not processes.on_main(folder.last.exists):  # a finished one may have been tuned
            _save(setup, folder.last)
        watched = _predict_watched(setup)
    predictions = watched
    if setup.validation_loader is not None:
        predictions = _predict(setup, setup.test_loader)
    summary = summarize(predictions, limits=setup.class_counts.limits)

    def write() -> None:
        if setup.validation_loader is not None:
            watched.save(folder.validation)
        write_results(folder.path, summary, predictions)

    processes.on_main(write)
    _report_skipped(setup)
    logger.info("results are in %s", folder.path)
    return summary


def _save_state(setup: Setup, folder: RunFolder) -> None:
    state = setup.training.state_dict(setup.processes)

    def write() -> None:
        save_training_state(folder.state, state)
        folder.forget_earlier()
        folder.forget_results()

    setup.processes.on_main(write)


def _report_skipped(setup: Setup) -> None:
    loaders = {
        "training": setup.train_loader,
        "validation": setup.validation_loader,
        "test": setup.test_loader,
    }
    for part, loader in loaders.items():
        if loader is None:
            continue
        own, *others = setup.processes.gather(loader.problems)
        for problem in {row: said for other in others for row, said in other.items()}.values():
            logger.warning("Skipped: %s", problem)
        if skipped := len(own.keys() | {row for other in others for row in other}):
            logger.warning("%d %s images could not be read and were skipped", skipped, part)


def _evaluate_epoch(
    setup: Setup, folder: RunFolder, on_epoch: Sequence[OnEpoch]
) -> Predictions | None:
    """Evaluate the epoch just completed if it is due, write its line, keep it if it is the best.

    Returns:
        Predictions of the watched images if the evaluation was due.
    """
    config, position, processes = setup.config, setup.training.position, setup.processes
    last = position.epoch == config.training.epochs
    every = config.evaluation.every
    due = last or (every > 0 and position.epoch % every == 0)
    predictions = _predict_watched(setup) if due else None
    by = config.evaluation.best_by
    watched: dict[str, dict[str, float | None]] = {}
    if predictions is not None:
        limits = setup.class_counts.limits
        watched["mAP"] = summarize(predictions, limits=limits, details=False).to_json()["mAP"]
        if by == "AUROC":
            watched["AUROC"] = {"total": _mean_auroc(predictions)}
        if (watched[by]["total"] or 0.0) > processes.on_main(lambda: folder.best_total(by)):
            _save(setup, folder.best)
    record = {
        "epoch": position.epoch,
        "updates": position.updates,
        "loss": position.last_loss,
        "lr": max(group["lr"] for group in setup.training.optimizer.param_groups),
        "mAP": None,
        **watched,
    }
    logger.info(
        "epoch %d/%d: %s", position.epoch, config.training.epochs, _in_words(setup, watched)
    )

    def tell() -> None:
        folder.append_history(record)
        for function in on_epoch:
            function(record)

    processes.on_main(tell)
    return predictions


def _in_words(setup: Setup, watched: Mapping[str, Mapping[str, float | None]]) -> str:
    """The loss of the last epoch, and what was measured after it."""
    part = "" if setup.validation_loader is None else "validation "
    scores = [
        f"{part}{metric} {_in_percent(means)}"
        for metric, means in watched.items()
        if means["total"] is not None
    ]
    loss = setup.training.position.last_loss
    return ", ".join([f"loss {math.nan if loss is None else loss:.4f}", *scores])


def _mean_auroc(predictions: Predictions) -> float | None:
    """The mean over the classes that have an AUROC; None where none has."""
    areas = auroc(predictions.targets, predictions.logits, predictions.known)
    return None if np.isnan(areas).all() else float(np.nanmean(areas))


def _in_percent(means: Mapping[str, float | None]) -> str:
    return " ".join(f"{name} {100 * v:.2f}" for name, v in means.items() if v is not None)


def _predict_watched(setup: Setup) -> Predictions:
    """Predict the images that training is watched on: the validation images, or the test images."""
    loader = setup.test_loader if setup.validation_loader is None else setup.validation_loader
    return _predict(setup, loader)


def _predict(setup: Setup, loader: Loader) -> Predictions:
    return predict(
        setup.training.evaluated_model,
        loader,
        setup.class_counts.counts,
        len(setup.data.train),
        setup.device,
        setup.inputs,
        setup.config.evaluation.average,
        setup.processes,
    )


def _save(setup: Setup, path: Path) -> None:
    info = CheckpointInfo(
        class_names=setup.class_counts.names,
        class_counts=tuple(int(n) for n in setup.class_counts.counts),
        num_train_images=len(setup.data.train),
        model=_model_of(setup),
        preprocessing={} if setup.loads_tensors else setup.preprocessing.to_dict(),
        epoch=setup.training.position.epoch,
    )
    state = full(setup.training.evaluated_model.state_dict())
    setup.processes.on_main(lambda: save_checkpoint(path, state, info))


def _model_of(setup: Setup) -> dict[str, Any]:
    """The model as a checkpoint says it: the configuration's section, or the name of a class."""
    if setup.own.model is None:
        return setup.config.model.model_dump(mode="json")
    return {OWN_MODEL: setup.own.names["model"]}
