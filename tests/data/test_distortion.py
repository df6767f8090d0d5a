"""The published photometric distortion and crop, against colour conversions of the stdlib."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mlt.data.distortion import PhotometricDistortion, RandomSideCrop, distort, shift_hue

unit = st.floats(0, 1, width=32)
colours = st.tuples(unit, unit, unit)


def one_pixel(colour: tuple[float, float, float]) -> torch.Tensor:
    return torch.tensor(colour, dtype=torch.float64).reshape(3, 1, 1)


@given(colour=colours, degrees=st.floats(-360, 360))
def test_hue_like_the_standard_library(colour: tuple[float, float, float], degrees: float) -> None:
    hue, saturation, value = colorsys.rgb_to_hsv(*colour)
    expected = colorsys.hsv_to_rgb((hue + degrees / 360) % 1, saturation, value)
    found = shift_hue(one_pixel(colour), degrees).flatten().tolist()
    np.testing.assert_allclose(found, expected, atol=1e-6)


@given(colour=colours, factor=st.floats(0, 1))
def test_saturation_like_the_standard_library(
    colour: tuple[float, float, float], factor: float
) -> None:
    hue, saturation, value = colorsys.rgb_to_hsv(*colour)
    expected = colorsys.hsv_to_rgb(hue, saturation * factor, value)
    found = distort(one_pixel(colour), saturation=factor).flatten().tolist()
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_order_of_contrast() -> None:
    # Brightness 0.5, contrast 2: (0.1 + 0.5) * 2 either way, as saturation and hue are linear.
    image = torch.rand(3, 4, 4, dtype=torch.float64)
    first, last = (
        distort(image, 0.1, 2.0, 0.5, 10.0, contrast_first=first) for first in (True, False)
    )
    torch.testing.assert_close(first, last)
    torch.testing.assert_close(distort(image, 0.5, 2.0), (image + 0.5) * 2)


def test_neutral_and_unclipped() -> None:
    image = torch.rand(3, 5, 6)
    assert torch.equal(distort(image), image)
    assert distort(image, brightness=1.0).max() > 1
    before = image.clone()
    distort(image, 0.1, 1.2, 0.7, 5.0)
    assert torch.equal(image, before)


def test_strengths_are_those_of_the_protocol() -> None:
    torch.manual_seed(0)
    distortion = PhotometricDistortion()
    drawn = [distortion.make_params([]) for _ in range(4000)]
    for name, low, high, neutral in (
        ("brightness", -32 / 255, 32 / 255, 0),
        ("contrast", 0.5, 1.5, 1),
        ("saturation", 0.5, 1.5, 1),
        ("hue", -18, 18, 0),
    ):
        values = np.array([params[name] for params in drawn])
        active = values[values != neutral]
        assert len(active) == pytest.approx(2000, abs=150)
        assert active.min() == pytest.approx(low, abs=0.02 * (high - low))
        assert active.max() == pytest.approx(high, abs=0.02 * (high - low))
        assert low <= active.min()
        assert active.max() <= high
    assert np.mean([params["contrast_first"] for params in drawn]) == pytest.approx(0.5, abs=0.05)


def test_side_crop_draws_both_sides_independently() -> None:
    torch.manual_seed(0)
    image = torch.arange(100 * 50).reshape(1, 100, 50).repeat(3, 1, 1)
    shapes = []
    for _ in range(500):
        crop = RandomSideCrop(0.8)(image)
        shapes.append(crop.shape[1:])
        top, left = divmod(int(crop[0, 0, 0]), 50)
        assert torch.equal(crop, image[:, top : top + crop.shape[1], left : left + crop.shape[2]])
    heights, widths = np.array(shapes).T
    assert (heights.min(), heights.max(), widths.min(), widths.max()) == (80, 100, 40, 50)
    assert abs(np.corrcoef(heights, widths)[0, 1]) < 0.15


def test_side_crop_of_a_tiny_image() -> None:
    assert RandomSideCrop(0.1)(torch.zeros(3, 1, 1)).shape == (3, 1, 1)
