"""Worker processes that outlive the signals of their group for as long as they are needed."""

from __future__ import annotations

import itertools
import os
import signal
import weakref
from ctypes import c_bool
from multiprocessing.sharedctypes import RawValue

__all__ = ["WorkerSignals"]

_EVERY, _LONGEST = 0.5, 120.0
"""Seconds between two looks at whether a worker is needed still, and until it ends anyway."""


class WorkerSignals:
    """What torch's ``worker_init_fn`` is to be, so that an interrupted run can end its update.

    Ctrl-C and the SIGTERM of Slurm and ``timeout`` reach every process of a group. The main one
    needs its workers until it has saved, and ends them itself. A SIGTERM is also how it does so
    with one that hangs, at its own end: from then on a SIGTERM ends a worker at once.
    """

    def __init__(self) -> None:
        self._needed = RawValue(c_bool, True)
        # Runs before multiprocessing ends the workers and waits for them.
        weakref.finalize(self, _no_longer, self._needed, os.getpid())

    def __call__(self, worker: int) -> None:
        """Prepare a worker.

        Args:
            worker: Its number.
        """
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if not hasattr(signal, "setitimer"):  # on Windows
            return
        main = os.getppid()
        looks = itertools.count()

        def look(*_: object) -> None:
            if not self._needed.value or os.getppid() != main or next(looks) > _LONGEST / _EVERY:
                os._exit(1)
            signal.setitimer(signal.ITIMER_REAL, _EVERY)

        signal.signal(signal.SIGTERM, look)
        signal.signal(signal.SIGALRM, look)


def _no_longer(needed: c_bool, main: int) -> None:
    if os.getpid() == main:  # not in a forked worker
        needed.value = False
