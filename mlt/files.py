"""Files that are either written whole or not at all."""

from __future__ import annotations

import glob
import json
import os
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlt.errors import DataError, MissingFileError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["atomic_write", "read_npz", "temporary_files", "write_json_atomic", "write_text_atomic"]


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``, renamed to ``path`` when the block succeeds.

    A reader sees the old file or the new one, never half of it. When the block raises (a full disk,
    Ctrl-C), the temporary file is removed and the old one is untouched. Parent folders are made.

    Args:
        path: Where the file shall be.

    Yields:
        The temporary path to write to; it has the suffix of ``path``.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "new" / "a.txt"
        >>> with atomic_write(target) as temporary:
        ...     _ = temporary.write_text("whole")
        >>> target.read_text()
        'whole'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files private; give the result the permissions an ordinary open() would.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def temporary_files(path: str | Path) -> list[Path]:
    """The files that killed processes left of writing ``path``, see :func:`atomic_write`."""
    path = Path(path)
    random = "[a-z0-9_]" * 8
    return list(path.parent.glob(f".{glob.escape(path.stem)}-{random}{glob.escape(path.suffix)}"))


def write_text_atomic(path: str | Path, text: str) -> None:
    """Write ``text`` to ``path`` as UTF-8, whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json_atomic(path: str | Path, value: Any, indent: int | None = 1) -> None:
    """Write ``value`` to ``path`` as JSON, whole or not at all; NaN is refused.

    Raises:
        ValueError: If ``value`` holds NaN or infinity, which JSON cannot express.
    """
    write_text_atomic(path, json.dumps(value, indent=indent, allow_nan=False) + "\n")


def read_npz(path: str | Path) -> dict[str, NDArray[Any]]:
    """Read the arrays of an ``.npz`` file, after its checksums; nothing is unpickled.

    Raises:
        MissingFileError: If there is no such file.
        DataError: If it is damaged or no ``.npz`` file.
    """
    import numpy as np

    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"there is no file {path}")
    try:
        # First of all the checksums: a damaged header could ask for any amount of memory.
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is None:
            with np.load(path, allow_pickle=False) as stored:
                return {name: stored[name] for name in stored.files}
    except Exception as error:  # damage makes zipfile, zlib and numpy raise a dozen kinds
        raise DataError(f"{path} is damaged or not an npz file ({error})") from error
    raise DataError(f"{path} is damaged: the checksum of {damaged} is another one")
