"""Whether the image files of a label table are there."""

from __future__ import annotations

import glob
import os
import unicodedata
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa

from mlt.data.columns import StringColumn, positions
from mlt.data.image_search import file_names
from mlt.data.labels import LabelTable
from mlt.data.path_parts import folders_of, joined
from mlt.errors import MissingFileError

__all__ = ["absent_rows", "check_images", "what_may_be_meant"]

_FOLDERS = 1000
"""How many folders are looked through for a file that is not where it should be."""


def check_images(table: LabelTable, part: str, searched: Sequence[str] = ()) -> None:
    """Refuse a table whose image files are not all there, before hours of training find out.

    Args:
        table: The images. Nothing is checked of those that are not files.
        part: What they are, for the message.
        searched: The folders, or patterns of folders, that they were looked for in.

    Raises:
        MissingFileError: Naming how many are absent, the first, the folder, and a file that may be
            meant.
    """
    absent = absent_rows(table)
    if len(absent):
        first = table.image_path(absent[0])
        raise MissingFileError(
            f"data: {len(absent)} of {len(table)} {part} images are listed in the annotations but "
            f"absent from {table.root}, first {first}{what_may_be_meant(table.root, first)}"
            f"{_where_searched(searched)}"
        )


def absent_rows(table: LabelTable) -> np.ndarray:
    """The rows whose image file does not exist, int64; none where images are not files."""
    if table.paths is None or table.images is not None:
        return np.empty(0, np.int64)
    present = [pa.array([], pa.large_string())]
    for folder in folders_of(table.paths.array).dictionary.to_pylist():
        names = StringColumn.from_iterable(file_names(table.root / folder)).array
        present.append(joined(folder, names))
    return np.flatnonzero(positions(StringColumn(pa.concat_arrays(present)), table.paths) < 0)


def what_may_be_meant(root: Path, absent: Path, above: str = "set data.images to '..'") -> str:
    """The end of a sentence that names a file like an absent one; empty if there is none.

    Args:
        root: The folder that paths start from.
        absent: A path that begins with it, of a file that is not there.
        above: What to do where paths start in the folder above.
    """
    if absent.is_symlink():
        return f"; it is a link to {absent.readlink()}, which is not there: is the data fetched?"
    parts = absent.relative_to(root).parts if absent.is_relative_to(root) else ()
    for first in range(1, len(parts)):
        if root.joinpath(*parts[first:]).is_file():
            where = Path(*parts[first:]).as_posix()
            found = f"; there is {where!r} in {root}: "
            if parts[first - 1] == root.resolve().name:
                return (
                    f"{found}the paths begin with {parts[first - 1]!r}, the name of that folder "
                    f"itself, so they start in the folder above: {above}"
                )
            return f"{found}do the paths start in another folder?"
    for name in file_names(absent.parent):
        if _folded(name) == _folded(absent.name):
            return f"; there is {name!r}, which is spelt otherwise"
        if Path(name).stem in (absent.stem, absent.name):
            return f"; there is {name!r}, with another extension"
    alike = [
        Path(folder, name).relative_to(root).as_posix()
        for folder, _, names in islice(os.walk(root), _FOLDERS)
        for name in names
        if absent.name in (name, Path(name).stem)
    ]
    # Of several, as the view1.jpg of each patient, none is more likely to be meant.
    if len(alike) == 1:
        return f"; there is {alike[0]!r} in {root}: do the paths start in another folder?"
    return ""


def _where_searched(folders: Sequence[str]) -> str:
    if len(folders) < 2 and not any(glob.has_magic(folder) for folder in folders):
        return ""
    return f"; looked for in {', '.join(folders)}: is an archive not unpacked, or elsewhere?"


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
