"""Images as tensors of 8-bit RGB: the pixels of :mod:`mlt.data.images`, decoded faster."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import torch
from PIL import ExifTags, Image
from torchvision.transforms.v2.functional import pil_to_tensor

from mlt.data.images import decode_image, load_image, open_without_waiting
from mlt.data.labels import LabelTable

try:
    from torchvision.io import ImageReadMode, decode_jpeg
except ImportError:  # torchvision announces their removal; Pillow gives the same pixels.
    decode_jpeg = None

__all__ = ["decode_pixels", "load_pixels", "row_pixels"]

_JPEG = b"\xff\xd8\xff"


def row_pixels(table: LabelTable, row: int, shorter_side: int | None = None) -> torch.Tensor:
    """Read the image of a row with the very pixels of :func:`mlt.data.row_images.row_image`.

    Args:
        table: The images.
        row: Which.
        shorter_side: Allows a reduced scale, see :func:`load_pixels`.

    Returns:
        (3, H, W) uint8 RGB.

    Raises:
        MissingFileError: If there is no such file.
        DataError: If it cannot be decoded, or the table has neither files nor a reader.
    """
    path = table.image_path(row)
    if table.images is None:
        return load_pixels(path, shorter_side)
    assert table.paths is not None
    return decode_pixels(table.images.read(table.paths[row]), path.as_posix(), shorter_side)


def load_pixels(path: str | Path, shorter_side: int | None = None) -> torch.Tensor:
    """Read an image file as :func:`mlt.data.images.load_image` does, pixel by pixel the same.

    Ordinary JPEG files go through torchvision's decoder, which uses the same algorithms as Pillow's
    and spares the way through an image of Pillow; all others, and damaged ones, through Pillow.

    Args:
        path: The file.
        shorter_side: A JPEG file may be decoded at 1/2, 1/4 or 1/8 of its size as long as its
            shorter side keeps this many pixels; None always decodes the whole.

    Returns:
        (3, H, W) uint8 RGB.

    Raises:
        MissingFileError: If there is no such file.
        DataError: If the file cannot be decoded; names the path.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "grey.jpg"
        >>> Image.new("L", (64, 48), 128).save(file)
        >>> load_pixels(file).shape, load_pixels(file, shorter_side=20).shape
        (torch.Size([3, 48, 64]), torch.Size([3, 24, 32]))
    """
    try:
        with open(path, "rb", opener=open_without_waiting) as file:
            is_jpeg = file.peek(len(_JPEG)).startswith(_JPEG)
            pixels = _plain_jpeg(file.read(), shorter_side) if is_jpeg else None
    except OSError:
        pixels = None  # load_image says what is wrong.
    return pil_to_tensor(load_image(path, shorter_side)) if pixels is None else pixels


def decode_pixels(
    content: bytes | Image.Image, name: str, shorter_side: int | None = None
) -> torch.Tensor:
    """Read an image as :func:`load_pixels` does, from the bytes of a file or from Pillow.

    Args:
        content: The file, or the image.
        name: What the image is, for messages.
        shorter_side: As of :func:`load_pixels`.

    Raises:
        DataError: If it cannot be decoded.

    Example:
        >>> decode_pixels(Image.new("L", (3, 2), 255), "a picture").unique()
        tensor([255], dtype=torch.uint8)
    """
    pixels = None
    if isinstance(content, bytes) and content.startswith(_JPEG):
        pixels = _plain_jpeg(content, shorter_side)
    return pil_to_tensor(decode_image(content, name, shorter_side)) if pixels is None else pixels


def _plain_jpeg(content: bytes, shorter_side: int | None) -> torch.Tensor | None:
    """The pixels of an upright RGB or grey JPEG; None for what Pillow has to see to."""
    if decode_jpeg is None:
        return None
    try:
        with Image.open(BytesIO(content), formats=("JPEG",)) as header:
            upright = header.getexif().get(ExifTags.Base.Orientation, 1) == 1
            if header.format != "JPEG" or header.mode not in ("RGB", "L") or not upright:
                return None
            if shorter_side is not None and min(header.size) >= 2 * shorter_side:
                return None  # Pillow can decode at a reduced scale, torchvision cannot.
        encoded = torch.frombuffer(bytearray(content), dtype=torch.uint8)
        return decode_jpeg(encoded, mode=ImageReadMode.RGB)
    except Exception:  # Damage raises a dozen kinds; Pillow is asked again, and has the last word.
        return None
