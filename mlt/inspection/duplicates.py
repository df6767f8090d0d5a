"""The same picture more than once, and what two parts share."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from mlt.data.labels import LabelTable
from mlt.data.row_images import row_bytes
from mlt.errors import UserError
from mlt.inspection.pictures import sampled_rows

__all__ = ["Place", "SharedGroups", "same_pictures", "shared_groups"]


@dataclass(frozen=True)
class Place:
    """An image of a part.

    Attributes:
        part: ``"train"``, ``"validation"`` or ``"test"``.
        row: In its table.
        file: Relative to the root of the table.
    """

    part: str
    row: int
    file: str


@dataclass(frozen=True)
class SharedGroups:
    """Patients, videos or other groups that have images in two parts.

    Attributes:
        parts: Which.
        groups: How many.
        first: The first of them.
        images: Images of these groups in the later of the two parts.
    """

    parts: tuple[str, str]
    groups: int
    first: str
    images: int


def same_pictures(
    tables: Mapping[str, LabelTable], limit: int | None = None
) -> tuple[tuple[Place, ...], ...]:
    """Find the images of the same content, byte by byte, in whatever part they are.

    A file is only read where another has the same size; one that is not there is compared by its
    path.

    Args:
        tables: The parts.
        limit: Where images are not files, at most so many of a part are read, evenly spaced; None:
            all of them.

    Returns:
        Groups of two images or more.
    """
    alike: dict[int | Path, list[Place]] = defaultdict(list)
    digests: dict[Place, bytes] = {}
    for part, table in tables.items():
        if table.paths is None:
            continue
        rows = range(len(table)) if table.images is None else sampled_rows(len(table), limit)
        for row in rows:
            place = Place(part, row, table.paths[row])
            path = table.image_path(row)
            if table.images is not None:
                if stored := _read(table, row):
                    digests[place] = _digest(stored)
                    alike[len(stored)].append(place)
            elif not path.is_file():
                alike[path].append(place)
            elif path.stat().st_size:
                alike[path.stat().st_size].append(place)
    groups: list[tuple[Place, ...]] = []
    for size, places in alike.items():
        if len(places) == 1:
            continue
        of_content: dict[bytes, list[Place]] = defaultdict(list)
        for place in places:
            content = b"" if isinstance(size, Path) else digests.get(place)
            if content is None and (stored := _read(tables[place.part], place.row)):
                content = _digest(stored)
            if content is not None:
                of_content[content].append(place)
        groups += [tuple(those) for those in of_content.values() if len(those) > 1]
    return tuple(groups)


def shared_groups(tables: Mapping[str, LabelTable]) -> tuple[SharedGroups, ...]:
    """Find the patients, videos or other groups that have images in two parts.

    Args:
        tables: The parts.
    """
    found = []
    for earlier, later in combinations(tables, 2):
        ours, theirs = tables[earlier].groups, tables[later].groups
        if ours is None or theirs is None:
            continue
        known = {*ours} - {""}  # of no group
        both = [group for group in theirs if group in known]
        if both:
            found.append(SharedGroups((earlier, later), len(set(both)), both[0], len(both)))
    return tuple(found)


def _read(table: LabelTable, row: int) -> bytes:
    """The stored image; nothing where it cannot be read, which is a finding of its own."""
    try:
        return row_bytes(table, row)
    except (UserError, OSError):
        return b""


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content).digest()
