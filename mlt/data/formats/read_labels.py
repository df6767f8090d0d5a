"""What the readers of the three layouts return, and what they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from mlt.data.formats.cells import is_blank

__all__ = ["ReadLabels", "amount", "readable_names"]


@dataclass(frozen=True)
class ReadLabels:
    """Labels of the N images and C classes of a table.

    Attributes:
        class_names: C names.
        labels: (N, C) boolean CSR array.
        known: (N, C) boolean CSR array, or None if everything is known.
        soft: (N, C) float32 CSR array of soft targets, or None.
        notes: What a user should know about how they were read.
        rows: The first row of each image, where an image has several; else None.
    """

    class_names: tuple[str, ...]
    labels: csr_array
    known: csr_array | None = None
    soft: csr_array | None = None
    notes: tuple[str, ...] = ()
    rows: np.ndarray | None = None


def amount(number: int, one: str, many: str) -> str:
    """A number with what is counted.

    Example:
        >>> amount(1, "image has", "images have"), amount(1200, "image", "images")
        ('1 image has', '1,200 images')
    """
    return f"{number:,} {one if number == 1 else many}"


def readable_names(
    written: Sequence[str], names_of: Mapping[str, str] | None
) -> tuple[list[str], list[str]]:
    """What names stand for, and notes on those that stand for nothing and stay.

    Example:
        >>> readable_names(["/m/1", "/m/2", ""], {"/m/1": "Cat"})
        (['Cat', '/m/2', ''], ["1 class has no name in class_labels: '/m/2'"])
    """
    if names_of is None:
        return list(written), []
    missing = [name for name in written if name not in names_of and not is_blank(name)]
    shown = ", ".join(map(repr, missing[:5])) + (", ..." if len(missing) > 5 else "")
    number = amount(len(missing), "class has", "classes have")
    notes = [f"{number} no name in class_labels: {shown}"] if missing else []
    return [names_of.get(name, name) for name in written], notes
