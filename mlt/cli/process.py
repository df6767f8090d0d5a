"""Settings of the process that make training on a CPU fast; for the command line only.

A library must not change how its caller's process waits or allocates, so nothing of this is in
:mod:`mlt.engine`.
"""

from __future__ import annotations

import ctypes
import os

__all__ = ["tune_process"]

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h


def tune_process() -> None:
    """Let idle threads sleep and keep freed memory; call it before torch is imported.

    Idle OpenMP threads spin by default and steal the cores from the processes that load images: on
    two busy cores, training was four times slower. And glibc gives the memory of every large tensor
    back to the system at once, which then has to clear it again for the next: for a frozen
    EfficientNet-Lite0 at 320 pixels on two cores, that was half of the time.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Only glibc has it: not musl, not macOS, not Windows (where there is no library None).
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 1 << 30)
        mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)
