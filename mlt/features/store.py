"""Files of features: memory-mapped arrays whose rows are known by the digest of their image.

A folder holds the features of one view under one backbone. Its files are written whole and never
changed; what is missing is added as a further file. So processes that compute the same at once do
not disturb each other, and whatever is absent, torn or damaged is just computed again.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlt.files import atomic_write
from mlt.keyed_files import KEY, drop_file, match_rows

__all__ = ["StoredFeatures", "add_features", "find_features", "row_size"]

LARGEST_ROUNDING = 0.01
"""Of float16, as a fraction of a feature's standard deviation; beyond it float32 is kept."""

FEW_ROWS = 16
"""Fewer rows do not tell a standard deviation, and cost nothing in float32."""


@dataclass(frozen=True)
class StoredFeatures:
    """The features of a view, found for the rows of a table.

    Attributes:
        arrays: Memory maps, (rows, D) each, or (rows, D, H, W) of feature maps.
        array: (N,) which of them has the row of the table; -1 if none has.
        place: (N,) where in it.
    """

    arrays: tuple[NDArray[np.floating], ...]
    array: NDArray[np.int32]
    place: NDArray[np.int64]

    def __getitem__(self, row: int) -> NDArray[np.float32]:
        """The features of a row that was found, (D,) or (D, H, W)."""
        return self.arrays[self.array[row]][self.place[row]].astype(np.float32)

    @property
    def missing(self) -> NDArray[np.bool_]:
        """(N,) which rows were not found."""
        return self.array < 0


def find_features(folder: Path, images: NDArray[np.bytes_]) -> StoredFeatures:
    """Look up features by the digests of images, and check them against their checksums.

    Args:
        folder: Of one view; need not exist. A damaged file in it is deleted, with a warning.
        images: (N,) of :data:`mlt.keyed_files.KEY`.
    """
    arrays: list[NDArray[np.floating]] = []
    array = np.full(len(images), -1, np.int32)
    place = np.zeros(len(images), np.int64)
    for path in sorted(folder.glob("[0-9a-f]*.npy")):
        records = _open(path)
        if records is None:
            continue
        rows, places = match_rows(images, array < 0, records["image"])
        if not len(rows):
            continue
        if any(_checksum(records[k]) != records[k]["crc32"] for k in np.unique(places)):
            drop_file(path, "a checksum is another one")
            continue
        with suppress(OSError):
            os.utime(path)  # the files that have not been used for longest are dropped first
        array[rows], place[rows] = len(arrays), places
        arrays.append(records["features"])
    return StoredFeatures(tuple(arrays), array, place)


def add_features(folder: Path, images: NDArray[np.bytes_], features: NDArray[np.float32]) -> None:
    """Write features to a new file of a folder, whole or not at all.

    They are rounded to float16, unless that would change one by more than a hundredth of its
    standard deviation over the rows, or the rows are few.

    Args:
        folder: Of one view; it is made.
        images: (N,) digests, N at least 1.
        features: (N, D), or feature maps (N, D, H, W).

    Raises:
        OSError: If they cannot be written, for example because the disk is full.
    """
    kind = np.float16 if _bears_rounding(features) else np.float32
    records = np.empty(len(images), _record(kind, features.shape[1:]))
    records["image"] = images
    records["features"] = features
    records["crc32"] = [_checksum(record) for record in records]
    name = hashlib.sha256(images.tobytes()).hexdigest()[:16]
    with atomic_write(folder / f"{name}.npy") as temporary, temporary.open("wb") as file:
        np.save(file, records, allow_pickle=False)


def row_size(shape: tuple[int, ...]) -> int:
    """Bytes that the features of one view of one image take, as float16.

    Args:
        shape: (D,), or (D, H, W) for a feature map.
    """
    return _record(np.float16, shape).itemsize


def _record(kind: type[np.floating], shape: tuple[int, ...]) -> np.dtype:
    return np.dtype([("image", KEY), ("crc32", "<u4"), ("features", kind, shape)])


def _checksum(record: np.void) -> int:
    return zlib.crc32(record["features"].tobytes(), zlib.crc32(record["image"]))


def _bears_rounding(features: NDArray[np.float32]) -> bool:
    if len(features) < FEW_ROWS:
        return False
    over = (0, *range(2, features.ndim))  # all that a feature has, at any position
    with np.errstate(over="ignore", invalid="ignore"):  # what becomes infinite is refused below
        error = np.abs(features - features.astype(np.float16)).max(axis=over)
    varies = np.ptp(features, axis=over) > 0
    bound = np.where(varies, LARGEST_ROUNDING * features.std(axis=over), np.finfo(np.float32).max)
    return bool((error <= bound).all())


def _open(path: Path) -> np.ndarray | None:
    """Map a file; None if it is damaged or has gone."""
    try:
        records: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
        features = records.dtype["features"]
        if records.dtype == _record(features.base.type, features.shape) and records.ndim == 1:
            return records
        drop_file(path, "it holds something else")
    except FileNotFoundError:  # another process has made room
        pass
    except Exception as error:  # damage makes numpy raise half a dozen kinds
        drop_file(path, str(error))
    return None
