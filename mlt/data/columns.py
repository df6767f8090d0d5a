"""Columns of a label table, ids and paths: integers in NumPy, strings in one block of Arrow.

Nine million Python strings take about 700 MB; the same paths in one block of UTF-8 with offsets
take what their characters take. Look-ups and duplicates are Arrow's hash kernels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import Any, TypeAlias, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlt.errors import DataError

__all__ = [
    "Column",
    "StringColumn",
    "as_column",
    "duplicates",
    "find_ids",
    "integer_column",
    "positions",
    "same_values",
]

_SHOWN = 5
_CHUNK = 1 << 16
_LONGEST_HASHED = 1024
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2**64 over the golden ratio: spreads bits well


class StringColumn(Sequence[str]):
    """An immutable sequence of strings, stored as one Arrow array of UTF-8.

    Args:
        array: The strings, without nulls.

    Example:
        >>> column = StringColumn.from_iterable(["a.jpg", "", "ü.png"])
        >>> column[2], len(column), list(column[:2])
        ('ü.png', 3, ['a.jpg', ''])
    """

    def __init__(self, array: pa.Array) -> None:
        self.array = array.cast(pa.large_string())

    @classmethod
    def from_iterable(cls, strings: Iterable[str]) -> StringColumn:
        """Build a column from strings, in chunks, so that a generator is fine.

        Raises:
            DataError: If one is not valid Unicode, as the name of a file need not be.
        """
        iterator = iter(strings)
        chunks = [pa.array([], pa.large_string())]
        try:
            while chunk := list(islice(iterator, _CHUNK)):
                chunks.append(pa.array(chunk, pa.large_string()))
            return cls(pa.concat_arrays(chunks))
        except UnicodeEncodeError as error:
            raise DataError(
                f"{error.object!r} is not valid Unicode; rename the file, with its mention in the "
                "annotations"
            ) from None

    @classmethod
    def from_bytes(cls, data: np.ndarray, offsets: np.ndarray) -> StringColumn:
        """Build a column from what :meth:`to_bytes` gave.

        Raises:
            DataError: If the offsets do not fit the data, or the bytes are not UTF-8.
        """
        if data.dtype != np.uint8 or offsets.dtype.kind not in "iu" or not len(offsets):
            raise DataError("a column of strings needs bytes and integer offsets")
        try:
            column = cls.from_checked_bytes(data, offsets)
            column.array.validate(full=True)
        except pa.ArrowInvalid as error:
            raise DataError(f"a column of strings is damaged: {error}") from None
        return column

    @classmethod
    def from_checked_bytes(cls, data: np.ndarray, offsets: np.ndarray) -> StringColumn:
        """Build a column from what :meth:`to_bytes` gave and nobody changed; nothing is read."""
        parts = offsets.astype(np.int64, copy=False), data
        buffers = (pa.py_buffer(np.ascontiguousarray(part)) for part in parts)
        return cls(pa.LargeStringArray.from_buffers(len(offsets) - 1, *buffers))

    def to_bytes(self) -> tuple[np.ndarray, np.ndarray]:
        """All strings one after the other as UTF-8, and the (len + 1,) int64 offsets of each."""
        _, offset_buffer, data_buffer = self.array.buffers()
        first = self.array.offset
        offsets = np.frombuffer(offset_buffer, np.int64)[first : first + len(self) + 1]
        data = np.frombuffer(data_buffer or b"", np.uint8)[offsets[0] : offsets[-1]]
        return data, offsets - offsets[0]

    @cached_property
    def is_distinct(self) -> bool:
        """Whether no string occurs twice."""
        # Equal strings have equal hashes; sorting those takes a quarter of an Arrow hash table.
        data, offsets = self.to_bytes()
        if len(self) < 2 or int(np.diff(offsets).max()) <= _LONGEST_HASHED:
            hashes = np.sort(_hashes(data, offsets))
            if not bool((hashes[1:] == hashes[:-1]).any()):
                return True
        return len(pc.unique(self.array)) == len(self)

    @cached_property
    def has_nul(self) -> bool:
        """Whether a string holds a NUL character."""
        return not bool(self.to_bytes()[0].all())

    def __len__(self) -> int:
        return len(self.array)

    @overload
    def __getitem__(self, index: int | np.integer[Any]) -> str: ...
    @overload
    def __getitem__(self, index: slice | np.ndarray | Sequence[int]) -> StringColumn: ...
    def __getitem__(self, index: Any) -> str | StringColumn:
        """The string at an integer; a column for a slice, a mask or an array of integers."""
        if isinstance(index, (int, np.integer)):
            return self.array[int(index)].as_py()
        if isinstance(index, slice):
            rows = np.arange(*index.indices(len(self)))
        else:
            rows = np.arange(len(self))[index]  # NumPy's rules for masks and negative rows
        return StringColumn(self.array.take(pa.array(rows)))

    def __iter__(self) -> Iterator[str]:
        for first in range(0, len(self), _CHUNK):
            yield from self.array[first : first + _CHUNK].to_pylist()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StringColumn) and self.array.equals(other.array)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = ", ".join(map(repr, self[:3]))
        return f"StringColumn([{shown}{', ...' if len(self) > 3 else ''}], len={len(self)})"

    def tolist(self) -> list[str]:
        """The strings as a list, as arrays have it."""
        return self.array.to_pylist()


Column: TypeAlias = np.ndarray | StringColumn
"""Ids: int64, or strings."""


def as_column(ids: Iterable[int] | Iterable[str]) -> Column:
    """Integers as an array, strings as a column.

    Raises:
        DataError: If there are both.
    """
    listed: list[Any] = list(ids)
    kinds = {issubclass(kind, str) for kind in set(map(type, listed))}
    if len(kinds) > 1:
        raise DataError("image ids must be all integers or all strings, got both")
    strings = kinds == {True}
    return StringColumn.from_iterable(listed) if strings else integer_column(listed)


def integer_column(ids: Any) -> np.ndarray:
    """``ids`` as a read-only int64 array.

    Raises:
        DataError: If they are not integers in one dimension, or one does not fit.
    """
    array = np.asarray(ids) if len(ids) else np.empty(0, np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise DataError(
            f"image ids must be a 1-D array of integers or a StringColumn, "
            f"got a {array.ndim}-D array of {array.dtype}"
        )
    if array.dtype == np.uint64 and len(array) and int(array.max()) >= 2**63:
        raise DataError(
            f"image id {array.max()} is too large: integers must be below 2**63; give larger ones "
            "as strings"
        )
    array = array.astype(np.int64).view()
    array.flags.writeable = False
    return array


def same_values(a: Column, b: Column) -> bool:
    """Whether two columns hold the same values in the same order.

    Example:
        >>> same_values(np.array([7, 5]), np.array([7, 5]))
        True
    """
    return _arrow(a).equals(_arrow(b))


def duplicates(column: Column) -> list[Any]:
    """The values that occur more than once, each once, by first occurrence."""
    if isinstance(column, StringColumn) and column.is_distinct:
        return []
    counts = pc.value_counts(_arrow(column))
    return counts.field(0).filter(pc.greater(counts.field(1), 1)).to_pylist()


def positions(column: Column, wanted: Column) -> np.ndarray:
    """The first row of each wanted value, -1 where there is none; (len(wanted),) int64.

    Example:
        >>> positions(np.array([7, 5]), np.array([5, 6])).tolist()
        [1, -1]
    """
    found = pc.index_in(_arrow(wanted), value_set=_arrow(column))
    return found.fill_null(-1).to_numpy().astype(np.int64)


def find_ids(ids: Column, wanted: Iterable[int | str]) -> np.ndarray:
    """The position in ``ids`` of each wanted id; (len(wanted),) int64.

    Raises:
        DataError: If one is absent or of the wrong type; names the first few.
    """
    asked: Any = wanted if isinstance(wanted, (np.ndarray, StringColumn)) else list(wanted)
    if isinstance(ids, StringColumn):
        _check_type(asked, str, "strings")
        asked = asked if isinstance(asked, StringColumn) else StringColumn.from_iterable(asked)
    else:
        _check_type(asked, (int, np.integer), "integers")
        asked = integer_column(asked)
    rows = positions(ids, asked)
    missing = np.flatnonzero(rows < 0)
    if len(missing):
        shown = ", ".join(repr(_plain(asked[i])) for i in missing[:_SHOWN])
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        raise DataError(
            f"{len(missing)} of {len(asked)} image ids are not among the {len(ids)} images "
            f"of the table: {shown}{more}; are they of another data set or split?"
        )
    return rows


def _hashes(data: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """A 64-bit hash of each string of a column, as of :meth:`StringColumn.to_bytes`."""
    data = np.concatenate([data, np.zeros(8, np.uint8)])
    # The eight bytes from every place on, as one number.
    words = np.ndarray((len(data) - 7,), "<u8", data, strides=(1,))
    kept = np.uint64(2**64 - 1) >> (np.arange(64, -1, -8, dtype=np.uint64) % np.uint64(64))
    kept[0] = 0
    hashes = np.diff(offsets).astype(np.uint64)
    for first in range(0, len(hashes), _CHUNK):
        part = hashes[first : first + _CHUNK]
        starts, ends = (offsets[first + n : first + n + len(part)] for n in (0, 1))
        for at in range(0, int(part.max()), 8):
            left = np.clip(ends - starts - at, 0, 8)
            part ^= words[np.minimum(starts + at, len(words) - 1)] & kept[left]
            part *= _MULTIPLIER
            part ^= part >> np.uint64(32)
    return hashes


def _arrow(column: Column) -> pa.Array:
    return column.array if isinstance(column, StringColumn) else pa.array(column)


def _check_type(ids: Any, kind: type | tuple[type, ...], name: str) -> None:
    if isinstance(ids, StringColumn) and kind is str:
        return
    if isinstance(ids, np.ndarray) and ids.dtype.kind in "iu" and kind is not str:
        return
    wrong = next((i for i in ids if not isinstance(i, kind)), None)
    if wrong is not None:
        raise DataError(
            f"the image ids of this table are {name}, but asked for was "
            f"{_plain(wrong)!r} ({type(_plain(wrong)).__name__})"
        )


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
