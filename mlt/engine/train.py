"""Train: from a configuration, and what is handed over, to a folder with weights and results."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Literal

import numpy as np
from torch import nn

from mlt.config import Config, dump_config, load_config
from mlt.data.loader import Loader
from mlt.data.own_data import Given
from mlt.engine.cached_features import with_cached_features
from mlt.engine.evaluate import predict
from mlt.engine.loggers import check_loggers, open_loggers
from mlt.engine.loop import train_epoch
from mlt.engine.own import LossFunction, Own
from mlt.engine.results import write_results
from mlt.engine.resume import check_same_config, check_same_own, data_digests, go_on
from mlt.engine.save_timer import SaveTimer
from mlt.engine.setup import Setup, prepare
from mlt.engine.training_state import save_training_state
from mlt.errors import ConfigError
from mlt.files import write_json_object
from mlt.metrics import Summary, auroc, summarize
from mlt.models.checkpoint import OWN_MODEL, CheckpointInfo, save_checkpoint
from mlt.predictions import Predictions
from mlt.run_folder import RunFolder
from mlt.runtime.interrupt import GracefulStop

__all__ = ["OnEpoch", "train"]

logger = logging.getLogger(__name__)

OnEpoch = Callable[[dict[str, Any]], None]
"""Called after each epoch with the dictionary that is its line of ``metrics.jsonl``."""


def train(
    config: Config | str | Path,
    *,
    data: Mapping[str, Given] | None = None,
    model: nn.Module | None = None,
    loss: LossFunction | None = None,
    on_epoch: OnEpoch | None = None,
    resume: bool | Literal["auto"] = False,
    overwrite: bool = False,
) -> Summary:
    """Train and evaluate; everything is written to the folder ``config.output``.

    What is handed over is used, what is not is built from the configuration. The run folder says
    what was handed over, in ``handed_over.json``.

    The results in ``metrics.json`` are those of the test images after the last epoch.
    ``best.safetensors`` holds the epoch with the highest total mAP, or mean AUROC with
    ``evaluation.best_by: AUROC``, on the validation images, whose last predictions are in
    ``validation.npz``. Without validation images it was chosen on the test images, so that its mAP
    on them is an optimistic figure.

    Args:
        config: The run; a configuration, a YAML file, or the name of one that ships with mlt.
        data: ``train``, ``test`` and perhaps ``validation``: label tables, whose images go through
            the configured transforms, or map-style data sets with ``class_names`` that yield
            ``(image, target)`` or ``(image, target, known)``: images of Pillow go through the
            configured transforms too, tensors are used as they come.
            Class counts are those of ``train``; an attribute ``targets``, (N, C), spares reading
            every item for them. See :func:`mlt.data.own_data.own_parts`.
        model: Any module from images to logits (N, C).
        loss: Called as ``loss(logits, targets)``, or ``loss(logits, targets, known=mask)`` where
            labels are not known; returns a number. One of `mlt.losses`, or your own, whose
            parameters are trained with the model's: without weight decay, at `optimizer.lr`.
        on_epoch: Called after each epoch with the dictionary that becomes its line of
            ``metrics.jsonl``. What it raises ends the run, which can then be resumed.
        resume: Continue the interrupted run in the folder; a finished one is only evaluated. Hand
            over what the run was handed when it began. ``"auto"`` continues if there is a state to
            continue from, and starts otherwise, so that a job can be repeated as it is.
        overwrite: Replace an earlier run in the folder.

    Returns:
        The evaluation after the last epoch.

    Raises:
        UserError: For whatever is wrong with configuration, data, model, loss, weights or folder.
            Nothing of an earlier run is touched before all of that has been checked.
        KeyboardInterrupt: When interrupted; the run can then be resumed.

    Example:
        Train with a loss of your own, on the data of a configuration::

            class Squared(mlt.losses.Focusing):
                def positive(self, signed):
                    return torch.nn.functional.softplus(-signed) ** 2

            loss = mlt.losses.ElementwiseLoss(focusing=Squared())
            summary = mlt.train("digits_mlt_bce", loss=loss)
    """
    if not isinstance(config, Config):
        config = load_config(config)
    if on_epoch is not None and not callable(on_epoch):
        raise ConfigError(
            f"on_epoch is a {type(on_epoch).__name__}; expected a function of the epoch's record"
        )
    if resume not in (True, False, "auto"):
        raise ConfigError(f"resume is {resume!r}; expected True, False or 'auto'")
    folder = RunFolder(config.output)
    folder.recover()
    if resume == "auto":
        resume = folder.has_state
    folder.check(resume, overwrite)
    if resume:
        check_same_config(config, folder)
    check_loggers(config.logging)
    own = Own.of(data, model, loss, config.training.workers)
    if resume:
        check_same_own(own, folder)
    setup = prepare(config, folder.cache, own)
    with folder.locked():
        folder.check(resume, overwrite)  # again: another process may have finished meanwhile
        with nullcontext() if resume else folder.replacing():
            if resume:
                go_on(setup, folder)
            folder.write_config(dump_config(config))
            if described := own.describe():
                write_json_object(folder.handed_over, described)
            setup.data.split.save(folder.split)
            write_json_object(folder.data, data_digests(setup.data))
            folder.write_environment(str(setup.device))
            with folder.logging(), open_loggers(config, folder) as log_epoch:
                for key in described:
                    logger.info("%s: handed over from Python, not from the configuration", key)
                for note in setup.notes:
                    warns = note.startswith("warning")
                    logger.log(logging.WARNING if warns else logging.INFO, "%s", note)
                setup = with_cached_features(setup, folder.cache)
                told = [log_epoch, *([on_epoch] if on_epoch else [])]
                with GracefulStop() as stop, _workers_may_end(stop):
                    return _train(setup, folder, stop, told)


def _train(
    setup: Setup, folder: RunFolder, stop: GracefulStop, on_epoch: Sequence[OnEpoch]
) -> Summary:
    """The epochs that are left, each with its checkpoint and evaluation, then the results."""
    config, position = setup.config, setup.training.position
    folder.trim_history(position.epoch)
    logger.info(
        "training on %s: %d images, %d classes, %d epochs of %d updates",
        setup.device,
        setup.class_counts.total,
        setup.class_counts.num_classes,
        config.training.epochs,
        setup.updates_per_epoch,
    )

    def save() -> None:
        save_training_state(folder.state, setup.training.state_dict())
        folder.forget_earlier()
        folder.forget_results()

    timer = SaveTimer(config.training.save_every, save)
    watched: Predictions | None = None
    while position.epoch < config.training.epochs or folder.recorded_epochs() < position.epoch:
        if folder.recorded_epochs() == position.epoch:
            train_epoch(
                setup.training,
                setup.train_loader,
                config.training,
                setup.device,
                stop,
                timer.after_update,
            )
            timer.save()
        if folder.recorded_epochs() < position.epoch:
            _save(setup, folder.last)
            watched, record = _record(setup, folder)
            for tell in on_epoch:
                tell(record)
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
    summary = summarize(predictions, limits=setup.class_counts.limits)
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


def _record(setup: Setup, folder: RunFolder) -> tuple[Predictions | None, dict[str, Any]]:
    """Evaluate the epoch just completed if it is due, write its line, keep it if it is the best.

    Returns:
        Predictions of the watched images if the evaluation was due, and the line.
    """
    config, position = setup.config, setup.training.position
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
        if (watched[by]["total"] or 0.0) > folder.best_total(by):
            _save(setup, folder.best)
    record = {
        "epoch": position.epoch,
        "updates": position.updates,
        "loss": position.last_loss,
        "lr": max(group["lr"] for group in setup.training.optimizer.param_groups),
        "mAP": None,
        **watched,
    }
    folder.append_history(record)
    part = "" if setup.validation_loader is None else "validation "
    scores = [
        f"{part}{metric} {_in_percent(means)}"
        for metric, means in watched.items()
        if means["total"] is not None
    ]
    loss = math.nan if position.last_loss is None else position.last_loss
    logger.info(
        "epoch %d/%d: %s",
        position.epoch,
        config.training.epochs,
        ", ".join([f"loss {loss:.4f}", *scores]),
    )
    return predictions, record


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
        mirror=setup.mirrors,
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
    save_checkpoint(path, setup.training.evaluated_model.state_dict(), info)


def _model_of(setup: Setup) -> dict[str, Any]:
    """The model as a checkpoint says it: the configuration's section, or the name of a class."""
    if setup.own.model is None:
        return setup.config.model.model_dump(mode="json")
    return {OWN_MODEL: setup.own.describe()["model"]}
