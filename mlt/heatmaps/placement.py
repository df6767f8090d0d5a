"""From a map of the network's input back to the photograph that it was made of."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlt.data.transforms import Preprocessing

__all__ = ["Box", "spread", "visible_box"]


class Box(NamedTuple):
    """A part of a photograph: its sides as shares of the width and height.

    Below 0 and above 1 lies what was put around the photograph.
    """

    left: float
    top: float
    right: float
    bottom: float


def visible_box(form: Preprocessing, width: int, height: int) -> Box:
    """What the network is shown of a photograph.

    Args:
        form: How the photograph becomes the network's input.
        width: Of the photograph, in pixels.
        height: Likewise.

    Example:
        >>> form = Preprocessing(size=100, mean=(0.5,) * 3, std=(0.5,) * 3, resize="crop")
        >>> visible_box(form, 400, 200)
        Box(left=0.25, top=0.0, right=0.75, bottom=1.0)
    """
    if form.resize == "squash":
        return Box(0.0, 0.0, 1.0, 1.0)
    long, short = max(width, height), min(width, height)
    if form.resize == "crop":
        # As torchvision rounds: the shorter side becomes the size, the middle is cut out.
        resized = int(form.size * long / short)
        start = round((resized - form.size) / 2)
        along = start / resized, (start + form.size) / resized
        is_long = width >= height
    else:
        # The longer side becomes the size, the shorter is put into the middle.
        resized = max(1, round(short * (form.size / long)))
        start = (form.size - resized) // 2
        along = -start / resized, (form.size - start) / resized
        is_long = width < height
    (left, right), (top, bottom) = (along, (0.0, 1.0)) if is_long else ((0.0, 1.0), along)
    return Box(left, top, right, bottom)


def spread(values: NDArray[Any], box: Box, width: int, height: int) -> NDArray[np.float32]:
    """Spread a map over the pixels of a photograph, bilinearly.

    Args:
        values: (..., h, w), over what the network was shown.
        box: What that is, see :func:`visible_box`.
        width: Of the photograph, or of a smaller or larger copy, in pixels.
        height: Likewise.

    Returns:
        (..., H, W), between values of the map; 0 where the network was shown nothing.

    Example:
        >>> spread(np.array([[0.0, 1.0]]), Box(0.0, 0.0, 0.5, 1.0), 4, 1)
        array([[0., 1., 0., 0.]], dtype=float32)
    """
    rows = _weights(height, values.shape[-2], box.top, box.bottom)
    columns = _weights(width, values.shape[-1], box.left, box.right)
    return (rows @ values.astype(np.float64) @ columns.T).astype(np.float32)


def _weights(length: int, cells: int, start: float, end: float) -> NDArray[np.float64]:
    """(length, cells) weight of each cell of a map at each pixel of a side."""
    pixels = (np.arange(length) + 0.5) / length
    places = (pixels - start) / (end - start) * cells
    inside = (places >= 0) & (places <= cells)
    # The middle of cell i lies at i + 0.5; beyond the first and the last one values stay.
    middles = np.clip(places - 0.5, 0, cells - 1)
    weights = np.maximum(0.0, 1.0 - np.abs(middles[:, None] - np.arange(cells)))
    return weights * inside[:, None]
