"""When to save the training state within an epoch."""

from __future__ import annotations

import time
from collections.abc import Callable

from mlt.config.training import SaveEvery
from mlt.runtime.processes import ALONE, Processes

__all__ = ["SaveTimer"]


class SaveTimer:
    """Saves after some updates, or some minutes.

    Args:
        every: How often.
        save: Saves the state.
        processes: Those that train together; they save when one of them says so.
        now: The time in seconds; for tests.

    Example:
        >>> saved = []
        >>> timer = SaveTimer(SaveEvery(updates=2), lambda: saved.append("saved"))
        >>> for update in range(5):
        ...     timer.after_update()
        >>> len(saved)
        2
    """

    def __init__(
        self,
        every: SaveEvery,
        save: Callable[[], None],
        processes: Processes = ALONE,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._every = every
        self._save = save
        self._processes = processes
        self._now = now
        self._restart()

    def after_update(self) -> None:
        """Count an update; save if it is time."""
        self._updates += 1
        if self._every.updates is not None:
            due = self._updates >= self._every.updates
        else:
            due = self._now() - self._since >= 60 * (self._every.minutes or 0)
        if self._processes.any(due):
            self.save()

    def save(self) -> None:
        """Save now, and count from here."""
        self._save()
        self._restart()

    def _restart(self) -> None:
        self._updates = 0
        self._since = self._now()
