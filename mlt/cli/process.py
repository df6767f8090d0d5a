"""Settings of the process: fast training on a CPU, output that never fails; for commands only.

A library must not change how its caller's process waits or allocates, so nothing of this is in
:mod:`mlt.engine`.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import io
import logging
import os
import sys
from contextlib import AbstractContextManager, redirect_stdout
from typing import TextIO

__all__ = [
    "PrintableFormatter",
    "escape_unprintable",
    "import_timm",
    "printable",
    "printable_output",
    "tune_process",
]

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h


def tune_process() -> None:
    """Let idle threads sleep and keep freed memory; call it before torch is imported.

    Idle OpenMP threads spin by default and steal the cores from the processes that load images: on
    two busy cores, training was four times slower. And glibc gives the memory of every large tensor
    back to the system at once, which then has to clear it again for the next: for a frozen
    EfficientNet-Lite0 at 320 pixels on two cores, that was half of the time. Imports, torch's
    above all, make half a million objects that stay, which Python would look through for garbage
    after every 700, and once more when the process ends: a quarter of the time of a dry run. Python
    does not promise finalizers of cyclic garbage at exit; files and workers are closed before.
    """
    gc.set_threshold(50_000, 20, 100)
    atexit.register(gc.freeze)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        # Its warning that all parameters are used is true of most models, and no use to anybody.
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    # Only glibc has it: not musl, not macOS, not Windows (where there is no library None).
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 1 << 30)
        mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)


def import_timm() -> None:
    """Import timm without Weights & Biases, which it imports for a function that mlt does not call.

    Where that is installed, it takes a tenth of the start. Whoever imports it later gets it.
    """
    hidden = "wandb" not in sys.modules
    if hidden:
        sys.modules["wandb"] = None  # type: ignore[assignment]
    try:
        import timm.utils  # noqa: F401
    finally:
        if hidden:
            del sys.modules["wandb"]


# The control characters but tabs and line ends: they can move a cursor or set a window's title.
_CONTROLS = {
    code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n"
}


def printable(text: str) -> str:
    r"""The text with control characters as escapes, so that a name cannot command a terminal.

    Example:
        >>> print(printable("cat\x1b[2J"))
        cat\x1b[2J
    """
    return text.translate(_CONTROLS)


class _Printable(io.TextIOBase):
    """Passes text on to a stream, see :func:`printable`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(printable(text))

    def flush(self) -> None:
        self._stream.flush()

    def fileno(self) -> int:
        return self._stream.fileno()

    def isatty(self) -> bool:
        return self._stream.isatty()


def printable_output() -> AbstractContextManager[object]:
    """Let nothing but :func:`printable` text reach the standard output inside the block."""
    return redirect_stdout(_Printable(sys.stdout))


class PrintableFormatter(logging.Formatter):
    """Log lines as :func:`printable` text."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        return printable(super().format(record))


def escape_unprintable() -> None:
    """Let characters that the terminal's encoding lacks be printed as escapes, not as an error.

    A Windows terminal or a redirection to a file may not know the arrows of a table, and a file
    name need not be UTF-8. How to treat them is left as it is where the user has said so, with
    ``PYTHONIOENCODING=cp1252:replace`` for example.
    """
    for stream in (sys.stdout, sys.stderr):
        # Whoever calls main() from Python may have replaced the streams by something else.
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="backslashreplace")
