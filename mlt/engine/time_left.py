"""The time that a run has left, by its pace so far: updates, evaluations and the final results."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mlt.config import Config
from mlt.engine.setup import Setup
from mlt.runtime.progress import format_seconds

__all__ = ["TimeLeft", "evaluations_left"]


def evaluations_left(config: Config, epoch: int, updates: int, all_updates: int) -> int:
    """Count the evaluations of the watched images that are still to come.

    Args:
        config: How often to evaluate.
        epoch: Epochs that are complete.
        updates: Updates that are done.
        all_updates: Updates of the whole training.

    Example:
        >>> from mlt.config import load_config
        >>> keys = ["training.epochs=10", "evaluation.every=4"]
        >>> evaluations_left(load_config("digits_mlt_bce", keys), 3, 30, 100)  # after 4, 8, 10
        3
        >>> keys = ["training.epochs=10", "evaluation.every={updates: 30}"]
        >>> evaluations_left(load_config("digits_mlt_bce", keys), 4, 40, 100)  # at 60, 90, 100
        3
    """
    if updates >= all_updates:
        return 0
    every = config.evaluation.every_updates
    done, end = (epoch, config.training.epochs) if every is None else (updates, all_updates)
    every = every or config.evaluation.every_epochs or end
    return end // every - done // every + (end % every > 0)


class TimeLeft:
    """Estimates the time that a run has left from what it has done in this process.

    Until something was evaluated, an image is thought to take as long as in training.

    Args:
        setup: The run, where it goes on from.
        now: The time in seconds; for tests.
    """

    def __init__(self, setup: Setup, now: Callable[[], float] = time.monotonic) -> None:
        self._setup = setup
        self._now = now
        self._all_updates = sum(
            (stage.plan.end - stage.plan.start) * stage.updates_per_epoch for stage in setup.stages
        )
        self._first_update = setup.training.position.updates
        self._began = now()
        self._evaluating = 0.0
        self._evaluations = 0

    @contextmanager
    def evaluation(self) -> Iterator[None]:
        """Take the time of one evaluation of the watched images."""
        began = self._now()
        yield
        self._evaluating += self._now() - began
        self._evaluations += 1

    def seconds(self) -> float | None:
        """Seconds that the run has left; None before its first update."""
        setup, config, position = self._setup, self._setup.config, self._setup.training.position
        done = position.updates - self._first_update
        if done == 0:
            return None
        per_update = (self._now() - self._began - self._evaluating) / done
        watched = len(setup.data.test if setup.data.validation is None else setup.data.validation)
        if self._evaluations:
            per_image = self._evaluating / (self._evaluations * watched)
        else:
            per_image = per_update / (config.training.batch_size * config.training.accumulate)
        left = evaluations_left(config, position.epoch, position.updates, self._all_updates)
        images = left * watched + (len(setup.data.test) if setup.data.validation is not None else 0)
        return per_update * max(0, self._all_updates - position.updates) + per_image * images

    def in_words(self) -> str:
        """The time left, such as ``4 min 10 s left``; empty before the first update."""
        seconds = self.seconds()
        return "" if seconds is None else f"{format_seconds(seconds)} left"
