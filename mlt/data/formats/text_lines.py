"""The lines of a text file."""

from __future__ import annotations

from pathlib import Path

from mlt.errors import DataError, MissingFileError

__all__ = ["text_lines"]


def text_lines(file: Path) -> list[str]:
    """The lines of a list in UTF-8, with or without its mark.

    Raises:
        MissingFileError: If there is no such file.
        DataError: If it is not text.
    """
    if not file.is_file():
        raise MissingFileError(f"there is no list {file}")
    try:
        return file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise DataError(f"{file} is not text") from None
