"""What the readers of the three layouts return."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

__all__ = ["ReadLabels", "amount"]


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
