"""Epoch after epoch: train, save, evaluate, and write what came of it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlt.engine.loop import train_epoch
from mlt.engine.results import write_results
from mlt.engine.run_weights import load_weights, save_weights
from mlt.engine.save_timer import SaveTimer
from mlt.engine.setup import Setup
from mlt.engine.stages import begin_due_stages
from mlt.engine.time_left import TimeLeft
from mlt.engine.training_state import save_training_state
from mlt.engine.watch import OnEpoch, Watch
from mlt.engine.watched_metrics import predict_part, predict_watched
from mlt.engine.what_learns import what_learns
from mlt.metrics import Summary, summarize
from mlt.run_folder import RunFolder
from mlt.runtime.interrupt import GracefulStop

__all__ = ["train_epochs"]

logger = logging.getLogger(__name__)


def train_epochs(
    setup: Setup, folder: RunFolder, stop: GracefulStop, on_epoch: Sequence[OnEpoch]
) -> Summary:
    """Train the epochs that are left, each with its checkpoint and evaluation; write the results.

    Args:
        setup: The run.
        folder: Of the run; only the main process writes to it.
        stop: A request to end after the current update.
        on_epoch: Called in the main process with each line of ``metrics.jsonl``.

    Raises:
        KeyboardInterrupt: When a stop was requested, after the state has been saved.
    """
    config, position, processes = setup.config, setup.training.position, setup.processes
    _log_beginning(setup)
    time_left = TimeLeft(setup)
    watch = Watch(setup, folder, on_epoch, time_left)
    timer = SaveTimer(config.training.save_every, lambda: _save_state(setup, folder), processes)

    def after_update() -> bool:
        if watch.line_is_due:
            save_weights(setup, folder.last)
            watch.write_line()
            setup.training.model.train()
        timer.after_update()
        return watch.is_over

    saved = True
    while True:
        if watch.line_is_due:
            if saved:
                save_weights(setup, folder.last)
            watch.write_line()
        stopped = processes.any(stop.requested)
        if (stopped or watch.is_over) and not saved:
            timer.save()
            save_weights(setup, folder.last)
        if stopped:
            logger.warning("stopped; --resume continues the run in %s", folder.path)
            raise KeyboardInterrupt
        if watch.is_over:
            break
        setup = begin_due_stages(setup, folder.cache)
        watch.go_on_with(setup)
        train_epoch(
            setup.training,
            setup.train_loader,
            config.training,
            setup.device,
            stop,
            after_update,
            processes,
            time_left.in_words,
        )
        ends = stop.requested or position.epoch == config.training.epochs
        saved = timer.after_epoch(ends or position.batch > 0)
    if position.stage + 1 < len(setup.stages):  # what is left trains nothing
        setup = begin_due_stages(setup, folder.cache)
        watch.go_on_with(setup)
        watch.predictions = None
        _save_state(setup, folder)
        save_weights(setup, folder.last)
    return _finish(setup, folder, watch)


def _log_beginning(setup: Setup) -> None:
    count = setup.processes.count
    logger.info(
        "training on %s: %d images, %d classes, %d epochs of %d updates",
        f"{count} processes, {setup.device.type}" if count > 1 else setup.device,
        setup.class_counts.total,
        setup.class_counts.num_classes,
        setup.config.training.epochs,
        setup.updates_per_epoch,
    )
    if setup.config.training.epochs == 0:
        return
    training = setup.training
    for line in what_learns(training.model, setup.stages[training.position.stage]):
        logger.info(line)


def _finish(setup: Setup, folder: RunFolder, watch: Watch) -> Summary:
    """Evaluate the weights that the run ends with, and write the results."""
    processes, watched = setup.processes, watch.predictions
    if not processes.on_main(folder.last.exists):  # nothing to train; a finished one may be tuned
        save_weights(setup, folder.last)
    ending = {}
    if setup.config.training.early_stopping is not None:
        best = processes.on_main(folder.best.exists)
        ending = {"early_stopping": _ending(setup, watch, folder.best if best else folder.last)}
        if best:
            load_weights(setup, folder.best)
            watched = None
    if watched is None:
        watched = predict_watched(setup)
    predictions = watched
    if setup.validation_loader is not None:
        predictions = predict_part(setup, setup.test_loader)
    summary = summarize(predictions, limits=setup.class_counts.limits)

    def write() -> None:
        if setup.validation_loader is not None:
            watched.save(folder.validation)
        write_results(folder.path, summary, predictions, ending)

    processes.on_main(write)
    _report_skipped(setup)
    logger.info("results are in %s", folder.path)
    return summary


def _ending(setup: Setup, watch: Watch, evaluated: Path) -> dict[str, Any]:
    """How a run with early stopping ended, as ``metrics.json`` has it."""
    position, stop = setup.training.position, watch.stop
    reason = "all epochs were trained" if stop is None else str(stop)
    logger.info("training ended in epoch %d: %s", stop.epoch if stop else position.epoch, reason)
    logger.info("the results are those of %s", evaluated.name)
    return {
        "stopped": stop is not None,
        "epoch": stop.epoch if stop else position.epoch,
        "updates": position.updates,
        "reason": reason,
        "results_of": evaluated.name,
    }


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
