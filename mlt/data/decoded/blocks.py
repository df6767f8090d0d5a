"""Blocks of decoded images: files, or memory that has the name of a file, mapped to be read."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mlt.data.mapped_arrays import map_arrays, write_arrays
from mlt.errors import DataError
from mlt.keyed_files import KEY

__all__ = ["Block", "map_block", "write_block"]

_IMAGE = np.dtype(
    [
        ("key", KEY),
        ("start", "<i8"),
        ("height", "<i4"),
        ("width", "<i4"),
        ("interleaved", "?"),
        ("crc32", "<u4"),
    ]
)


@dataclass(frozen=True)
class Block:
    """The pixels of several images.

    Attributes:
        path: Where they lie.
        images: (M,) what is known of each: its key, where it begins, its height and width, whether
            the three values of a pixel lie side by side, a checksum.
        pixels: All their bytes, mapped.
    """

    path: Path
    images: NDArray[np.void]
    pixels: NDArray[np.uint8]

    def read(self, place: int) -> torch.Tensor:
        """A copy of an image, (3, H, W) uint8, laid out in memory as it was written."""
        image = self.images[place]
        height, width = int(image["height"]), int(image["width"])
        pixels = torch.from_numpy(self._bytes(image).copy())
        if image["interleaved"]:
            return pixels.view(height, width, 3).permute(2, 0, 1)
        return pixels.view(3, height, width)

    def is_sound(self, place: int) -> bool:
        """Whether the checksum of an image is that of its bytes."""
        image = self.images[place]
        return zlib.crc32(self._bytes(image).data) == image["crc32"]

    def _bytes(self, image: np.void) -> NDArray[np.uint8]:
        start, size = int(image["start"]), 3 * int(image["height"]) * int(image["width"])
        return self.pixels[start : start + size]


def write_block(path: Path, keys: Sequence[bytes], images: Sequence[NDArray[np.uint8]]) -> None:
    """Write images to a file.

    Args:
        path: The file; it is not replaced atomically.
        keys: Of :data:`mlt.keyed_files.KEY`.
        images: (3, H, W) each; how they lie in memory is kept.

    Raises:
        OSError: If they cannot be written, for example because the disk is full.
    """
    described = np.empty(len(images), _IMAGE)
    parts: list[NDArray[np.uint8]] = []
    start = 0
    for k, image in enumerate(images):
        # Transforms of torchvision are faster, and may round otherwise, in the one layout.
        by_pixel = image.transpose(1, 2, 0)
        interleaved = by_pixel.flags.c_contiguous and not image.flags.c_contiguous
        flat = (by_pixel if interleaved else image).reshape(-1)
        _, height, width = image.shape
        described[k] = (keys[k], start, height, width, interleaved, zlib.crc32(flat.data))
        parts.append(flat)
        start += len(flat)
    write_arrays(path, {"images": described, "pixels": np.concatenate(parts)})


def map_block(path: Path) -> Block:
    """Map a file that :func:`write_block` wrote.

    The pixels are not looked at before they are read.

    Raises:
        FileNotFoundError: If there is no such file.
        DataError: If it is damaged.
    """
    try:
        arrays = map_arrays(path, unchecked=("pixels",))
        images, pixels = arrays["images"], arrays["pixels"]
    except FileNotFoundError:
        raise
    except Exception as error:  # damage makes zipfile, mmap and numpy raise half a dozen kinds
        raise DataError(f"{path} is damaged: {error}") from error
    if images.dtype != _IMAGE or pixels.dtype != np.uint8 or pixels.ndim != 1:
        raise DataError(f"{path} is damaged: it holds something else")
    ends = images["start"] + 3 * images["height"].astype(np.int64) * images["width"]
    if len(images) and (images["start"].min() < 0 or ends.max() > len(pixels)):
        raise DataError(f"{path} is damaged: it is too short")
    return Block(path, images, pixels)
