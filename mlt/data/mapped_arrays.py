"""NumPy archives (``.npz``) whose arrays are used where they lie in the file, memory-mapped.

Processes that map one file share its memory, and what is not in use can be dropped by the system.
``numpy.load`` reads these files like any other ``.npz``.
"""

from __future__ import annotations

import io
import mmap
import os
import struct
import zipfile
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.lib import format as npy

from mlt.errors import DataError

__all__ = ["Stamp", "map_arrays", "write_arrays"]

Stamp: TypeAlias = tuple[int, int]
"""Size and modification time in ns of a file as it was written."""

_LOCAL_HEADER = 30  # bytes before a member's name in a ZIP file; two lengths are the last of them
_ZIP64_SIZES = 20
_ALIGNMENT = 64
_PADDING = 0xD935  # the extra field that Android's zipalign pads with


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> Stamp:
    """Write an uncompressed ``.npz`` whose arrays begin at multiples of 64 bytes.

    Args:
        path: The file.
        arrays: Arrays by name, without Python objects.

    Returns:
        The stamp by which :func:`map_arrays` knows the file again, wherever it is moved.
    """
    with path.open("wb") as stream:
        with zipfile.ZipFile(stream, "w") as archive:
            for name, array in arrays.items():
                member = zipfile.ZipInfo(f"{name}.npy")
                before = _LOCAL_HEADER + len(member.filename.encode()) + 4 + _ZIP64_SIZES
                padding = -(stream.tell() + before) % _ALIGNMENT
                member.extra = struct.pack("<HH", _PADDING, padding) + bytes(padding)
                with archive.open(member, "w", force_zip64=True) as file:
                    npy.write_array(file, np.asarray(array), allow_pickle=False)
        stream.flush()
        return _stamp(stream.fileno())


def map_arrays(
    path: Path, stamp: Stamp | None = None, unchecked: Collection[str] = ()
) -> dict[str, np.ndarray]:
    """Map the arrays of a file that :func:`write_arrays` wrote, read-only.

    The checksum of each is looked at, which reads the file once, at gigabytes per second.

    Args:
        path: The file.
        stamp: What it was written with; None takes any file.
        unchecked: Names of arrays whose checksums are not looked at.

    Raises:
        FileNotFoundError: If there is no such file.
        DataError: If it is not the file of this stamp, or is damaged.
    """
    with path.open("rb") as stream:
        if stamp is not None and _stamp(stream.fileno()) != tuple(stamp):
            raise DataError(f"{path} has been written again or changed")
        with zipfile.ZipFile(stream) as archive:
            members = archive.infolist()
        block = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    arrays = {}
    for member in members:
        name, extra = struct.unpack_from("<HH", block, member.header_offset + _LOCAL_HEADER - 4)
        start = member.header_offset + _LOCAL_HEADER + name + extra
        array = member.filename.removesuffix(".npy")
        with memoryview(block) as view, view[start : start + member.file_size] as content:
            if array not in unchecked and zlib.crc32(content) != member.CRC:
                raise DataError(f"{path} is damaged: {member.filename}")
        arrays[array] = _mapped(block, start)
    return arrays


def _mapped(block: mmap.mmap, start: int) -> np.ndarray:
    """The array whose ``.npy`` file lies here."""
    (length,) = struct.unpack_from("<H", block, start + npy.MAGIC_LEN)
    data = start + npy.MAGIC_LEN + 2 + length
    described = io.BytesIO(block[start + npy.MAGIC_LEN : data])
    shape, _, kind = npy.read_array_header_1_0(described)
    count = int(np.prod(shape))
    return (
        np.frombuffer(block, kind, count, data).reshape(shape) if count else np.empty(shape, kind)
    )


def _stamp(file: int) -> Any:
    stat = os.fstat(file)
    return stat.st_size, stat.st_mtime_ns
