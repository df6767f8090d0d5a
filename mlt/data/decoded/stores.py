"""Where blocks of decoded images are kept: in memory, or in a folder."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mlt.data.decoded.blocks import write_block
from mlt.files import atomic_write
from mlt.keyed_files import make_room

__all__ = ["FolderStore", "MemoryStore", "Store"]

_SUFFIX = ".npz"


class Store(Protocol):
    """Where blocks are kept."""

    checks: bool
    """Whether what is read back has to be compared with its checksum."""

    def paths(self) -> list[Path]:
        """The blocks that there are."""

    def room(self) -> int:
        """Bytes that may still be written."""

    def write(self, keys: Sequence[bytes], images: Sequence[NDArray[np.uint8]]) -> None:
        """Write a block.

        Raises:
            OSError: If it cannot be written.
        """


class MemoryStore:
    """Blocks in memory that other processes can open by a name: workers, and those of torchrun.

    On Linux it is memory without a file (``memfd_create``), which no limit of ``/dev/shm`` holds
    for. Elsewhere it is temporary files. Both go with this object.

    Args:
        limit: Bytes that all blocks may take together.
    """

    checks = False

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._used = 0
        self._files: list[int] = []
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._paths: list[Path] = []

    def paths(self) -> list[Path]:
        """The blocks that there are."""
        return list(self._paths)

    def room(self) -> int:
        """Bytes that may still be written."""
        return self.limit - self._used

    def write(self, keys: Sequence[bytes], images: Sequence[NDArray[np.uint8]]) -> None:
        """Write a block."""
        path = self._new()
        write_block(path, keys, images)
        self._used += path.stat().st_size
        self._paths.append(path)

    def _new(self) -> Path:
        if hasattr(os, "memfd_create"):
            self._files.append(os.memfd_create("mlt-images"))
            return Path(f"/proc/{os.getpid()}/fd/{self._files[-1]}")
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="mlt-images-")
        return Path(self._folder.name) / f"{len(self._paths)}{_SUFFIX}"

    def __del__(self) -> None:
        for file in self._files:
            with suppress(OSError):
                os.close(file)


class FolderStore:
    """Blocks in the files of a folder, which the next run finds again.

    Args:
        folder: Of images that were prepared alike; beside it lie those of others.
        limit: Bytes that all folders beside it may take together. Files used longest ago go first.
        in_use: Folders whose files must stay.
    """

    checks = True

    def __init__(self, folder: Path, limit: int, in_use: Collection[Path] = ()) -> None:
        self.folder = folder
        self.limit = limit
        self.in_use = {folder, *in_use}

    def paths(self) -> list[Path]:
        """The blocks that there are."""
        found = sorted(self.folder.glob(f"[0-9a-f]*{_SUFFIX}"))
        for path in found:
            with suppress(OSError):
                os.utime(path)
        return found

    def room(self) -> int:
        """Bytes that may still be written."""
        room = self.limit
        for path in (path for folder in self.in_use for path in folder.glob(f"*{_SUFFIX}")):
            with suppress(OSError):  # another process has made room
                room -= path.stat().st_size
        return room

    def write(self, keys: Sequence[bytes], images: Sequence[NDArray[np.uint8]]) -> None:
        """Write a block."""
        size = sum(image.nbytes for image in images)
        make_room(self.folder.parent, size, self.limit, self.in_use, _SUFFIX)
        name = hashlib.sha256(b"".join(keys)).hexdigest()[:16]
        path = self.folder / f"{name}{_SUFFIX}"
        with atomic_write(path) as temporary:
            write_block(temporary, keys, images)
