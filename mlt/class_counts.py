"""ClassCounts: how often each class occurs, and in which group it therefore is.

The one form of class counts: splits, losses, samplers, detectors, metrics and reports all read it.
It is computed from the training data in use; there is no file of counts that could be out of date.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt

from mlt.class_groups import GROUPS, GroupLimits
from mlt.errors import ConfigError

__all__ = ["ClassCounts", "Unit"]

Unit = Literal["images", "boxes"]
"""What was counted."""


@dataclass(frozen=True, eq=False, repr=False)
class ClassCounts(Sequence[float]):
    """Positives of C classes in the training data; build it with :meth:`from_counts`.

    It is a sequence and an array of its counts, and is taken wherever a list of counts is.

    Attributes:
        counts: (C,) positives of each class; int64 where all are whole.
        total: Images (or boxes) the counts were taken over; None if nobody said.
        known: (C,) images (or boxes) on which each class is annotated; None if nobody said.
        names: C names; "0", "1", ... if none were given.
        unit: What was counted; None if nobody said.
        limits: Where head, medium and tail begin.
        is_class: (C,) which of the C columns are classes; None for all. In a detector the
            background, or an id that no category has, may have a column and is never positive.

    Raises:
        ConfigError: If lengths differ or a count is impossible.

    Example:
        >>> counts = ClassCounts.from_counts([120, 50, 3], num_images=150)
        >>> counts.group_of(1), counts.groups["tail"].tolist(), counts.prior.tolist()[2]
        ('medium', [2], 0.02)
    """

    counts: np.ndarray
    total: int | None
    known: np.ndarray | None
    names: tuple[str, ...]
    unit: Unit | None = None
    limits: GroupLimits = field(default_factory=GroupLimits)
    is_class: npt.NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "counts", _checked(self.counts, "Class counts"))
        object.__setattr__(self, "names", tuple(self.names))
        if self.known is not None:
            object.__setattr__(self, "known", _checked(self.known, "Known counts"))
        if self.is_class is not None:
            object.__setattr__(self, "is_class", np.array(self.is_class, dtype=bool))
        for what, others in (
            ("names", self.names),
            ("known counts", self.known),
            ("flags", self.is_class),
        ):
            if others is not None and len(others) != len(self.counts):
                raise ConfigError(
                    f"{len(self.counts)} class counts but {len(others)} {what}: {others}; there "
                    "must be one per class."
                )
        self._check_sizes()

    def _check_sizes(self) -> None:
        unit = self.unit or "images"
        if self.total is not None and not isinstance(self.total, Integral):
            raise ConfigError(f"num_images must be a whole number, not {self.total!r}.")
        if self.known is not None and (over := np.flatnonzero(self.counts > self.known)).size:
            c = int(over[0])
            raise ConfigError(
                f"Class {self.label(c)} has {self.counts[c]:g} positives among {self.known[c]:g} "
                f"{unit}. num_images is what the counts were taken over; for counts of boxes give "
                "the number of boxes."
            )
        if self.known is not None and self.total is not None and (self.known > self.total).any():
            c = int(np.argmax(self.known))
            raise ConfigError(
                f"Class {self.label(c)} is known on {self.known[c]:g} of {self.total} {unit}."
            )
        if self.is_class is None:
            return
        if not self.is_class.any():
            raise ConfigError("None of the columns is a class; there is nothing to count.")
        if (wrong := np.flatnonzero(self.counts * ~self.is_class)).size:
            c = int(wrong[0])
            raise ConfigError(f"Column {c} is not a class but has {self.counts[c]:g} {unit}.")

    @classmethod
    def from_counts(
        cls,
        counts: Sequence[float] | npt.ArrayLike,
        num_images: int | None = None,
        *,
        known: npt.ArrayLike | None = None,
        names: Iterable[str] | None = None,
        unit: Unit | None = None,
        limits: GroupLimits | None = None,
        is_class: npt.ArrayLike | None = None,
    ) -> ClassCounts:
        """Take counts as a user has them: a list, an array, a tensor, or class counts already.

        Args:
            counts: Positives of each class, shape (C,). If they are class counts already, what is
                given beside them replaces what they say.
            num_images: Images the counts were taken over (boxes, for a detector's counts; there
                it is their sum if not given).
            known: Images on which each class is annotated, if not all, shape (C,).
            names: Names of the classes.
            unit: What was counted.
            limits: Where head, medium and tail begin; the published 100 and 20 if None.
            is_class: Which of the columns are classes, shape (C,); None for all.

        Raises:
            ConfigError: If a count is negative, not finite or above ``num_images``, a length does
                not fit, or ``num_images`` contradicts class counts that know theirs.

        Example:
            >>> ClassCounts.from_counts([80, 20, 4], num_images=100)
            ClassCounts([80, 20, 4], total=100)
        """
        if isinstance(counts, ClassCounts):
            if num_images is not None and counts.total not in (None, num_images):
                raise ConfigError(
                    f"num_images is {num_images}, but the class counts given were taken over "
                    f"{counts.total} {counts.unit or 'images'}; leave it out."
                )
            num_images = counts.total if num_images is None else num_images
            known = counts.known if known is None else known
            names = counts.names if names is None else names
            unit, limits = unit or counts.unit, limits or counts.limits
            is_class = counts.is_class if is_class is None else is_class
            counts = counts.counts
        values = _checked(counts, "Class counts")
        if num_images is None and unit == "boxes":
            num_images = int(values.sum())
        if known is None and num_images is not None:
            known = np.full(len(values), num_images)
        return cls(
            counts=values,
            total=num_images,
            known=None if known is None else np.asarray(known),
            names=tuple(map(str, range(len(values)))) if names is None else tuple(names),
            unit=unit,
            limits=limits or GroupLimits(),
            is_class=None if is_class is None else np.asarray(is_class),
        )

    @classmethod
    def at_columns(
        cls, counts: Sequence[int], columns: Iterable[int], num_columns: int, unit: Unit = "boxes"
    ) -> ClassCounts:
        """Put counts of K real classes at their columns, among the C columns of a head.

        Args:
            counts: Positives of K classes.
            columns: The column (label) of each, K different numbers from 0 to C - 1.
            num_columns: Columns C of the head, as torchvision counts them: with the background.
            unit: What was counted.

        Raises:
            ConfigError: If numbers differ, or a column is out of range or there twice.

        Example:
            >>> ClassCounts.at_columns([12, 3], columns=range(1, 3), num_columns=3)
            ClassCounts([-, 12, 3], total=15, unit='boxes')
        """
        places = np.array(list(columns), dtype=np.int64)
        if len(places) != len(counts) or len(np.unique(places)) != len(places):
            raise ConfigError(f"{len(counts)} counts need as many different labels: {places}.")
        if len(places) and (places.min() < 0 or places.max() >= num_columns):
            raise ConfigError(
                f"Labels go from {places.min()} to {places.max()}, but a head of {num_columns} "
                f"columns has 0 to {num_columns - 1}. In torchvision num_classes counts the "
                "background, and is at least the largest label plus 1."
            )
        every, is_class = np.zeros(num_columns), np.zeros(num_columns, bool)
        every[places], is_class[places] = counts, True
        return cls.from_counts(every, unit=unit, is_class=is_class)

    @property
    def num_classes(self) -> int:
        """C, the number of classes (columns)."""
        return len(self.counts)

    @property
    def groups(self) -> dict[str, np.ndarray]:
        """The class indices of "head", "medium" and "tail", each ascending; may be empty."""
        head = self.counts >= self.limits.head
        tail = self.counts < self.limits.tail
        masks = {"head": head, "medium": ~head & ~tail, "tail": tail}
        return {name: np.flatnonzero(masks[name]) for name in GROUPS}

    def group_of(self, class_index: int) -> str:
        """The group of one class: "head", "medium" or "tail"."""
        n = self.counts[class_index]
        if n >= self.limits.head:
            return "head"
        return "tail" if n < self.limits.tail else "medium"

    @property
    def prior(self) -> npt.NDArray[np.float64]:
        """(C,) share of positives where known; 0 for a class that is known nowhere.

        Raises:
            ConfigError: If nobody said how many images the counts were taken over.
        """
        return self.counts / np.maximum(self._required(self.known, "The prior"), 1)

    @property
    def clamped(self) -> npt.NDArray[np.float64]:
        """(C,) counts that formulas can divide by: from 1 to one less than known.

        A column that is not a class gets the median count of the classes; as a count of 0 it would
        weigh more than the rarest class.

        Example:
            >>> ClassCounts.at_columns([4, 0], [1, 2], num_columns=3).clamped
            array([2., 3., 1.])
        """
        values = self.counts.astype(np.float64)
        if self.is_class is not None:
            values[~self.is_class] = np.median(values[self.is_class])
        upper = np.inf if self.known is None else np.maximum(self.known, 2) - 1
        return np.clip(values, 1, upper)

    @property
    def log_odds(self) -> npt.NDArray[np.float64]:
        """(C,) log(n / (M - n)), the logit of each class's prior, of clamped counts.

        Example:
            >>> ClassCounts.from_counts([50, 1], 100).log_odds.round(3)
            array([ 0.   , -4.595])
        """
        known = self.examples("The log odds of the classes")
        return np.log(self.clamped) - np.log(known - self.clamped)

    def examples(self, what_for: str) -> npt.NDArray[np.float64]:
        """(C,) images (or boxes) on which each class is annotated, at least 2.

        Args:
            what_for: What needs them, for the message.

        Raises:
            ConfigError: If nobody said how many images the counts were taken over.
        """
        return np.maximum(self._required(self.known, what_for), 2.0)

    def _required(self, known: np.ndarray | None, what_for: str) -> np.ndarray:
        if known is None:
            raise ConfigError(
                f"{what_for} needs num_images, the number of training images behind the counts."
            )
        return known

    @property
    def is_named(self) -> bool:
        """Whether the classes have names, rather than numbers."""
        return any(name != str(c) for c, name in enumerate(self.names))

    def label(self, class_index: int) -> str:
        """How a message calls a class: its name in quotes, or its number if it has none."""
        return repr(self.names[class_index]) if self.is_named else str(class_index)

    def __len__(self) -> int:
        return len(self.counts)

    @overload
    def __getitem__(self, index: int) -> float: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[float]: ...
    def __getitem__(self, index: int | slice) -> float | Sequence[float]:
        found: Any = self.counts[index].tolist()
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.counts, dtype=dtype)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ClassCounts):
            return NotImplemented
        same = (self.total, self.names, self.unit, self.limits) == (
            other.total,
            other.names,
            other.unit,
            other.limits,
        )
        arrays = ((self.counts, other.counts), (self.known, other.known))
        flags = (self._flags(), other._flags())
        return same and all(np.array_equal(a, b) for a, b in (*arrays, flags))  # type: ignore[arg-type]

    __hash__ = None  # type: ignore[assignment]

    def _flags(self) -> npt.NDArray[np.bool_]:
        return np.ones(len(self), bool) if self.is_class is None else self.is_class

    def __repr__(self) -> str:
        shown = (f"{n:g}" if real else "-" for n, real in zip(self.counts, self._flags()))
        total = "" if self.total is None else f", total={self.total}"
        unit = "" if self.unit is None else f", unit={self.unit!r}"
        return f"ClassCounts([{', '.join(shown)}]{total}{unit})"


def _checked(values: npt.ArrayLike, name: str) -> np.ndarray:
    """A read-only vector of finite numbers from 0; int64 where all are whole."""
    plain: Any = values.tolist() if hasattr(values, "tolist") else values
    try:
        array = np.array(plain, dtype=np.float64)
    except (TypeError, ValueError):
        raise ConfigError(
            f"{name} must be a list of one number per class, in the order of the columns, not "
            f"{type(values).__name__}: {str(values)[:60]}"
        ) from None
    if array.ndim != 1:
        raise ConfigError(
            f"{name} must be a list of one number per class, not of shape {array.shape}."
        )
    if not len(array):
        raise ConfigError(f"{name} are empty; give one number per class.")
    if not np.isfinite(array).all() or (array < 0).any():
        raise ConfigError(
            f"{name} must be finite and not negative, not {str(array.tolist())[:60]}; check them."
        )
    if (array == np.floor(array)).all():
        array = array.astype(np.int64)
    array.flags.writeable = False
    return array
