"""A map as colour over a photograph."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["overlay"]

# From nothing to the most; light grows all the way, so that grey print shows the same.
_STOPS = (0.0, 0.25, 0.5, 0.75, 1.0)
_COLORS = ((20, 12, 60), (110, 25, 110), (200, 50, 80), (245, 130, 30), (252, 240, 140))

_OPACITY = 0.65
_GREY = 0.6
"""How far the photograph loses its own colours, which would be taken for those of the map."""


def overlay(photograph: Image.Image, values: NDArray[Any]) -> Image.Image:
    """Lay a map over a photograph: from violet over red and orange to yellow, where it is highest.

    The colours are shares of the map's highest value. Where it is 0 the photograph stays, but for a
    part of its colours; a map that is the same everywhere is yellow everywhere.

    Args:
        photograph: RGB.
        values: (height, width) of the photograph, 0 or more; see :func:`mlt.heatmaps.spread`.

    Example:
        >>> white = Image.new("RGB", (2, 1), "white")
        >>> shown = overlay(white, np.array([[0.0, 0.5]]))
        >>> shown.getpixel((0, 0)), shown.getpixel((1, 0))
        ((255, 255, 255), (253, 245, 180))
    """
    highest = float(values.max())
    share = (values / highest if highest > 0 else np.zeros_like(values))[..., None]
    channels = np.array(_COLORS, np.float64).T
    color = np.stack([np.interp(share[..., 0], _STOPS, channel) for channel in channels], axis=-1)
    pixels = np.asarray(photograph.convert("RGB"), np.float64)
    grey = np.asarray(photograph.convert("L"), np.float64)[..., None]
    pixels = pixels + _GREY * (grey - pixels)
    # Opaque soon, so that a middling value is not lost on a dark photograph.
    opacity = _OPACITY * np.sqrt(share)
    mixed = pixels + opacity * (color - pixels)
    return Image.fromarray(np.rint(mixed).astype(np.uint8))
