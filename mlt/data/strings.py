"""A column of strings in two arrays, for tables with millions of rows.

Nine million Python strings take about 700 MB; the same paths as one block of UTF-8 bytes with
offsets take what their characters take. Look-ups and the search for duplicates are vectorised over
64-bit hashes and then confirmed on the strings themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any, overload

import numpy as np

from mlt.errors import DataError

__all__ = ["StringColumn", "ragged_positions"]

_CHUNK = 1 << 16
# File names need not be valid Unicode; lone surrogates (os.fsdecode makes them) survive this way.
_ERRORS = "surrogatepass"


def ragged_positions(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Positions of all elements of the runs ``starts[i] : starts[i] + lengths[i]``, run by run.

    Example:
        >>> ragged_positions(np.array([7, 0]), np.array([2, 3])).tolist()
        [7, 8, 0, 1, 2]
    """
    starts = starts.astype(np.int64)
    ends = np.cumsum(lengths, dtype=np.int64)
    total = int(ends[-1]) if len(ends) else 0
    return np.repeat(starts - (ends - lengths), lengths) + np.arange(total, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class StringColumn(Sequence[str]):
    """An immutable sequence of strings, stored as one block of UTF-8 bytes.

    Build it with :meth:`from_iterable`, or directly from arrays without a loop over rows.

    Attributes:
        data: All strings one after the other as UTF-8, uint8.
        offsets: String ``i`` is ``data[offsets[i] : offsets[i + 1]]``; ``len + 1`` entries, uint32
            where that suffices, else int64.

    Raises:
        DataError: If the offsets do not fit the data, or the bytes are not UTF-8.

    Example:
        >>> column = StringColumn.from_iterable(["a.jpg", "", "ü.png"])
        >>> column[2], len(column), list(column[:2])
        ('ü.png', 3, ['a.jpg', ''])
        >>> column.take([2, 0]).positions(["a.jpg", "b.jpg"]).tolist()
        [1, -1]
    """

    data: np.ndarray
    offsets: np.ndarray

    def __post_init__(self) -> None:
        data, offsets = np.asarray(self.data), np.asarray(self.offsets)
        if data.dtype != np.uint8 or data.ndim != 1:
            raise DataError(f"string data must be 1-D uint8, got {data.ndim}-D {data.dtype}")
        if offsets.ndim != 1 or len(offsets) == 0 or offsets.dtype.kind not in "iu":
            raise DataError("string offsets must be a 1-D array of len + 1 integers")
        if offsets[0] != 0 or offsets[-1] != len(data) or bool(np.any(offsets[1:] < offsets[:-1])):
            raise DataError("string offsets must rise from 0 to the number of bytes")
        if len(data) and int(data.max()) >= 0x80:
            _check_utf8(data, offsets)
        object.__setattr__(self, "data", _frozen(data))
        object.__setattr__(self, "offsets", _frozen(offsets.astype(_offset_type(len(data)))))

    @classmethod
    def from_iterable(cls, strings: Iterable[str]) -> StringColumn:
        """Build a column from any iterable of strings, in chunks, so that a generator is fine."""
        data = bytearray()
        lengths = []
        iterator = iter(strings)
        while chunk := [s.encode("utf-8", _ERRORS) for s in islice(iterator, _CHUNK)]:
            data += b"".join(chunk)
            lengths.append(np.fromiter(map(len, chunk), np.int64, len(chunk)))
        return cls(np.frombuffer(data, np.uint8), _offsets(np.concatenate([*lengths, _EMPTY])))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @overload
    def __getitem__(self, index: int | np.integer[Any]) -> str: ...
    @overload
    def __getitem__(self, index: slice | np.ndarray | Sequence[int]) -> StringColumn: ...
    def __getitem__(self, index: Any) -> str | StringColumn:
        """The string at an integer; a column for a slice, a mask or an array of integers."""
        if isinstance(index, (int, np.integer)):
            i = int(index)
            if i < 0:
                i += len(self)
            if not 0 <= i < len(self):
                raise IndexError(f"row {index} of a column of {len(self)} strings")
            return str(self.data[self.offsets[i] : self.offsets[i + 1]].tobytes(), "utf-8", _ERRORS)
        if isinstance(index, slice):
            return self.take(np.arange(len(self))[index])
        if isinstance(index, np.ndarray) and index.dtype == np.bool_:
            index = np.flatnonzero(index)
        return self.take(index)

    def __iter__(self) -> Iterator[str]:
        for first in range(0, len(self), _CHUNK):
            ends = self.offsets[first : first + _CHUNK + 1].tolist()
            block = self.data[ends[0] : ends[-1]].tobytes()
            for start, end in pairwise(ends):
                yield str(block[start - ends[0] : end - ends[0]], "utf-8", _ERRORS)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StringColumn):
            return NotImplemented
        return np.array_equal(self.offsets, other.offsets) and np.array_equal(self.data, other.data)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = ", ".join(repr(s) for s in islice(self, 3))
        return f"StringColumn([{shown}{', ...' if len(self) > 3 else ''}], len={len(self)})"

    def tolist(self) -> list[str]:
        """The strings as a list, as arrays have it."""
        return list(self)

    @property
    def nbytes(self) -> int:
        """Bytes held by the two arrays."""
        return int(self.data.nbytes + self.offsets.nbytes)

    def take(self, indices: np.ndarray | Sequence[int]) -> StringColumn:
        """The strings at these rows, in this order; negative rows count from the end.

        Raises:
            IndexError: If a row does not exist.
        """
        rows = np.asarray(indices, dtype=np.int64)
        rows = np.where(rows < 0, rows + len(self), rows)
        if len(rows) and not (rows.min() >= 0 and rows.max() < len(self)):
            raise IndexError(f"rows must be in 0..{len(self) - 1}")
        lengths = self._lengths(rows)
        offsets = _offsets(lengths)
        data = np.empty(int(offsets[-1]), np.uint8)
        for first in range(0, len(rows), _CHUNK):
            chunk = slice(first, first + _CHUNK)
            last = min(first + _CHUNK, len(rows))
            positions = ragged_positions(self.offsets[rows[chunk]], lengths[chunk])
            data[offsets[first] : offsets[last]] = self.data[positions]
        return StringColumn(data, offsets)

    def positions(self, wanted: Iterable[str]) -> np.ndarray:
        """The first row of each wanted string, -1 where there is none; (len(wanted),) int64."""
        column = wanted if isinstance(wanted, StringColumn) else StringColumn.from_iterable(wanted)
        hashes = self._hashes()
        order = np.argsort(hashes, kind="stable")
        hashes = hashes[order]
        sought = column._hashes()
        left = np.searchsorted(hashes, sought, side="left")
        right = np.searchsorted(hashes, sought, side="right")
        if len(self) and bool(np.all(right > left)):
            rows = order[left]
            if self.take(rows) == column:
                return rows
        found = np.full(len(column), -1, np.int64)
        for i in np.flatnonzero(right > left):
            string = column[i]
            rows = order[left[i] : right[i]]
            found[i] = next((row for row in rows if self[row] == string), -1)
        return found

    def duplicates(self) -> list[str]:
        """The strings that occur more than once, each once, by first occurrence."""
        hashes = self._hashes()
        order = np.argsort(hashes, kind="stable")
        same = hashes[order][1:] == hashes[order][:-1]
        suspects = np.zeros(len(self), bool)
        suspects[order[1:][same]] = True
        suspects[order[:-1][same]] = True
        counts: dict[str, int] = {}
        for string in self.take(np.flatnonzero(suspects)):
            counts[string] = counts.get(string, 0) + 1
        return [string for string, n in counts.items() if n > 1]

    def _lengths(self, rows: np.ndarray) -> np.ndarray:
        return self.offsets[rows + 1].astype(np.int64) - self.offsets[rows].astype(np.int64)

    def _hashes(self) -> np.ndarray:
        """A 64-bit hash of each string, eight bytes at a time over all rows at once."""
        hashes = np.empty(len(self), np.uint64)
        for first in range(0, len(self), _CHUNK):
            offsets = self.offsets[first : first + _CHUNK + 1].astype(np.int64)
            block = self.data[offsets[0] : offsets[-1]]
            hashes[first : first + _CHUNK] = _hash_block(block, offsets - offsets[0])
        return hashes


_EMPTY = np.empty(0, np.int64)


def _hash_block(data: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    padded = np.concatenate([data, np.zeros(8, np.uint8)])
    # Every eight consecutive bytes as one integer, at any byte position, without a copy.
    words = np.ndarray((len(data) + 1,), np.uint64, buffer=padded.data, strides=(1,))
    starts, lengths = offsets[:-1], np.diff(offsets)
    hashes = lengths.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    for done in range(0, int(lengths.max(initial=0)), 8):
        rows = np.flatnonzero(lengths > done)
        surplus = np.maximum(8 - (lengths[rows] - done), 0).astype(np.uint64) * np.uint64(8)
        word = words[starts[rows] + done]
        # Clear the bytes that belong to the next string.
        word = (word << surplus) >> surplus
        mixed = (hashes[rows] ^ word) * np.uint64(0xFF51AFD7ED558CCD)
        hashes[rows] = mixed ^ (mixed >> np.uint64(32))
    return hashes


def _frozen(array: np.ndarray) -> np.ndarray:
    view = array.view()
    view.flags.writeable = False
    return view


def _offset_type(num_bytes: int) -> type[np.integer[Any]]:
    return np.uint32 if num_bytes < 1 << 32 else np.int64


def _offsets(lengths: np.ndarray) -> np.ndarray:
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def _check_utf8(data: np.ndarray, offsets: np.ndarray) -> None:
    starts = offsets[:-1][offsets[1:] > offsets[:-1]]
    try:
        str(data.data, "utf-8", _ERRORS)
    except UnicodeDecodeError as error:
        raise DataError(f"string data is not UTF-8: {error}") from None
    if bool(np.any((data[starts] & 0xC0) == 0x80)):
        raise DataError("a string offset lies inside a character")
