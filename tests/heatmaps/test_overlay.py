"""A map as colour over a photograph."""

from __future__ import annotations

import numpy as np
from PIL import Image

from mlt.heatmaps import overlay


def test_the_highest_place_stands_out_on_any_ground() -> None:
    values = np.zeros((8, 8))
    values[2, 5] = 3e-9  # only the share of the highest counts
    for ground in ("black", "white", (120, 30, 200)):
        before = Image.new("RGB", (8, 8), ground)
        after = np.asarray(overlay(before, values)).astype(int)
        changed = np.abs(after - np.asarray(after[0, 0])).sum(-1)
        assert np.argwhere(changed > 60).tolist() == [[2, 5]]


def test_a_map_of_nothing_leaves_the_photograph_but_for_colour() -> None:
    photograph = Image.new("RGB", (2, 2), (100, 100, 100))
    assert np.array_equal(np.asarray(overlay(photograph, np.zeros((2, 2)))), np.asarray(photograph))


def test_a_flat_map_is_highest_everywhere_and_noise_is_not_blown_up() -> None:
    """Divided by the highest value; from the lowest to the highest would show noise as a place."""
    photograph = Image.new("RGB", (2, 1), "black")
    a, b = np.asarray(overlay(photograph, np.array([[0.50, 0.51]]))).astype(int)[0]
    assert np.abs(a - b).max() < 8
    assert a.sum() > 300
