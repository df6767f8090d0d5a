"""Worker processes that outlive the signals of their group for as long as they are needed."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import weakref
from collections.abc import Iterator
from ctypes import c_bool
from multiprocessing import resource_tracker
from multiprocessing.sharedctypes import RawValue
from typing import Any

from torch.utils.data import DataLoader

__all__ = ["WorkerSignals", "iterate"]

_HELD = {signal.SIGINT, signal.SIGTERM}

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
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)  # those that waited come now


def iterate(loader: DataLoader[Any]) -> Iterator[Any]:
    """Return ``iter(loader)``; signals that come while it starts workers wait for all of them.

    A worker that was not prepared yet would die of them.

    Args:
        loader: Its ``worker_init_fn`` is a :class:`WorkerSignals`.
    """
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        return iter(loader)
    if loader.num_workers and multiprocessing.get_start_method() != "fork":
        resource_tracker.ensure_running()  # which lets all signals through when it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)
    try:
        return iter(loader)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _no_longer(needed: c_bool, main: int) -> None:
    if os.getpid() == main:  # not in a forked worker
        needed.value = False
