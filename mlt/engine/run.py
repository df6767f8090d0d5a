"""A whole run: from a configuration to a folder with weights, predictions and results."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from mlt.config import Config, changed_keys, dump_config, load_config
from mlt.data import Split
from mlt.data.loader import Loader
from mlt.engine.evaluate import predict, write_results
from mlt.engine.setup import Setup, prepare
from mlt.engine.train import train_epoch
from mlt.errors import ConfigError, DataError
from mlt.files import write_text_atomic
from mlt.metrics import Predictions, Summary, summarize
from mlt.models.checkpoint import (
    CheckpointInfo,
    load_training_state,
    save_checkpoint,
    save_training_state,
)
from mlt.run_folder import RunFolder
from mlt.runtime.interrupt import GracefulStop

__all__ = ["MAY_CHANGE", "train_run"]

logger = logging.getLogger(__name__)

MAY_CHANGE = ("output", "device", "training.workers", "data.root", "data.on_image_error")
"""Keys that may differ when a run goes on. That the images are the same is checked by itself."""


def train_run(config: Config, resume: bool = False, overwrite: bool = False) -> Summary:
    """Train and evaluate; everything is written to the folder ``config.output``.

    The results in ``metrics.json`` are those of the test images after the last epoch.
    ``best.safetensors`` holds the epoch with the highest total mAP on the validation images, whose
    last predictions are in ``validation.npz``. Without validation images it was chosen on the test
    images, so that its mAP on them is an optimistic figure.

    Args:
        config: The run.
        resume: Continue the interrupted run in the folder; a finished one is only evaluated.
        overwrite: Replace an earlier run in the folder.

    Returns:
        The evaluation after the last epoch.

    Raises:
        UserError: For whatever is wrong with configuration, data, weights or folder. Nothing of an
            earlier run is touched before all of that has been checked.
        KeyboardInterrupt: When interrupted; the run can then be resumed.
    """
    folder = RunFolder(config.output)
    folder.recover()
    folder.check(resume, overwrite)
    if resume:
        _check_same(config, folder)
    setup = prepare(config, folder.cache)
    with folder.locked():
        folder.check(resume, overwrite)  # again: another process may have finished meanwhile
        with nullcontext() if resume else folder.replacing():
            if resume:
                _check_same_split(setup, folder)
                setup.training.load_state_dict(load_training_state(folder.state, setup.device))
            write_text_atomic(folder.config, dump_config(config))
            setup.data.split.save(folder.split)
            folder.write_environment(str(setup.device))
            with folder.logging(), GracefulStop() as stop, _workers_may_end(stop):
                for note in setup.data.notes:
                    logger.info("%s", note)
                return _train(setup, folder, stop)


def _train(setup: Setup, folder: RunFolder, stop: GracefulStop) -> Summary:
    """The epochs that are left, each with its checkpoint and evaluation, then the results."""
    config, position = setup.config, setup.training.position
    folder.trim_history(position.epoch)
    if position.epoch < config.training.epochs:
        folder.forget_results()
    logger.info(
        "training on %s: %d images, %d classes, %d epochs of %d updates",
        setup.device,
        setup.class_counts.total,
        setup.class_counts.num_classes,
        config.training.epochs,
        setup.updates_per_epoch,
    )
    watched: Predictions | None = None
    while position.epoch < config.training.epochs or folder.recorded_epochs() < position.epoch:
        if folder.recorded_epochs() == position.epoch:
            train_epoch(setup.training, setup.train_loader, config.training, setup.device, stop)
            save_training_state(folder.state, setup.training.state_dict())
            folder.forget_previous()
        if folder.recorded_epochs() < position.epoch:
            _save(setup, folder.last)
            watched = _record(setup, folder)
        if stop.requested:
            logger.warning("stopped; --resume continues the run in %s", folder.path)
            raise KeyboardInterrupt
    if watched is None:  # nothing to train, or a finished run resumed
        if not folder.last.exists():  # a finished one may have been tuned meanwhile
            _save(setup, folder.last)
        watched = _predict_watched(setup)
    predictions = watched
    if setup.validation_loader is not None:
        watched.save(folder.validation)
        predictions = _predict(setup, setup.test_loader)
    summary = summarize(predictions, setup.class_counts.limits)
    write_results(folder.path, summary, predictions)
    _report_skipped(setup)
    logger.info("results are in %s", folder.path)
    return summary


def _report_skipped(setup: Setup) -> None:
    loaders = {
        "training": setup.train_loader,
        "validation": setup.validation_loader,
        "test": setup.test_loader,
    }
    for part, loader in loaders.items():
        if loader is not None and loader.skipped:
            logger.warning("%d %s images could not be read and were skipped", loader.skipped, part)


@contextmanager
def _workers_may_end(stop: GracefulStop) -> Iterator[None]:
    """Take it as an interruption when the loader's workers end after a signal to all processes."""
    try:
        yield
    except RuntimeError as error:
        if stop.requested and str(error).startswith("DataLoader worker"):
            logger.warning("the processes that load images were ended too")
            raise KeyboardInterrupt from error
        raise


def _record(setup: Setup, folder: RunFolder) -> Predictions | None:
    """Evaluate the epoch just completed if it is due, write its line, keep it if it is the best.

    Returns:
        Predictions of the watched images if the evaluation was due.
    """
    config, position = setup.config, setup.training.position
    last = position.epoch == config.training.epochs
    every = config.evaluation.every
    due = last or (every > 0 and position.epoch % every == 0)
    predictions = _predict_watched(setup) if due else None
    means: dict[str, float | None] = {}
    if predictions is not None:
        means = summarize(predictions, setup.class_counts.limits, details=False).to_json()["mAP"]
        if (means["total"] or 0.0) > folder.best_total():
            _save(setup, folder.best)
    folder.append_history(
        {
            "epoch": position.epoch,
            "updates": position.updates,
            "loss": position.last_loss,
            "lr": max(group["lr"] for group in setup.training.optimizer.param_groups),
            "mAP": means or None,
        }
    )
    scores = " ".join(f"{k} {100 * v:.2f}" for k, v in means.items() if v is not None)
    part = "" if setup.validation_loader is None else "validation "
    loss = math.nan if position.last_loss is None else position.last_loss
    logger.info(
        "epoch %d/%d: loss %.4f%s",
        position.epoch,
        config.training.epochs,
        loss,
        f", {part}mAP {scores}" if scores else "",
    )
    return predictions


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
        mirror=setup.config.evaluation.mirror,
    )


def _save(setup: Setup, path: Path) -> None:
    info = CheckpointInfo(
        class_names=setup.class_counts.names,
        class_counts=tuple(int(n) for n in setup.class_counts.counts),
        num_train_images=len(setup.data.train),
        model=setup.config.model.model_dump(mode="json"),
        preprocessing=setup.preprocessing.to_dict(),
        epoch=setup.training.position.epoch,
    )
    save_checkpoint(path, setup.training.evaluated_model.state_dict(), info)


def _check_same(config: Config, folder: RunFolder) -> None:
    """Refuse to resume under another configuration, but for a longer training or a new place."""
    changed = changed_keys(load_config(folder.config), config)
    allowed = (*MAY_CHANGE, "evaluation.", "training.epochs")
    refused = [key for key in changed if not key.startswith(allowed)]
    if refused:
        raise ConfigError(
            f"--resume: {', '.join(refused)} differ from the run in {folder.path} "
            f"(see {folder.config}); start a new run for a new configuration"
        )


def _check_same_split(setup: Setup, folder: RunFolder) -> None:
    """Refuse to resume on other images or labels than the run began with."""
    earlier, now = Split.load(folder.split), setup.data.split
    same_images = earlier.sha256_sorted_ids == now.sha256_sorted_ids
    if not same_images or earlier.class_counts != now.class_counts:
        raise DataError(
            f"--resume: the training data has changed since the run in {folder.path} began: "
            f"{earlier.num_images} images then, {now.num_images} now"
            f"{'' if same_images else ', not the same ones'}. Start a new run, or train on the "
            f"earlier images with data.split={folder.split} if the annotations still have them"
        )
