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


def same_pictures(tables: Mapping[str, LabelTable]) -> tuple[tuple[Place, ...], ...]:
    """Find the images whose files have the same content, byte by byte, in whatever part they are.

    Files are read only where another has the same size; images that are not files, all of them.
    What is not there is compared by its path.

    Args:
        tables: The parts.

    Returns:
        Groups of two images or more.
    """
    of_size: dict[int | Path, list[tuple[Place, Path | str]]] = defaultdict(list)
    for part, table in tables.items():
        for row, file in enumerate(table.paths or ()):
            size, content = _size_and_content(table, row)
            of_size[size].append((Place(part, row, file), content))
    groups: list[tuple[Place, ...]] = []
    for size, members in of_size.items():
        if len(members) == 1 or size == 0:
            continue
        of_content: dict[str, list[Place]] = defaultdict(list)
        for place, content in members:
            of_content[_digest(content) if isinstance(size, int) else ""].append(place)
        groups += [tuple(places) for places in of_content.values() if len(places) > 1]
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
        known = set(ours)
        both = [group for group in theirs if group in known]
        if both:
            found.append(SharedGroups((earlier, later), len(set(both)), both[0], len(both)))
    return tuple(found)


def _size_and_content(table: LabelTable, row: int) -> tuple[int | Path, Path | str]:
    """The size in bytes, and the file or the digest; the path twice where there is nothing."""
    path = table.image_path(row)
    if table.images is None:
        return path.stat().st_size if path.is_file() else path, path
    try:
        content = row_bytes(table, row)
    except UserError:
        return path, path
    return len(content), hashlib.blake2b(content).hexdigest()


def _digest(content: Path | str) -> str:
    """The digest of a file; one that is known already as it is."""
    if isinstance(content, str):
        return content
    digest = hashlib.blake2b()
    with content.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
