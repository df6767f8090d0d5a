"""When to save the training state within an epoch."""

from __future__ import annotations

import time
from collections.abc import Callable

from mlt.config.training import SaveEvery
from mlt.runtime.processes import ALONE, Processes

__all__ = ["A_MOMENT", "SaveTimer"]

A_MOMENT = 5.0
"""Seconds between the ends of two epochs from which both are saved."""


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
        self._has_saved = False
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

    def after_epoch(self, must: bool) -> bool:
        """Save, unless that was a moment ago: where epochs take less than it does.

        Args:
            must: Save in any case.

        Returns:
            Whether it was saved.
        """
        due = self._every.updates is not None or self._now() - self._since >= A_MOMENT
        due = self._processes.any(must or due or not self._has_saved)
        if due:
            self.save()
        return due

    def save(self) -> None:
        """Save now, and count from here."""
        self._save()
        self._has_saved = True
        self._restart()

    def _restart(self) -> None:
        self._updates = 0
        self._since = self._now()
