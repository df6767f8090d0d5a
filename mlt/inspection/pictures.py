"""The image files of a part: missing, broken, tiny, of odd modes and shapes."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image

from mlt.data.image_files import absent_rows
from mlt.data.images import open_image
from mlt.data.labels import LabelTable
from mlt.data.row_images import row_image
from mlt.errors import UserError

__all__ = ["Pictures", "look_at_pictures", "sampled_rows"]

TINY = 32
"""A picture whose shorter side has fewer pixels is tiny."""

EXTREME = 4.0
"""A picture whose longer side is more than so many times the shorter is extreme."""

USUAL_MODES = ("L", "RGB")
"""Pillow's modes that need no conversion worth a thought: grey and colours of 8 bits."""

SHOWN = 100
"""Missing files that are named."""


@dataclass(frozen=True)
class Pictures:
    """What the image files of a part are like.

    Attributes:
        images: Those that the part lists.
        missing: How many are not there; all are looked for.
        missing_files: The first 100 of them.
        decoded: How many of those there were decoded.
        rule: Which those are, in words.
        broken: Those that cannot be decoded, each with the reason.
        tiny: Those whose shorter side is below 32 pixels, each with its size.
        extreme: Those whose longer side is more than 4 times the shorter, each with its size.
        odd_modes: Those that are neither RGB nor 8-bit grey, each with Pillow's name of its mode.
        modes: How many there are of each mode.
        shorter_side: Smallest, median and largest shorter side in pixels; None if none was read.
    """

    images: int
    missing: int
    missing_files: tuple[str, ...]
    decoded: int
    rule: str
    broken: dict[str, str]
    tiny: dict[str, str]
    extreme: dict[str, str]
    odd_modes: dict[str, str]
    modes: dict[str, int]
    shorter_side: tuple[int, int, int] | None


@dataclass(frozen=True)
class _Look:
    width: int = 0
    height: int = 0
    mode: str = ""
    reason: str = ""


def look_at_pictures(table: LabelTable, limit: int | None) -> Pictures | None:
    """Look for every image file of a part, and decode some or all of them.

    Args:
        table: The images.
        limit: Decode at most so many, evenly spaced over the part; None: all.

    Returns:
        None for a data set that loads its own images.
    """
    if table.paths is None:
        return None
    paths = table.paths.tolist()
    absent = absent_rows(table).tolist()
    there = np.setdiff1d(np.arange(len(paths)), absent).tolist()
    rows = [there[i] for i in sampled_rows(len(there), limit)]
    # What reads rows of a data set or members of an archive need not be safe in several threads.
    threads = min(8, os.cpu_count() or 1) if table.images is None else 1
    with ThreadPoolExecutor(threads) as pool:
        looks = dict(zip(rows, pool.map(partial(_look_at, table), rows)))
    good = {row: look for row, look in looks.items() if not look.reason}
    sides = sorted(min(look.width, look.height) for look in good.values())
    modes = [look.mode for look in good.values()]
    if len(rows) == len(there):
        rule = "all of them were decoded"
    else:
        rule = f"{len(rows)} of them were decoded, evenly spaced over the part"

    def size_of(those: dict[int, _Look]) -> dict[str, str]:
        return {paths[row]: f"{look.width} x {look.height}" for row, look in those.items()}

    return Pictures(
        images=len(paths),
        missing=len(absent),
        missing_files=tuple(paths[row] for row in absent[:SHOWN]),
        decoded=len(rows),
        rule=rule,
        broken={paths[row]: look.reason for row, look in looks.items() if look.reason},
        tiny=size_of({r: k for r, k in good.items() if min(k.width, k.height) < TINY}),
        extreme=size_of(
            {r: k for r, k in good.items()
             if max(k.width, k.height) > EXTREME * min(k.width, k.height)}
        ),
        odd_modes={paths[r]: k.mode for r, k in good.items() if k.mode not in USUAL_MODES},
        modes={mode: modes.count(mode) for mode in sorted(set(modes))},
        shorter_side=(sides[0], sides[len(sides) // 2], sides[-1]) if sides else None,
    )  # fmt: skip


def sampled_rows(count: int, limit: int | None) -> list[int]:
    """Rows evenly spaced over ``count`` of them, all where that is no more than ``limit``.

    Example:
        >>> sampled_rows(5, 3), sampled_rows(2, 3), sampled_rows(3, None)
        ([0, 2, 4], [0, 1], [0, 1, 2])
    """
    if limit is None or count <= limit:
        return list(range(count))
    return np.linspace(0, count - 1, limit).round().astype(int).tolist()


def _look_at(table: LabelTable, row: int) -> _Look:
    try:
        with _opened(table, row) as image:
            look = _Look(image.width, image.height, image.mode)
            image.draft("RGB", (64, 64))  # a JPEG is read whole, but scaled down while it is
            image.load()
        return look
    except MemoryError:
        raise
    except Exception:  # damaged files raise nearly everything; whether training can read it decides
        return _look_again(table, row)


def _opened(table: LabelTable, row: int) -> AbstractContextManager[Image.Image]:
    if table.images is None:
        return open_image(table.image_path(row))
    assert table.paths is not None
    content = table.images.read(table.paths[row])
    return open_image(content) if isinstance(content, bytes) else content


def _look_again(table: LabelTable, row: int) -> _Look:
    try:
        image = row_image(table, row)
    except UserError as error:
        name = f"The image {table.image_path(row)} cannot be read: "
        return _Look(reason=str(error).removeprefix(name).split(". ")[0])
    return _Look(image.width, image.height, image.mode)
