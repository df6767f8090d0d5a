"""Images of every kind, read as 8-bit RGB."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image, ImageOps

from mlt.errors import DataError, MissingFileError, UserError

__all__ = ["ImageReader", "decode_image", "load_image", "open_image", "open_without_waiting"]

_REMEDY = "Fetch it again, or leave it out."

# Pillow's names of one-channel modes that hold more than 8 bits.
_DEEP_GREY = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N", "F"})

# Pillow's names of formats for which it runs another program (Ghostscript), or for what is inside.
_BY_OTHER_PROGRAMS = ("EPS", "IPTC")


class ImageReader(Protocol):
    """Reads images that are not files of their own: rows of a data set, members of an archive.

    It goes to the loader's workers, so it can be pickled, and opens what it reads only when asked.
    """

    def read(self, path: str) -> bytes | Image.Image:
        """The image of a path of the label table: an encoded file, or decoded.

        Raises:
            UserError: If it cannot be read; names it.
        """
        ...


def load_image(path: str | Path, shorter_side: int | None = None) -> Image.Image:
    """Read an image file as 8-bit RGB, the way a viewer would show it.

    - An EXIF orientation is applied.
    - Transparent pixels (palette, LA, RGBA) show a white ground.
    - Grey with 16 bits (PNG, TIFF) is divided by 257, so that 65,535 becomes 255: the range of the
      file's format, not of the one image, so that exposures stay comparable.
    - Grey with 32 bits is read as 16-bit where it fits that range, which is how some writers and
      older Pillow versions deliver such files. Otherwise its own range is stretched over 0 to 255.
    - Grey in floating point is read as 0 to 1 or 0 to 255 where it fits, and stretched where not;
      NaN is black.
    - Of an animation, the first frame is taken.

    Args:
        path: The file.
        shorter_side: A JPEG file may be decoded at 1/2, 1/4 or 1/8 of its size as long as its
            shorter side keeps this many pixels; None always decodes the whole.

    Returns:
        The image in mode "RGB", decoded, with its file closed.

    Raises:
        MissingFileError: If there is no such file.
        DataError: If the file cannot be decoded: not an image, truncated, empty, or so large that
            Pillow takes it for a decompression bomb. The message names the path.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "deep.png"
        >>> Image.fromarray(np.full((2, 3), 65_535, np.uint16)).save(file)
        >>> image = load_image(file)
        >>> image.mode, image.size, image.getpixel((0, 0))
        ('RGB', (3, 2), (255, 255, 255))
    """
    path = Path(path)
    with _named(str(path), path), open_image(path) as image:
        return _as_rgb(image, shorter_side)


def decode_image(
    content: bytes | Image.Image, name: str, shorter_side: int | None = None
) -> Image.Image:
    """Read an image as :func:`load_image` does, from the bytes of a file or from Pillow.

    Args:
        content: What an :class:`ImageReader` read.
        name: What the image is, for messages.
        shorter_side: As of :func:`load_image`.

    Raises:
        DataError: As :func:`load_image`.

    Example:
        >>> decode_image(Image.new("L", (3, 2)), "a picture").mode
        'RGB'
        >>> decode_image(b"not an image", "row 3")
        Traceback (most recent call last):
        ...
        mlt.errors.DataError: The image row 3 cannot be read: it is not an image of a known format. Fetch it again, or leave it out.
    """  # noqa: E501
    with _named(name):
        if isinstance(content, Image.Image):
            return _as_rgb(content)
        if not content:
            raise DataError(f"The image {name} cannot be read: it is empty. {_REMEDY}")
        with open_image(content) as image:
            return _as_rgb(image, shorter_side)


@contextmanager
def open_image(source: Path | bytes) -> Iterator[Image.Image]:
    """An image in a format that Pillow reads by itself, not decoded yet.

    Args:
        source: The file, or its content.

    Raises:
        OSError: If there is no such file, it is no image, or Pillow would run another program to
            decode it, as it does for EPS.
    """
    with (
        (
            io.BytesIO(source)
            if isinstance(source, bytes)
            else open(source, "rb", opener=open_without_waiting)
        ) as file,
        Image.open(file) as image,
    ):
        if image.format in _BY_OTHER_PROGRAMS:  # which Pillow would run when it is decoded
            raise OSError(f"{image.format} is not read as an image")
        yield image


def _as_rgb(image: Image.Image, shorter_side: int | None = None) -> Image.Image:
    if shorter_side is not None:
        image.draft(None, (shorter_side, shorter_side))  # Of a JPEG; other formats have one scale.
    image.load()
    return _to_rgb(_upright(image))


@contextmanager
def _named(name: str, path: Path | None = None) -> Iterator[None]:
    """Turn what decoding raises into errors that name the image."""
    try:
        yield
    except (MemoryError, UserError):
        raise
    except FileNotFoundError as error:
        raise MissingFileError(
            f"The image {name} is listed but does not exist. Check the image root of the data, "
            "and that every archive was unpacked there."
        ) from error
    except Image.DecompressionBombError as error:
        raise DataError(
            f"The image {name} has too many pixels to be decoded safely ({error}). Store a "
            "smaller copy, or take the image out of the annotations."
        ) from error
    # Damaged files make Pillow's decoders raise nearly everything: OSError, SyntaxError,
    # ValueError, struct.error, IndexError, ...
    except Exception as error:
        raise DataError(f"The image {name} cannot be read: {_reason(path, error)}") from error


def open_without_waiting(path: str, flags: int) -> int:
    """Open a file, or a named pipe that nobody writes to, without waiting for a writer."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _reason(path: Path | None, error: Exception) -> str:
    if isinstance(error, PermissionError):
        return "permission denied. Make the file readable for this user."
    if path is not None and path.is_dir():
        return "it is a folder. Check the paths in the annotations."
    if path is not None and path.exists() and not path.is_file():
        return f"it is not a file but a pipe or a device. {_REMEDY}"
    if path is not None and path.is_file() and path.stat().st_size == 0:
        return f"the file is empty. {_REMEDY}"
    # ImportError: of a plug-in that would know one more format, as Ultralytics adds it to Pillow.
    if isinstance(error, (Image.UnidentifiedImageError, ImportError)):
        return f"it is not an image of a known format. {_REMEDY}"
    return f"{str(error) or type(error).__name__}. {_REMEDY}"


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # A damaged EXIF block says nothing about the pixels.
        return image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in _DEEP_GREY:
        return Image.fromarray(_eight_bit(np.asarray(image))).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(ground, image).convert("RGB")
    return image.convert("RGB")


def _eight_bit(grey: np.ndarray) -> np.ndarray:
    if grey.dtype.kind == "u":
        return ((grey.astype(np.uint32) + 128) // 257).astype(np.uint8)
    values = np.nan_to_num(grey.astype(np.float64), posinf=np.inf, neginf=-np.inf)
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    limits = [1.0, 255.0] if grey.dtype.kind == "f" else [65_535.0]
    fitting = [limit for limit in limits if low >= 0 and high <= limit]
    floor, ceiling = (0.0, fitting[0]) if fitting else (low, high)
    if ceiling == floor:
        return np.zeros(grey.shape, np.uint8)
    scaled = (values - floor) * 255 / (ceiling - floor)
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
