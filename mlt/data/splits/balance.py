"""How well parts are balanced: the measures of Sechidis et al., ECML PKDD 2011."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mlt.data.labels import LabelTable
from mlt.data.sparse import column_counts

__all__ = ["Deviation", "label_distance", "largest_deviation"]


@dataclass(frozen=True)
class Deviation:
    """A class that is further from its share than any other.

    Attributes:
        name: The class; None for the number of images.
        part: The part.
        images: Images of the class in the part.
        wanted: How many it should have.
    """

    name: str | None
    part: str
    images: int
    wanted: float


def label_distance(table: LabelTable, rows: np.ndarray) -> float:
    """The mean over classes of the difference between their odds in a part and in all images.

    Classes that no image has are left out. A class that every image has, here or there, has no
    odds; it counts as if one more image lacked it.

    Args:
        table: All images.
        rows: Those of the part.

    Example:
        >>> table = LabelTable.from_lists(range(4), "abcd", ["cat"], [[0], [0], [], []])
        >>> label_distance(table, np.array([0, 2])), label_distance(table, np.array([0, 1, 2]))
        (0.0, 1.0)
    """
    total, here = column_counts(table.labels), column_counts(table.labels[rows])
    odds = total / np.maximum(len(table) - total, 1)
    odds_here = here / np.maximum(len(rows) - here, 1)
    return float(np.abs(odds_here - odds)[total > 0].mean()) if total.any() else 0.0


def largest_deviation(
    table: LabelTable, rows: Mapping[str, np.ndarray], fractions: Mapping[str, float]
) -> Deviation | None:
    """The class, or the number of images, that is furthest from its share of any part.

    Far is measured against what chance does: the difference is divided by the square root of the
    number wanted, and one image more or less is nothing. None if none is further than that.

    Args:
        table: All images.
        rows: Part to its rows.
        fractions: Part to its share of all images.
    """
    total = np.concatenate([column_counts(table.labels), [len(table)]])
    worst, found = 0.0, None
    for part, of_part in rows.items():
        here = np.concatenate([column_counts(table.labels[of_part]), [len(of_part)]])
        wanted = fractions[part] * total
        far = np.maximum(np.abs(here - wanted) - 1, 0) / np.sqrt(np.maximum(wanted, 1))
        c = int(far.argmax())
        if far[c] > worst:
            worst = float(far[c])
            name = table.class_names[c] if c < table.num_classes else None
            found = Deviation(name, part, int(here[c]), float(wanted[c]))
    return found
