"""The one door to the image of a row, be it a file, a row of a data set or part of an archive."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mlt.data.images import decode_image, load_image
from mlt.data.labels import LabelTable
from mlt.errors import MissingFileError, UserError
from mlt.keyed_files import KEY

__all__ = ["image_digests", "row_bytes", "row_image"]


def row_image(table: LabelTable, row: int) -> Image.Image:
    """Read the image of a row as 8-bit RGB, see :func:`mlt.data.images.load_image`.

    Args:
        table: The images.
        row: Which.

    Raises:
        MissingFileError: If there is no such file.
        DataError: If it cannot be decoded, or the table has neither files nor a reader.

    Example:
        >>> class White:
        ...     def read(self, path):
        ...         return Image.new("L", (3, 2), "white")
        >>> table = LabelTable.from_lists([1], ["first"], ["x"], [[0]], images=White())
        >>> row_image(table, 0).getpixel((0, 0))
        (255, 255, 255)
    """
    path = table.image_path(row)
    if table.images is None:
        return load_image(path)
    assert table.paths is not None
    return decode_image(table.images.read(table.paths[row]), path.as_posix())


def row_bytes(table: LabelTable, row: int) -> bytes:
    """What the image of a row is stored as, for digests; pixels where it is not stored encoded.

    Args:
        table: The images.
        row: Which.

    Raises:
        MissingFileError: If there is no such file.
        DataError: If it cannot be read, or the table has neither files nor a reader.
    """
    path = table.image_path(row)
    if table.images is None:
        if not path.is_file():
            raise MissingFileError(f"The image {path} is listed but does not exist.")
        return path.read_bytes()
    assert table.paths is not None
    content = table.images.read(table.paths[row])
    if isinstance(content, bytes):
        return content
    stored = BytesIO()
    decode_image(content, path.as_posix()).save(stored, "PPM")  # sizes and pixels, nothing else
    return stored.getvalue()


def image_digests(table: LabelTable) -> NDArray[np.bytes_]:
    """SHA-256 of what each image of a table is stored as.

    Args:
        table: N images.

    Returns:
        (N,) of :data:`mlt.keyed_files.KEY`; empty for an image that cannot be read.
    """

    def digest(row: int) -> bytes:
        try:
            return hashlib.sha256(row_bytes(table, row)).digest()
        except UserError:
            return b""  # reading the image says what is wrong with it, or skips it

    if table.images is None:  # files; other readers need not bear several threads
        with ThreadPoolExecutor() as threads:
            return np.array(list(threads.map(digest, range(len(table)))), KEY)
    return np.array([digest(row) for row in range(len(table))], KEY)
