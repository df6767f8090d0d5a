"""Images in a ZIP file: which there are, and reading them without unpacking the file."""

from __future__ import annotations

import posixpath
import stat
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mlt.data.image_suffixes import IMAGE_SUFFIXES
from mlt.errors import DataError, MissingFileError

__all__ = ["ZipImages", "list_images"]

_HEADER = struct.Struct("<4s22xHH")
"""Of a member: a mark, and how long the name and the further fields behind it are."""

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class _Member(NamedTuple):
    """Where a file is in the archive, and how it is stored."""

    offset: int
    packed_size: int
    size: int
    method: int
    crc: int


@dataclass(frozen=True)
class ZipImages:
    """Reads images out of a ZIP file, by the names of its members.

    Its list is read once: processes that a loader starts are given it.

    Attributes:
        file: The archive.
        members: Name to place.
    """

    file: Path
    members: Mapping[str, _Member]

    def read(self, path: str) -> bytes:
        """The content of a member.

        Raises:
            DataError: If there is no such member, or it is damaged.
            MissingFileError: If the archive does not exist.
        """
        member = self.members.get(path)
        if member is None:
            raise DataError(f"The image {path} is not in {self.file}.")
        try:
            with self.file.open("rb") as stream:
                stream.seek(member.offset)
                mark, *lengths = _HEADER.unpack(stream.read(_HEADER.size))
                stream.seek(sum(lengths), 1)
                content = stream.read(member.packed_size)
            if member.method == zipfile.ZIP_DEFLATED:
                content = zlib.decompressobj(-15).decompress(content, member.size + 1)
        except FileNotFoundError:
            raise MissingFileError(
                f"The archive of the image {path}, {self.file}, is absent."
            ) from None
        except (OSError, struct.error, zlib.error) as error:
            raise DataError(
                f"The image {path} cannot be read from {self.file}: {error}."
            ) from error
        found = mark, len(content), zlib.crc32(content)
        if found != (b"PK\x03\x04", member.size, member.crc):
            raise DataError(f"The image {path} in {self.file} is damaged. Fetch the file again.")
        return content


def list_images(file: Path) -> ZipImages:
    """List the images of a ZIP file, by their extension, in the order of their names.

    Raises:
        MissingFileError: If the file does not exist.
        DataError: If it is not a ZIP file, or has an image that is encrypted or packed in another
            way than by `deflate`.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "images.zip"
        >>> with zipfile.ZipFile(file, "w") as archive:
        ...     archive.writestr("b/1.png", b"one")
        ...     archive.writestr("a/2.png", b"two")
        ...     archive.writestr("a/readme.txt", b"three")
        >>> images = list_images(file)
        >>> list(images.members), images.read("a/2.png")
        (['a/2.png', 'b/1.png'], b'two')
    """
    if not file.is_file():
        raise MissingFileError(f"there is no file {file}")
    try:
        with zipfile.ZipFile(file) as archive:
            listed = archive.infolist()
    # Odd headers raise more than BadZipFile.
    except Exception as error:
        raise DataError(f"{file} cannot be read as a ZIP file: {error}. Fetch it again") from error
    images = sorted(filter(_is_image, listed), key=lambda info: info.filename)
    return ZipImages(file, {info.filename: _member(file, info) for info in images})


def _member(file: Path, info: zipfile.ZipInfo) -> _Member:
    if info.flag_bits & 1 or info.compress_type not in _METHODS:
        raise DataError(
            f"{file}: {info.filename!r} is encrypted, or packed in a rare way; unpack the file"
        )
    return _Member(
        info.header_offset, info.compress_size, info.file_size, info.compress_type, info.CRC
    )


def _is_image(info: zipfile.ZipInfo) -> bool:
    """Whether it is a regular file with the extension of an image, and not one that systems add."""
    name = info.filename
    hidden = name.startswith((".", "__MACOSX/")) or "/." in name
    is_link = stat.S_ISLNK(info.external_attr >> 16)
    return posixpath.splitext(name)[1].lower() in IMAGE_SUFFIXES and not (hidden or is_link)
