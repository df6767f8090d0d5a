"""Ctrl-C and SIGTERM end training after the current update, with a checkpoint."""

from __future__ import annotations

import logging
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

__all__ = ["GracefulStop"]

logger = logging.getLogger(__name__)


class GracefulStop:
    """A request to stop, made by Ctrl-C or SIGTERM while the context is open.

    The first signal sets :attr:`requested`; a second one interrupts at once. Outside the main
    thread, where Python delivers no signals, the context does nothing.
    """

    def __init__(self) -> None:
        self.requested = False
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
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        logger.warning("stopping after this batch; once more stops at once, without a checkpoint")
