"""Progress: a bar on a terminal, a line now and then in a log file."""

from __future__ import annotations

import logging
import math
import sys
import time
from collections.abc import Callable
from types import TracebackType

from tqdm import tqdm

__all__ = ["Progress", "format_seconds"]

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES = 30.0


class Progress:
    """Shows how far a pass over batches is.

    Args:
        title: What the pass is, for example ``epoch 3/8``.
        batches: Batches of the whole pass.
        done: Batches that an earlier, interrupted pass has done already.
        shown: False counts without a word.
        run_left: The time that the whole run has left, in words; empty while it is not known.
    """

    def __init__(
        self,
        title: str,
        batches: int,
        done: int = 0,
        shown: bool = True,
        run_left: Callable[[], str] | None = None,
    ) -> None:
        self.title = title
        self.batches = batches
        self.done = done
        self.images = 0
        self._shown = shown
        self._run_left = run_left or (lambda: "")
        self._first = done
        self._started = self._last_line = time.monotonic()
        self._bar = (
            tqdm(total=batches, initial=done, desc=title, leave=False, dynamic_ncols=True)
            if shown and sys.stderr.isatty()
            else None
        )

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def step(self, images: int, **shown: float) -> None:
        """One more batch is done.

        Args:
            images: Images of the batch.
            shown: Numbers to show, such as ``loss`` and ``lr``; NaN is not known yet, and left out.
        """
        self.done += 1
        self.images += images
        known = {name: value for name, value in shown.items() if not math.isnan(value)}
        text = " ".join(f"{name} {value:.4g}" for name, value in known.items())
        now = time.monotonic()
        if self._bar is not None:
            run = f"; run: {left}" if (left := self._run_left()) else ""
            self._bar.set_postfix_str(f"{text} {self.speed:.0f} images/s{run}", refresh=False)
            self._bar.update()
        elif self._shown and now - self._last_line >= SECONDS_BETWEEN_LINES:
            self._last_line = now
            seconds = (now - self._started) / (self.done - self._first) * (self.batches - self.done)
            run = f", {left} of the run" if (left := self._run_left()) else ""
            logger.info(
                "%s: batch %d/%d %s %.0f images/s, %s left%s",
                self.title,
                self.done,
                self.batches,
                text,
                self.speed,
                format_seconds(seconds),
                run,
            )

    @property
    def seconds(self) -> float:
        """Seconds since the pass began."""
        return time.monotonic() - self._started

    @property
    def speed(self) -> float:
        """Images a second so far."""
        return self.images / max(self.seconds, 1e-9)


def format_seconds(seconds: float) -> str:
    """Seconds as people say them.

    Example:
        >>> format_seconds(7.24), format_seconds(75), format_seconds(7300)
        ('7.2 s', '1 min 15 s', '2 h 1 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
