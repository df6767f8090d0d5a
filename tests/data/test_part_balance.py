"""Measures of how well parts are balanced, by hand."""

from __future__ import annotations

import numpy as np

from mlt.data.labels import LabelTable
from mlt.data.splits.balance import Deviation, label_distance, largest_deviation


def test_label_distance_by_hand() -> None:
    # cat: 4 of 8 images, odds 1; 2 of 6 here, odds 1/2. dog: 2 of 8, odds 1/3; 2 of 6, odds 1/2.
    lists = [[0], [0], [1], [1], [], [], [0], [0]]
    table = LabelTable.from_lists(range(8), "abcdefgh", ["cat", "dog", "yeti"], lists)
    distance = label_distance(table, np.arange(6))
    np.testing.assert_allclose(distance, (1 / 2 + 1 / 6) / 2)


def test_largest_deviation_is_the_one_beyond_chance() -> None:
    lists = [[0]] * 40 + [[1]] * 4 + [[]] * 56
    table = LabelTable.from_lists(range(100), map(str, range(100)), ["cat", "dog"], lists)
    rows = {"train": np.r_[0:30, 40:43, 44:100], "test": np.r_[30:40, 43:44]}
    found = largest_deviation(table, rows, {"train": 0.9, "test": 0.1})
    assert found == Deviation("cat", "test", 10, 4.0)


def test_nothing_is_far_within_one_image_of_its_share() -> None:
    table = LabelTable.from_lists(range(4), "abcd", ["cat"], [[0], [0], [], []])
    rows = {"train": np.array([0, 1]), "test": np.array([2, 3])}
    assert largest_deviation(table, rows, {"train": 0.5, "test": 0.5}) is None
