"""Whether the image files of a label table are there, and which files two tables share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlt.data.columns import StringColumn, positions
from mlt.data.labels import LabelTable
from mlt.errors import MissingFileError

__all__ = ["check_images", "count_shared"]


def check_images(table: LabelTable, part: str) -> None:
    """Refuse a table whose image files are not all there, before hours of training find out.

    Args:
        table: The images. Nothing is checked of those that are not files.
        part: What they are, for the message.

    Raises:
        MissingFileError: Naming how many are absent, the first, and the folder.
    """
    if table.paths is None or table.images is not None:
        return
    folders = {path[: path.rfind("/") + 1] for path in table.paths}
    present = StringColumn.from_iterable(
        folder + name for folder in folders for name in _names_in(table.root / folder)
    )
    absent = np.flatnonzero(positions(present, table.paths) < 0)
    if len(absent):
        raise MissingFileError(
            f"data: {len(absent)} of {len(table)} {part} images are listed in the annotations but "
            f"absent from {table.root}, first {table.image_path(absent[0])}"
        )


def count_shared(a: LabelTable, b: LabelTable) -> int:
    """How many files of ``b`` are files of ``a`` too; 0 if one of them has no files.

    Example:
        >>> tables = [LabelTable.from_lists([1], [p], ["x"], [[]]) for p in ("a.jpg", "./a.jpg")]
        >>> count_shared(*tables)
        1
    """
    if a.paths is None or b.paths is None:
        return 0
    with_root = a.root != b.root
    return int((positions(_files(a, with_root), _files(b, with_root)) >= 0).sum())


def _names_in(folder: Path) -> Iterator[str]:
    if folder.is_dir():
        with os.scandir(folder) as entries:
            yield from (entry.name for entry in entries)


def _files(table: LabelTable, with_root: bool) -> StringColumn:
    """The paths, each in the one spelling that Path gives it."""
    assert table.paths is not None
    paths, text = table.paths.array, pa.large_string()
    if with_root:
        root = pa.scalar(str(table.root), text)
        paths = pc.binary_join_element_wise(root, paths, pa.scalar("/", text))
    odd = pc.match_substring_regex(paths, r"//|(^|/)\./")
    if pc.any(odd).as_py():
        prefix = table.root if with_root else Path()
        rows = np.flatnonzero(odd.to_numpy(zero_copy_only=False))
        spelt = [str(prefix / table.paths[row]) for row in rows]
        paths = pc.replace_with_mask(paths, odd, pa.array(spelt, text))
    return StringColumn(paths)
