"""Where the network's input lies on the photograph, held against the transform itself."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from mlt.data.transforms import Preprocessing, eval_transform
from mlt.heatmaps import spread, visible_box
from mlt.heatmaps.placement import Box

SIZE = 40


def form(resize: str) -> Preprocessing:
    # Pixels come out as they went in, on the scale 0 to 1.
    return Preprocessing(size=SIZE, mean=(0.0,) * 3, std=(1.0,) * 3, resize=resize)  # type: ignore[arg-type]


def ramps(width: int, height: int) -> Image.Image:
    """Red grows from left to right, green from top to bottom; blue marks the photograph."""
    x, y = (np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height
    pixels = np.stack([*np.meshgrid(x, y), np.ones((height, width))], axis=-1)
    return Image.fromarray(np.rint(255 * pixels).astype(np.uint8))


@pytest.mark.parametrize("resize", ["squash", "crop", "pad"])
@pytest.mark.parametrize(
    "size", [(400, 300), (300, 400), (90, 90), (401, 217), (133, 390), (30, 20), (500, 45)]
)
def test_a_pixel_of_the_input_shows_this_place_of_the_photograph(
    resize: str, size: tuple[int, int]
) -> None:
    shown = eval_transform(form(resize))(ramps(*size)).numpy()
    box = visible_box(form(resize), *size)
    places = (np.arange(SIZE) + 0.5) / SIZE
    x = box.left + places * (box.right - box.left)
    y = box.top + places * (box.bottom - box.top)
    x, y = np.meshgrid(x, y)
    # Half a pixel of the input; where the photograph ends, its border is mixed with what is around.
    half_x, half_y = (box.right - box.left) / SIZE / 2, (box.bottom - box.top) / SIZE / 2
    inside = (x > half_x) & (x < 1 - half_x) & (y > half_y) & (y < 1 - half_y)
    assert inside.any()
    assert np.abs(shown[0] - x)[inside].max() < max(half_x / 2, 0.006)
    assert np.abs(shown[1] - y)[inside].max() < max(half_y / 2, 0.006)
    # Nothing of the photograph lies where the box says that it is not.
    outside = (x < -half_x) | (x > 1 + half_x) | (y < -half_y) | (y > 1 + half_y)
    assert (shown[2][outside] == 0).all()
    assert (shown[2][inside] > 0.99).all()


def test_boxes_worked_by_hand() -> None:
    assert visible_box(form("squash"), 400, 300) == Box(0, 0, 1, 1)
    assert visible_box(form("crop"), 100, 400) == Box(0, 0.375, 1, 0.625)
    # 10 of 40 rows are the photograph, 15 above it are padding.
    assert visible_box(form("pad"), 400, 100) == Box(0, -1.5, 1, 2.5)
    assert visible_box(form("pad"), 100, 400) == Box(-1.5, 0, 2.5, 1)


@pytest.mark.parametrize(
    ("values", "box", "expected"),
    [
        # The middles of two cells over eight pixels lie at 2 and 6; between them it is a line.
        ([1, 5], (0, 1), [1, 1, 1.5, 2.5, 3.5, 4.5, 5, 5]),
        ([1, 5], (0.25, 0.75), [0, 0, 1, 2, 4, 5, 0, 0]),  # the middle was cut out
        # The ends are padding, whose middles lie at -2 and 10.
        ([9, 1, 5, 9], (-0.5, 1.5), [4, 2, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5]),
        ([3], (0, 1), [3] * 8),
    ],
)
def test_spread_worked_by_hand(
    values: list[int], box: tuple[float, float], expected: list[float]
) -> None:
    row = np.array([values], float)
    across = spread(row, Box(box[0], 0, box[1], 1), 8, 3)
    np.testing.assert_allclose(across, [expected] * 3, rtol=1e-6)
    down = spread(row.T, Box(0, box[0], 1, box[1]), 3, 8)
    np.testing.assert_allclose(down, across.T, rtol=1e-6)


def test_several_maps_at_once() -> None:
    maps = np.random.default_rng(0).random((2, 3, 5, 4))
    box = Box(0.1, 0.0, 0.8, 1.0)
    assert spread(maps, box, 30, 20).shape == (2, 3, 20, 30)
    np.testing.assert_array_equal(spread(maps, box, 30, 20)[1, 2], spread(maps[1, 2], box, 30, 20))
