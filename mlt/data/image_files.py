"""Whether the image files of a label table are there."""

from __future__ import annotations

import os
import unicodedata
from itertools import islice
from pathlib import Path

import numpy as np

from mlt.data.columns import StringColumn, positions
from mlt.data.image_search import file_names
from mlt.data.labels import LabelTable
from mlt.errors import MissingFileError

__all__ = ["absent_rows", "check_images"]

_FOLDERS = 1000
"""How many folders are looked through for a file that is not where it should be."""


def check_images(table: LabelTable, part: str) -> None:
    """Refuse a table whose image files are not all there, before hours of training find out.

    Args:
        table: The images. Nothing is checked of those that are not files.
        part: What they are, for the message.

    Raises:
        MissingFileError: Naming how many are absent, the first, the folder, and a file that may be
            meant.
    """
    absent = absent_rows(table)
    if len(absent):
        first = table.image_path(absent[0])
        raise MissingFileError(
            f"data: {len(absent)} of {len(table)} {part} images are listed in the annotations but "
            f"absent from {table.root}, first {first}{_what_may_be_meant(table.root, first)}"
        )


def absent_rows(table: LabelTable) -> np.ndarray:
    """The rows whose image file does not exist, int64; none where images are not files."""
    if table.paths is None or table.images is not None:
        return np.empty(0, np.int64)
    folders = {path[: path.rfind("/") + 1] for path in table.paths}
    present = StringColumn.from_iterable(
        folder + name for folder in folders for name in file_names(table.root / folder)
    )
    return np.flatnonzero(positions(present, table.paths) < 0)


def _what_may_be_meant(root: Path, absent: Path) -> str:
    """The end of a sentence that names a file like an absent one; empty if there is none."""
    for name in file_names(absent.parent):
        if _folded(name) == _folded(absent.name):
            return f"; there is {name!r}, which is spelt otherwise"
        if Path(name).stem in (absent.stem, absent.name):
            return f"; there is {name!r}, with another extension"
    for folder, _, names in islice(os.walk(root), _FOLDERS):
        for name in names:
            if absent.name in (name, Path(name).stem):
                where = Path(folder, name).relative_to(root).as_posix()
                return f"; there is {where!r} in {root}: do the paths start in another folder?"
    return ""


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
