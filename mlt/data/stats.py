"""ClassStats: how often each class occurs, and in which group it therefore is.

Losses, samplers, bias initialisation and the report all read the same numbers, and these are
always computed from the table in use; there is no file of counts that could be out of date.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import csr_array

from mlt.data.labels import LabelTable
from mlt.errors import ConfigError, DataError

__all__ = ["GROUPS", "ClassStats", "GroupLimits"]

GROUPS = ("head", "medium", "tail")
"""The names of the groups, from the most to the least frequent classes."""


@dataclass(frozen=True)
class GroupLimits:
    """Where head, medium and tail begin, in training images a class.

    The published code of the Distribution-Balanced Loss (ECCV 2020) has 100 and 20. LVIS counts 1
    to 10 images as rare and more than 100 as frequent: 101 and 11.

    Attributes:
        head: A class with at least this many images is in the head.
        tail: A class with fewer images than this is in the tail; the others are medium.

    Raises:
        ConfigError: If not 0 <= tail <= head.
    """

    head: int = 100
    tail: int = 20

    def __post_init__(self) -> None:
        if not 0 <= self.tail <= self.head:
            raise ConfigError(
                f"group limits must satisfy 0 <= tail <= head, "
                f"got tail={self.tail}, head={self.head}"
            )

    def describe(self) -> dict[str, str]:
        """What each group means, in words.

        Example:
            >>> GroupLimits().describe()["medium"]
            '20 to 99 images'
        """
        return {
            "head": f"{self.head} images or more",
            "medium": f"{self.tail} to {self.head - 1} images",
            "tail": f"fewer than {self.tail} images",
        }


@dataclass(frozen=True, eq=False)
class ClassStats:
    """Counts of C classes over a set of images.

    Attributes:
        class_names: C names.
        counts: (C,) int64, images that have the class.
        num_images: Images in all.
        known_counts: (C,) int64, images for which it is known whether they have the class.
        limits: Where the groups begin.
        cooccurrence: (C, C) int64 CSR array, images that have both classes; the diagonal is
            ``counts``. None if it was not computed.

    Raises:
        DataError: If lengths differ or a count is impossible.

    Example:
        >>> stats = ClassStats.from_counts([120, 50, 3], num_images=150)
        >>> stats.group_of(1), stats.groups["tail"].tolist(), stats.prior.tolist()[2]
        ('medium', [2], 0.02)
    """

    class_names: tuple[str, ...]
    counts: np.ndarray
    num_images: int
    known_counts: np.ndarray
    limits: GroupLimits = field(default_factory=GroupLimits)
    cooccurrence: csr_array | None = None

    def __post_init__(self) -> None:
        counts = _counts(self.counts, "counts")
        known = _counts(self.known_counts, "known_counts")
        if not len(self.class_names) == len(counts) == len(known):
            raise DataError(
                f"{len(self.class_names)} class names, {len(counts)} counts and "
                f"{len(known)} counts of known labels; there must be one each a class"
            )
        wrong = np.flatnonzero((counts < 0) | (counts > known) | (known > self.num_images))
        if len(wrong):
            c = wrong[0]
            raise DataError(
                f"class {self.class_names[c]!r} has {counts[c]} images, {known[c]} where it is "
                f"known, of {self.num_images}; expected 0 <= images <= known <= all"
            )
        object.__setattr__(self, "class_names", tuple(self.class_names))
        object.__setattr__(self, "counts", counts)
        object.__setattr__(self, "known_counts", known)

    @classmethod
    def from_table(
        cls,
        table: LabelTable,
        limits: GroupLimits | None = None,
        *,
        cooccurrence: bool = True,
    ) -> ClassStats:
        """Count the classes of a table.

        Args:
            table: N images, C classes.
            limits: Where the groups begin; the published 100 and 20 if None.
            cooccurrence: Whether to count pairs of classes too, which for tens of thousands of
                classes can take more memory than the labels.
        """
        counts = _column_counts(table.labels)
        everywhere = np.full(table.num_classes, len(table), np.int64)
        return cls(
            class_names=table.class_names,
            counts=counts,
            num_images=len(table),
            known_counts=everywhere if table.known is None else _column_counts(table.known),
            limits=limits or GroupLimits(),
            cooccurrence=_cooccurrence(table.labels) if cooccurrence else None,
        )

    @classmethod
    def from_counts(
        cls,
        counts: Sequence[int] | np.ndarray,
        num_images: int,
        class_names: Iterable[str] | None = None,
        limits: GroupLimits | None = None,
    ) -> ClassStats:
        """Statistics from bare counts, every label known; names are "0", "1", ... if not given."""
        names = map(str, range(len(counts))) if class_names is None else class_names
        return cls(
            class_names=tuple(names),
            counts=np.asarray(counts),
            num_images=int(num_images),
            known_counts=np.full(len(counts), num_images, np.int64),
            limits=limits or GroupLimits(),
        )

    @property
    def num_classes(self) -> int:
        """C, the number of classes."""
        return len(self.class_names)

    @property
    def groups(self) -> dict[str, np.ndarray]:
        """The class indices of "head", "medium" and "tail", each ascending; may be empty."""
        head = self.counts >= self.limits.head
        tail = self.counts < self.limits.tail
        masks = {"head": head, "medium": ~head & ~tail, "tail": tail}
        return {name: np.flatnonzero(masks[name]) for name in GROUPS}

    def group_of(self, class_index: int) -> str:
        """The group of one class: "head", "medium" or "tail"."""
        n = int(self.counts[class_index])
        if n >= self.limits.head:
            return "head"
        return "tail" if n < self.limits.tail else "medium"

    @property
    def prior(self) -> np.ndarray:
        """(C,) float64, counts / known_counts; 0 for a class that is known nowhere."""
        return self.counts / np.maximum(self.known_counts, 1)


def _counts(values: np.ndarray, name: str) -> np.ndarray:
    array = np.asarray(values)
    whole = array.ndim == 1 and (array.size == 0 or array.dtype.kind in "iu")
    if not whole and array.ndim == 1 and array.dtype.kind == "f":
        whole = bool(np.all(array == np.floor(array)))
    if not whole:
        raise DataError(f"{name} must be a 1-D array of whole numbers, got {values!r}")
    array = array.astype(np.int64)
    array.flags.writeable = False
    return array


def _column_counts(matrix: csr_array) -> np.ndarray:
    return np.bincount(matrix.indices, minlength=matrix.shape[1]).astype(np.int64)


def _cooccurrence(labels: csr_array) -> csr_array:
    # A product of boolean or 8-bit arrays would saturate; N images always fit 32 bits here.
    integers = labels.astype(np.int32 if labels.shape[0] < 1 << 31 else np.int64)
    pairs = csr_array(integers.T @ integers).astype(np.int64)
    pairs.sort_indices()
    return pairs
