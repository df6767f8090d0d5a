"""Mistakes without a threshold, in pairs, by hand."""

from __future__ import annotations

import numpy as np

from mlt.predictions import Predictions
from mlt.report.confusion import confusion, mistakes, pair_table

NAMES = ("cup", "fork", "emu")


def predictions(known: np.ndarray | None = None) -> Predictions:
    """Five images; emu is never there."""
    targets = np.array([[1, 1, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 0]], bool)
    logits = np.array([[1, 9, 0], [5, 1, 0], [4, 8, 0], [3, 0, 0], [2, 7, 9]], np.float32)
    return Predictions(np.arange(5), logits, targets, NAMES, np.array([9, 5, 1]), 20, known)


def test_as_many_images_as_have_it() -> None:
    cup = mistakes(predictions(), 0)  # two have it; the highest are images 1 and 2
    assert (cup.missed.tolist(), cup.alarms.tolist()) == ([0], [2])
    assert cup.ranks.tolist() == [5, 1, 2, 3, 4]
    fork = mistakes(predictions(), 1)  # three have it; the highest are 0, 2 and 4
    assert (fork.missed.tolist(), fork.alarms.tolist()) == ([3], [4])
    emu = mistakes(predictions(), 2)
    assert (emu.missed.tolist(), emu.alarms.tolist()) == ([], [])


def test_the_worst_come_first() -> None:
    targets = np.array([1, 1, 1, 0, 0, 0], bool)[:, None]
    logits = np.array([3, 1, 2, 6, 5, 4], np.float32)[:, None]
    p = Predictions(np.arange(6), logits, targets, ("a",), np.array([3]), 9)
    assert mistakes(p, 0).missed.tolist() == [1, 2, 0]
    assert mistakes(p, 0).alarms.tolist() == [3, 4, 5]


def test_unknown_labels_are_no_mistakes() -> None:
    known = np.ones((5, 3), bool)
    known[2, 0] = False
    cup = mistakes(predictions(known), 0)  # without image 2 the highest are 1 and 3
    assert (cup.missed.tolist(), cup.alarms.tolist(), cup.ranks[2]) == ([0], [3], 0)


def test_pairs_by_hand() -> None:
    found = confusion(predictions())
    # Of the two images with a cup one has a fork; of the three with a fork one has a cup.
    assert found.cooccurrence[0].tolist() == [0, 0.5, 0]
    assert found.cooccurrence[1].round(3).tolist() == [0.333, 0, 0]
    # The one false cup is in an image with a fork, the one false fork in an empty image.
    assert found.alarms[0].tolist() == [0, 1, 0]
    assert found.with_alarms[0].tolist() == [0, 1, 0]
    assert found.with_alarms[1].tolist() == [0, 0, 0]
    # Two of the three images without a cup have a fork: 1 - 2/3 of an alarm is beyond chance.
    np.testing.assert_allclose(found.excess[0, 1], 1 / 3)
    rows = pair_table(found, NAMES).rows
    assert [row[:3] for row in rows] == [["cup", "fork", 1]]
    np.testing.assert_allclose(rows[0][3:], [1 / 3, 1.0, 0.5])


def test_unknown_labels_are_in_no_pair() -> None:
    known = np.ones((5, 3), bool)
    known[0, 1] = False  # whether image 0 has a fork
    found = confusion(predictions(known))
    assert found.together[0].tolist() == [2, 0, 0]
    assert found.positives.tolist() == [2, 2, 0]
