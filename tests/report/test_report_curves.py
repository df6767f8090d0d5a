"""Curves against scikit-learn, the area below them, and figures at their edges."""

from __future__ import annotations

import re

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve

from mlt.report.curves import (
    SQUARE,
    STEPS,
    precision_recall,
    precision_recall_path,
    reliability_path,
)
from mlt.report.svg import Plot, Scale, line_path


def area_below(path: str) -> float:
    """Of a line of the form M x y, then V y H x again and again, in shares of the square."""
    x = float(re.match(r"M([\d.]+) ", path)[1])
    total = 0.0
    for y, right in re.findall(r"V([\d.]+)H([\d.]+)", path):
        total += (float(right) - x) * (SQUARE.y.start - float(y))
        x = float(right)
    return total / ((SQUARE.x.end - SQUARE.x.start) * (SQUARE.y.start - SQUARE.y.end))


@pytest.mark.parametrize("ties", [False, True])
def test_precision_and_recall_are_those_of_scikit_learn(ties: bool) -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(200) < 0.2
    scores = (rng.normal(size=200) + truth).astype(np.float32)
    if ties:
        scores = np.round(scores)
    recall, precision = precision_recall(truth, scores)
    theirs = precision_recall_curve(truth, scores)
    wanted = {(r, p) for p, r in zip(*theirs[:2])}
    assert {(r, p) for r, p in zip(recall, precision)} <= wanted
    np.testing.assert_allclose(
        np.diff(recall, prepend=0) @ precision, average_precision_score(truth, scores)
    )


@pytest.mark.parametrize("positives", [1, 7, STEPS, 400])
def test_the_area_below_the_line_is_the_average_precision(positives: int) -> None:
    rng = np.random.default_rng(positives)
    truth = np.arange(2000) < positives
    scores = (rng.normal(size=2000) + 2 * truth).astype(np.float32)
    path = precision_recall_path(truth, scores)
    assert len(path) < 1200
    # Coordinates have one decimal; a curve of many positives is drawn with some of them.
    assert area_below(path) == pytest.approx(average_precision_score(truth, scores), abs=0.02)


def test_a_class_without_positives_has_no_curve() -> None:
    assert precision_recall_path(np.zeros(5, bool), np.arange(5.0)) == ""
    assert precision_recall_path(np.zeros(0, bool), np.zeros(0)) == ""
    path, error = reliability_path(np.zeros(0, bool), np.zeros(0))
    assert path == ""
    assert np.isnan(error)


def test_reliability_by_hand() -> None:
    # Bins of a tenth: 0.05, 0.05 -> one of two is positive; 0.95 -> positive.
    path, error = reliability_path(np.array([0, 1, 1], bool), np.array([0.05, 0.05, 0.95]))
    assert path == f"M{SQUARE.x(0.05):g} {SQUARE.y(0.5):g}L{SQUARE.x(0.95):g} {SQUARE.y(1):g}"
    assert error == pytest.approx((2 * 0.45 + 0.05) / 3)


@pytest.mark.parametrize(
    ("low", "high", "about", "ticks"),
    [
        (0, 1, 4, [0, 0.2, 0.4, 0.6, 0.8, 1]),  # 0.25 is between 0.2 and 0.5
        (0, 24, 5, [0, 5, 10, 15, 20]),
        (-0.07, 0.02, 4, [-0.06, -0.04, -0.02, 0, 0.02]),
        (0, 3e-5, 3, [0, 1e-5, 2e-5, 3e-5]),
    ],
)
def test_ticks_are_round_and_inside(low, high, about, ticks) -> None:
    assert Scale(low, high, 0, 100).ticks(about) == pytest.approx(ticks)


def test_axes_name_what_they_measure() -> None:
    drawn = "".join(Plot(Scale(0, 1, 0, 9), Scale(0, 1, 9, 0)).axes("a < b", "c"))
    assert ">a &lt; b</text>" in drawn
    assert ">100</text>" in drawn
    assert line_path([]) == ""
