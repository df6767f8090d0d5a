"""Suspects of wrong labels: the same picture with other labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mlt.data.labels import LabelTable
from mlt.inspection.duplicates import Place

__all__ = ["Suspect", "contradictions"]


@dataclass(frozen=True)
class Suspect:
    """Images of the same content that do not have the same labels.

    Attributes:
        images: Where they are.
        disagreed: Classes that some of them have and some verifiably do not have.
    """

    images: tuple[Place, ...]
    disagreed: tuple[str, ...]


def contradictions(
    tables: Mapping[str, LabelTable], same: Sequence[Sequence[Place]]
) -> tuple[Suspect, ...]:
    """Find the groups of equal pictures whose labels contradict each other.

    A class of which one image says nothing contradicts nothing.

    Args:
        tables: The parts. Where two have other classes, the later one is not compared.
        same: Groups of equal pictures.

    Example:
        >>> lists = [[0], [1], [1]]
        >>> table = LabelTable.from_lists([1, 2, 3], "abc", ["cat", "dog"], lists)
        >>> a, b, c = (Place("train", row, "abc"[row]) for row in range(3))
        >>> [suspect.disagreed for suspect in contradictions({"train": table}, [(a, b), (b, c)])]
        [('cat', 'dog')]
    """
    found = []
    for places in same:
        names = tables[places[0].part].class_names
        places = [place for place in places if tables[place.part].class_names == names]
        rows = [(tables[place.part], [place.row]) for place in places]
        has = np.concatenate([table.targets(row) > 0 for table, row in rows])
        known = np.concatenate([table.known_mask(row) for table, row in rows])
        disagreed = has.any(0) & (known & ~has).any(0)
        if disagreed.any():
            found.append(Suspect(tuple(places), tuple(names[c] for c in np.flatnonzero(disagreed))))
    return tuple(found)
