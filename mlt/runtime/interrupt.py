"""Ctrl-C and SIGTERM end training after the current update, with a checkpoint."""

from __future__ import annotations

import logging
import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any

__all__ = ["GracefulStop"]

logger = logging.getLogger(__name__)

_ECHO = 1.0  # seconds


class GracefulStop:
    """A request to stop, made by Ctrl-C or SIGTERM while the context is open.

    The first signal sets :attr:`requested`; a second one interrupts at once. One within a second
    of the first is the same request, told twice: `timeout` and schedulers signal the process and
    its whole group, and torchrun passes on what reached its workers as well. Outside the main
    thread, where Python delivers no signals, the context does nothing.
    """

    def __init__(self) -> None:
        self.requested = False
        self._first = 0.0
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> GracefulStop:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.requested:
            if now - self._first < _ECHO:
                return
            raise KeyboardInterrupt
        self.requested, self._first = True, now
        logger.warning("stopping after this batch; once more stops at once, without a checkpoint")
