"""Fingerprints of id lists and of source files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from mlt.errors import MissingFileError

__all__ = ["ids_digest", "source_digest", "source_files", "source_stamp"]


def ids_digest(image_ids: Iterable[int | str]) -> str:
    """SHA-256 of the ids as text, sorted as strings and joined by newlines: a set's fingerprint.

    Example:
        >>> ids_digest([10, 9]) == ids_digest(["9", "10"])
        True
    """
    lines = "\n".join(sorted(str(i) for i in image_ids))
    return hashlib.sha256(lines.encode("utf-8", "surrogatepass")).hexdigest()


def source_files(source: Path) -> list[Path]:
    """The file itself, or all files below a folder, sorted.

    Raises:
        MissingFileError: If it does not exist.
    """
    if source.is_dir():
        return sorted(p for p in source.rglob("*") if p.is_file())
    if not source.exists():
        raise MissingFileError(f"there is no {source}")
    return [source]


def source_digest(source: str | Path) -> str:
    """SHA-256 of a file; of a folder, that of the names and contents of all files below it.

    Raises:
        MissingFileError: If it does not exist.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "a"
        >>> _ = file.write_bytes(b"abc")
        >>> source_digest(file)[:8]
        'ba7816bf'
    """
    source = Path(source)
    digest = hashlib.sha256()
    for file in source_files(source):
        if source.is_dir():
            digest.update(
                f"{file.relative_to(source).as_posix()}\0{file.stat().st_size}\0".encode()
            )
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def source_stamp(source: str | Path) -> str:
    """Size and modification time of a file that is too large to be read for a digest.

    Raises:
        MissingFileError: If it does not exist.
    """
    source = Path(source)
    if not source.exists():
        raise MissingFileError(f"there is no {source}")
    stat = source.stat()
    return f"{stat.st_size} bytes of {stat.st_mtime_ns}"
