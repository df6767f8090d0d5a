"""Train: from a configuration, and what is handed over, to a folder with weights and results."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal

from torch import nn

from mlt.config import Config, dump_config, load_config
from mlt.data.own_data import Given
from mlt.engine.cached_images import with_cached_inputs
from mlt.engine.early_stopping import check_early_stopping
from mlt.engine.epochs import train_epochs
from mlt.engine.loggers import check_loggers, open_loggers
from mlt.engine.own import LossFunction, Own
from mlt.engine.resume import check_same_config, check_same_own, data_digests, go_on
from mlt.engine.setup import Setup, prepare
from mlt.engine.stages import begin_first_stage
from mlt.engine.watch import OnEpoch
from mlt.errors import ConfigError
from mlt.files import write_json_object
from mlt.metrics import Summary
from mlt.run_folder import RunFolder
from mlt.runtime.interrupt import GracefulStop
from mlt.runtime.processes import joined

__all__ = ["OnEpoch", "train"]

logger = logging.getLogger(__name__)


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

    The results in ``metrics.json`` are those of the test images after the last epoch; with
    ``training.early_stopping`` they are those of ``best.safetensors``.
    ``best.safetensors`` holds the epoch with the highest total mAP, or what
    ``evaluation.best_by`` names (``AUROC``, ``top1``), on the validation images, whose last
    predictions are in ``validation.npz``. Without validation images it was chosen on the test
    images, so that its mAP on them is an optimistic figure.

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
        on_epoch: Called after each epoch with the dictionary that is its line of
            ``metrics.jsonl``, and after each evaluation within an epoch
            (``evaluation.every: {updates: n}``), whose lines have the key ``part_of_epoch``. What
            it raises ends the run, which can then be resumed.
        resume: Continue the interrupted run in the folder; a finished one is only evaluated. Hand
            over what the run was handed when it began. ``"auto"`` continues if there is a state to
            continue from, and starts otherwise, so that a job can be repeated as it is.
        overwrite: Replace an earlier run in the folder.

    Returns:
        The evaluation in ``metrics.json``.

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
    with joined() as processes, ExitStack() as stack:
        with processes.together():
            if not isinstance(config, Config):
                config = load_config(config)
            _check_arguments(on_epoch, resume)
            check_loggers(config.logging)
            own = Own.of(data, model, loss, config.training.workers)
        folder = RunFolder(config.output)
        goes_on = processes.on_main(lambda: _goes_on(config, folder, own, resume, overwrite))
        setup = prepare(config, folder.cache, own, processes, folder.state if goes_on else None)
        with processes.together():
            check_early_stopping(setup)

        def take() -> None:
            stack.enter_context(folder.locked())
            folder.check(goes_on, overwrite)  # again: another process may have finished meanwhile
            if not goes_on:
                stack.enter_context(folder.replacing())

        processes.on_main(take)
        if goes_on:
            setup = go_on(setup, folder)
        tell: list[OnEpoch] = [on_epoch] if on_epoch else []

        def begin() -> None:
            _describe(config, setup, folder)
            stack.enter_context(folder.logging())
            tell.insert(0, stack.enter_context(open_loggers(config, folder)))
            for key in own.names:
                logger.info("%s: handed over from Python, not from the configuration", key)
            for note in setup.notes:
                warns = note.startswith("warning")
                logger.log(logging.WARNING if warns else logging.INFO, "%s", note)

        processes.on_main(begin)
        if goes_on:
            setup = with_cached_inputs(setup, folder.cache)
        else:
            setup = begin_first_stage(setup, folder.cache)
        with GracefulStop() as stop, _workers_may_end(stop):
            return train_epochs(setup, folder, stop, tell)


def _check_arguments(on_epoch: object, resume: object) -> None:
    if on_epoch is not None and not callable(on_epoch):
        raise ConfigError(
            f"on_epoch is a {type(on_epoch).__name__}; expected a function of the epoch's record"
        )
    if resume not in (True, False, "auto"):
        raise ConfigError(f"resume is {resume!r}; expected True, False or 'auto'")


def _goes_on(
    config: Config, folder: RunFolder, own: Own, resume: bool | Literal["auto"], overwrite: bool
) -> bool:
    """Whether the run in the folder is to be continued; refuse what must not be."""
    folder.recover()
    if folder.is_of_this_launch:
        resume = True
    if resume == "auto":
        resume = folder.has_state
    folder.check(resume, overwrite)
    if resume:
        check_same_config(config, folder)
        check_same_own(own, folder)
    return resume


def _describe(config: Config, setup: Setup, folder: RunFolder) -> None:
    """Write what the run is made of."""
    folder.write_config(dump_config(config))
    if described := setup.own.names:
        write_json_object(folder.handed_over, described)
    setup.data.split.save(folder.split)
    write_json_object(folder.data, data_digests(setup.data))
    folder.write_environment(str(setup.device))


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
