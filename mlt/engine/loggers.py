"""Send the lines of a run to TensorBoard, Weights & Biases or MLflow, where it is asked for.

Each logger is a function of a line, as one of your own that is handed to :func:`mlt.train` is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from typing import Any

from mlt.config import Config
from mlt.errors import ConfigError
from mlt.files import read_json_object, write_json_object
from mlt.run_folder import RunFolder

__all__ = ["check_loggers", "flat", "open_loggers"]

logger = logging.getLogger(__name__)

Log = Callable[[int, dict[str, float]], None]
"""Takes a step and its numbers by name."""


def check_loggers(names: tuple[str, ...]) -> None:
    """Refuse loggers whose package is not installed, before anything is written.

    Raises:
        ConfigError: Naming what to install.
    """
    for name in names:
        if find_spec(name) is None:
            raise ConfigError(f"logging: {name} is not installed; pip install 'mlt[{name}]'")


def flat(record: dict[str, Any]) -> dict[str, float]:
    """The numbers of a line of ``metrics.jsonl``, by name.

    Example:
        >>> flat({"epoch": 3, "loss": 0.5, "lr": None, "mAP": {"total": 0.25, "tail": None}})
        {'epoch': 3, 'loss': 0.5, 'mAP/total': 0.25}
    """
    numbers: dict[str, float] = {}
    for key, value in record.items():
        if isinstance(value, dict):
            numbers |= {f"{key}/{name}": number for name, number in flat(value).items()}
        elif value is not None:
            numbers[key] = value
    return numbers


@contextmanager
def open_loggers(config: Config, folder: RunFolder) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Open the loggers of a configuration for the length of a run.

    Steps are epochs, or updates where evaluations come after updates (``evaluation.every:
    {updates: n}``). A resumed run goes on in the same place: what each logger calls the run is kept
    in ``loggers.json`` of the run folder.

    Args:
        config: The run.
        folder: Where it is written to.

    Yields:
        A function that takes a line of ``metrics.jsonl``.
    """
    openers = {"tensorboard": _tensorboard, "wandb": _wandb, "mlflow": _mlflow}
    ids = read_json_object(folder.loggers)
    with ExitStack() as stack:
        logs = [
            stack.enter_context(contextmanager(openers[name])(config, folder, ids))
            for name in config.logging
        ]
        if ids:
            write_json_object(folder.loggers, ids)

        step = "updates" if config.evaluation.every_updates else "epoch"

        def log_line(record: dict[str, Any]) -> None:
            for log in logs:
                log(record[step], flat(record))

        yield log_line


def _tensorboard(config: Config, folder: RunFolder, ids: dict[str, str]) -> Iterator[Log]:
    from torch.utils.tensorboard import SummaryWriter

    # What an earlier part of the run logged of epochs that are trained again is left out.
    by_updates = config.evaluation.every_updates is not None
    last = folder.recorded_updates() if by_updates else folder.recorded_epochs()
    with SummaryWriter(folder.tensorboard, purge_step=last + 1) as writer:

        def log(step: int, numbers: dict[str, float]) -> None:
            for name, number in numbers.items():
                writer.add_scalar(name, number, step)
            writer.flush()

        yield log


def _wandb(config: Config, folder: RunFolder, ids: dict[str, str]) -> Iterator[Log]:
    import wandb

    with wandb.init(
        project="mlt",
        name=folder.path.name,
        id=ids.get("wandb"),
        resume="allow",
        dir=folder.path,
        config=config.model_dump(mode="json"),
    ) as run:
        ids["wandb"] = run.id
        yield lambda step, numbers: run.log(numbers, step=step)


def _mlflow(config: Config, folder: RunFolder, ids: dict[str, str]) -> Iterator[Log]:
    import mlflow

    known = ids.get("mlflow")
    with mlflow.start_run(run_id=known, run_name=None if known else folder.path.name) as run:
        ids["mlflow"] = run.info.run_id
        if known is None:
            mlflow.log_dict(config.model_dump(mode="json"), "config.yaml")
        yield lambda step, numbers: mlflow.log_metrics(numbers, step=step)
