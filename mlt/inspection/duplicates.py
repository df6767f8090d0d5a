"""The same picture more than once, and what two parts share."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from mlt.data.labels import LabelTable

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

    Files are read only where another has the same size. A file that is not there is compared by its
    path.

    Args:
        tables: The parts.

    Returns:
        Groups of two images or more.
    """
    of_size: dict[int | Path, list[tuple[Place, Path]]] = defaultdict(list)
    for part, table in tables.items():
        for row, file in enumerate(table.paths or ()):
            path = table.root / file
            size = path.stat().st_size if path.is_file() else path
            of_size[size].append((Place(part, row, file), path))
    groups: list[tuple[Place, ...]] = []
    for size, members in of_size.items():
        if len(members) == 1 or size == 0:
            continue
        of_content: dict[str, list[Place]] = defaultdict(list)
        for place, path in members:
            of_content[_digest(path) if isinstance(size, int) else ""].append(place)
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


def _digest(path: Path) -> str:
    digest = hashlib.blake2b()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
