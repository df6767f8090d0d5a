"""What is taken for an image inside a folder or an archive."""

__all__ = ["IMAGE_SUFFIXES"]

IMAGE_SUFFIXES = frozenset(
    f".{name}"
    for name in "avif bmp gif jp2 jpeg jpg pbm pgm png ppm tif tiff webp".split()  # noqa: SIM905
)
"""Suffixes in lower case. A file that is named itself may have any."""
