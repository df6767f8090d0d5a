"""Watch a run: evaluate it when that is due, write its lines, and see when it stops improving."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from typing import Any

from mlt.engine.early_stopping import Stop, stop_of
from mlt.engine.run_weights import save_weights
from mlt.engine.setup import Setup
from mlt.engine.time_left import TimeLeft
from mlt.engine.watched_metrics import in_words, measure, predict_watched
from mlt.predictions import Predictions
from mlt.run_folder import RunFolder

__all__ = ["OnEpoch", "Watch"]

logger = logging.getLogger(__name__)

OnEpoch = Callable[[dict[str, Any]], None]
"""Called with the dictionary that is a line of ``metrics.jsonl``: one after each epoch, and one
after each evaluation within an epoch."""


class Watch:
    """Writes the lines of a run; every process has one, and all call the same of it.

    Args:
        setup: The run, where it goes on from.
        folder: Of the run; only the main process writes to it.
        on_epoch: Called in the main process with each line.
        time_left: Is told how long evaluations take, and estimates how long the run does.
    """

    def __init__(
        self, setup: Setup, folder: RunFolder, on_epoch: Sequence[OnEpoch], time_left: TimeLeft
    ) -> None:
        self._setup = setup
        self._folder = folder
        self._on_epoch = on_epoch
        self._time_left = time_left
        self._batches = len(setup.train_loader)
        position, on_main = setup.training.position, setup.processes.on_main
        on_main(lambda: folder.trim_history(position.epoch, position.updates))
        self._epochs, self._updates = on_main(
            lambda: (folder.recorded_epochs(), folder.recorded_updates())
        )
        self.predictions: Predictions | None = None
        self.stop = self._find_stop()

    def go_on_with(self, setup: Setup) -> None:
        """Watch the same run in another stage, if it is in another one."""
        if setup is not self._setup:
            self._setup = setup
            setup.train_loader.set_epoch(setup.training.position.epoch)
            self._batches = len(setup.train_loader)

    @property
    def line_is_due(self) -> bool:
        """Whether the position has a line that is not written yet."""
        position = self._setup.training.position
        if position.batch == 0:
            return self._epochs < position.epoch
        return self._updates < position.updates and self._evaluates

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to train."""
        return self.stop is not None or self._is_at_end

    def write_line(self) -> None:
        """Evaluate the weights if that is due, and keep them if they are the best.

        Raises:
            TrainingError: If a loss was not finite.
        """
        setup, folder, processes = self._setup, self._folder, self._setup.processes
        setup.training.read(processes)
        self.predictions, measured = None, {}
        if self._evaluates:
            measured = self._evaluate()
            by = setup.config.evaluation.best_by
            best = processes.on_main(lambda: folder.best_total(by))
            if (measured[by]["total"] or 0.0) > best:
                save_weights(setup, folder.best)
        record = self._record(measured)

        processes.on_main(lambda: folder.append_history(record))
        self._epochs, self._updates = record["epoch"], record["updates"]
        self.stop = self._find_stop()
        logger.info("%s", self._in_words(measured))

        def tell() -> None:
            for function in self._on_epoch:
                function(record)

        processes.on_main(tell)

    @property
    def _is_at_end(self) -> bool:
        return self._setup.training.position.epoch >= self._setup.config.training.epochs

    @property
    def _evaluates(self) -> bool:
        position, config = self._setup.training.position, self._setup.config.evaluation
        if self._is_at_end:
            return True
        if config.every_updates is not None:
            return position.updates % config.every_updates == 0
        return (
            position.batch == 0
            and config.every_epochs > 0
            and position.epoch % config.every_epochs == 0
        )

    def _evaluate(self) -> dict[str, Any]:
        with self._time_left.evaluation():
            self.predictions = predictions = predict_watched(self._setup)
            return self._setup.processes.on_main(lambda: measure(self._setup, predictions))

    def _record(self, measured: dict[str, Any]) -> dict[str, Any]:
        training, position = self._setup.training, self._setup.training.position
        within = position.batch > 0
        loss = position.mean_loss if within else position.last_loss
        part = {"part_of_epoch": position.batch / self._batches} if within else {}
        return {
            "epoch": position.epoch,
            **part,
            **({"stage": position.stage + 1} if len(self._setup.stages) > 1 else {}),
            "updates": position.updates,
            "loss": None if loss is None or math.isnan(loss) else loss,
            "lr": max(group["lr"] for group in training.optimizer.param_groups),
            **(position.gradient if within else position.last_gradient),
            "mAP": None,
            **measured,
        }

    def _in_words(self, measured: dict[str, Any]) -> str:
        setup, position = self._setup, self._setup.training.position
        epochs = setup.config.training.epochs
        if position.batch > 0:
            place = f"epoch {position.epoch + 1}/{epochs}, update {position.updates}"
            loss: float | None = position.mean_loss
        else:
            place, loss = f"epoch {position.epoch}/{epochs}", position.last_loss
        part = "" if setup.validation_loader is None else "validation "
        words = [f"loss {math.nan if loss is None else loss:.4f}", *in_words(measured, part)]
        if not self.is_over and (left := self._time_left.in_words()):
            words.append(left)
        return f"{place}: {', '.join(words)}"

    def _find_stop(self) -> Stop | None:
        stopping, folder = self._setup.config.training.early_stopping, self._folder
        if stopping is None:
            return None
        return self._setup.processes.on_main(lambda: stop_of(stopping, folder.read_history()))
