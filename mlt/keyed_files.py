"""Folders of files that are written whole and never changed, whose rows are known by keys."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["KEY", "bytes_in", "drop_file", "make_room", "match_rows"]

logger = logging.getLogger(__name__)

KEY = np.dtype("S32")
"""A key as an element of an array: a SHA-256. The empty one is that of no row."""


def match_rows(
    keys: NDArray[np.bytes_], wanted: NDArray[np.bool_], stored: NDArray[np.bytes_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find which rows a file has.

    Args:
        keys: (N,) of :data:`KEY`.
        wanted: (N,) which of them to look for.
        stored: (M,) keys of the file, in any order.

    Returns:
        Rows that are wanted and stored, and the place of each in the file.

    Example:
        >>> keys = np.array([b"a", b"b", b""], KEY)
        >>> match_rows(keys, np.ones(3, bool), np.array([b"b", b"c"], KEY))
        (array([1]), array([0]))
    """
    order = np.argsort(stored, kind="stable")
    rows = np.flatnonzero(wanted & (keys != b""))
    if not len(order):
        return rows[:0], rows[:0]
    found = np.searchsorted(stored, keys[rows], sorter=order)
    places = order[np.minimum(found, len(stored) - 1)]
    same = stored[places] == keys[rows]
    return rows[same], places[same]


def drop_file(path: Path, reason: str) -> None:
    """Delete a damaged file, with a warning; what it held is computed again."""
    logger.warning("%s is damaged (%s); what it held is computed again", path, reason)
    with suppress(OSError):
        path.unlink()


def make_room(root: Path, size: int, limit: int, keep: Iterable[Path], suffix: str) -> bool:
    """Delete the files used longest ago until ``size`` more bytes fit.

    Args:
        root: Folder of folders of such files.
        size: Bytes that are to be written.
        limit: Bytes that all files may take together.
        keep: Folders that are in use.
        suffix: Of the files.

    Returns:
        Whether they fit now.
    """
    kept = set(keep)
    files = [
        (path, stat) for path in root.glob(f"*/*{suffix}") if (stat := _stat(path)) is not None
    ]
    total = size + sum(stat.st_size for _, stat in files)
    for path, stat in sorted(files, key=lambda file: file[1].st_mtime_ns):
        if total <= limit:
            return True
        if path.parent not in kept:
            with suppress(OSError):
                path.unlink()
                total -= stat.st_size
    return total <= limit


def bytes_in(folders: Iterable[Path], suffix: str) -> int:
    """Bytes that the files in some folders take together."""
    found = (_stat(path) for folder in folders for path in folder.glob(f"*{suffix}"))
    return sum(stat.st_size for stat in found if stat is not None)


def _stat(path: Path) -> os.stat_result | None:
    with suppress(OSError):
        return path.stat()
    return None
