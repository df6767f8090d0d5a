"""Files that are either written whole or not at all, and read only as they were written."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mlt.errors import DataError, MissingFileError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "NOT_JSON",
    "atomic_write",
    "read_json_object",
    "read_npz",
    "temporary_files",
    "with_digest",
    "without_digest",
    "write_json_atomic",
    "write_json_object",
    "write_text_atomic",
]

NOT_JSON = (msgspec.DecodeError, ValueError, RecursionError)
"""What decoders of JSON raise: for other text, bytes that are not UTF-8, and deep nesting."""

_DIGEST = "sha256"
_DIGEST_LENGTH = 64


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
    # A part of the name: with what is added, a long one would be longer than file systems allow.
    start = f".{path.stem[:50]}-"
    handle, name = tempfile.mkstemp(prefix=start, suffix=path.suffix, dir=path.parent)
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


def with_digest(value: Mapping[str, Any]) -> dict[str, Any]:
    """The object with the SHA-256 of its content as a first key, ``sha256``.

    Example:
        >>> without_digest(with_digest({"epoch": 3}), "line 3")
        {'epoch': 3}
    """
    return {_DIGEST: _content_digest(value), **value}


def without_digest(stored: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The object that :func:`with_digest` was given; without a digest it is not checked.

    Args:
        stored: What was read. Files of earlier versions have no digest.
        name: What it is called in the message.

    Raises:
        DataError: If the content is not that of the digest.
    """
    value = dict(stored)
    digest = value.pop(_DIGEST, None)
    is_right = digest == _content_digest(value) if digest is not None else not _is_misnamed(value)
    if not is_right:
        raise DataError(
            f"{name} is damaged, or was changed by hand: it is not as it was written. (Without its "
            f"key {_DIGEST} it is read as it is)"
        )
    return value


def _is_misnamed(value: Mapping[str, Any]) -> bool:
    """Whether one of the keys is that of the digest, damaged: its value is that of the others."""
    return any(
        isinstance(found, str)
        and len(found) == _DIGEST_LENGTH
        and found == _content_digest({k: v for k, v in value.items() if k != key})
        for key, found in value.items()
    )


def _content_digest(value: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def write_json_object(path: str | Path, value: Mapping[str, Any]) -> None:
    """Write an object as JSON with its digest, whole or not at all.

    Raises:
        ValueError: If ``value`` holds NaN or infinity, which JSON cannot express.
    """
    write_json_atomic(path, with_digest(value))


def read_json_object(path: str | Path) -> dict[str, Any]:
    """Read what :func:`write_json_object` wrote; empty if there is no such file.

    Raises:
        DataError: If it is damaged, or not a JSON object.
    """
    path = Path(path)
    try:
        stored = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except NOT_JSON as error:
        raise DataError(f"{path} is damaged: {error}") from error
    if not isinstance(stored, dict):
        raise DataError(f"{path} is damaged: it is not a JSON object")
    return without_digest(stored, str(path))


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
                arrays = {name: stored[name] for name in stored.files}
            others = [name for name, value in arrays.items() if not isinstance(value, np.ndarray)]
            if not others:
                return arrays
            raise ValueError(f"{', '.join(others)} is not an array")
    except Exception as error:  # damage makes zipfile, zlib and numpy raise a dozen kinds
        raise DataError(f"{path} is damaged or not an npz file ({error})") from error
    raise DataError(f"{path} is damaged: the checksum of {damaged} is another one")
