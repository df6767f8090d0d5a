"""The folder and the last part of millions of paths, without a Python string for each."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlt.data.columns import StringColumn

__all__ = ["folders_of", "joined", "last_parts"]

_TEXT = pa.large_string()
_CHUNK = 1 << 16
_SLASH = ord("/")


def folders_of(paths: pa.Array) -> pa.DictionaryArray:
    """What each path has before its last part, with the slash.

    Args:
        paths: (N,) strings without nulls.

    Returns:
        (N,) dictionary-encoded strings; the dictionary is in order of first occurrence.

    Example:
        >>> folders_of(pa.array(["a/b/1.jpg", "2.jpg", "a/b/3.jpg"])).dictionary.to_pylist()
        ['a/b/', '']
    """
    chunks = [_kept(*part, kept=(True, False)) for part in _parts(paths)]
    encoded = pa.chunked_array(chunks, _TEXT).dictionary_encode().combine_chunks()
    return encoded if isinstance(encoded, pa.DictionaryArray) else encoded.chunk(0)


def last_parts(paths: pa.Array) -> pa.Array:
    """What each path has after its last slash.

    Args:
        paths: (N,) strings without nulls.

    Example:
        >>> last_parts(pa.array(["a/b/1.jpg", "2.jpg", "a/"])).to_pylist()
        ['1.jpg', '2.jpg', '']
    """
    chunks = [_kept(*part, kept=(False, True)) for part in _parts(paths)]
    return pa.concat_arrays([pa.array([], _TEXT), *chunks])


def joined(a: pa.Array | str, b: pa.Array | str) -> pa.Array:
    """One string directly after the other, element by element; one of them may be one for all.

    Example:
        >>> joined("a/", pa.array(["1.jpg", "2.jpg"])).to_pylist()
        ['a/1.jpg', 'a/2.jpg']
    """
    parts = (
        pa.scalar(part, _TEXT) if isinstance(part, str) else part.cast(_TEXT) for part in (a, b)
    )
    return pc.binary_join_element_wise(*parts, pa.scalar("", _TEXT))


def _parts(paths: pa.Array) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Bytes and offsets of some paths at a time, and where the folder of each ends."""
    for first in range(0, len(paths), _CHUNK):
        data, offsets = StringColumn(paths.slice(first, _CHUNK)).to_bytes()
        slashes = np.append(np.flatnonzero(data == _SLASH), -1)
        last = slashes[np.searchsorted(slashes[:-1], offsets[1:]) - 1]  # -1: none before
        yield data, offsets, np.maximum(last + 1, offsets[:-1])


def _kept(
    data: np.ndarray, offsets: np.ndarray, ends: np.ndarray, kept: tuple[bool, bool]
) -> pa.Array:
    """Of each path its folder, its last part, or both."""
    borders = np.append(np.stack([offsets[:-1], ends], 1).reshape(-1), offsets[-1])
    lengths = np.diff(borders)
    bytes_kept = data[np.repeat(np.tile(kept, len(ends)), lengths)]
    kept_offsets = np.append(0, np.cumsum((lengths.reshape(-1, 2) * kept).sum(1)))
    return StringColumn.from_checked_bytes(bytes_kept, kept_offsets).array
