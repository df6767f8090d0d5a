"""scikit-learn's number is the one reported, and a disagreement is said aloud."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

import mlt.metrics.reference as module
from mlt.metrics import average_precision, checked_average_precision, reference_average_precision

RNG = np.random.default_rng(0)
TARGETS = RNG.random((200, 6)) < np.array([0.5, 0.3, 0.2, 0.1, 0.05, 0.0])
SCORES = RNG.normal(size=(200, 6)) + TARGETS


def test_the_reference_is_scikit_learn() -> None:
    expected = average_precision_score(TARGETS[:, :5], SCORES[:, :5], average=None)
    np.testing.assert_array_equal(reference_average_precision(TARGETS, SCORES)[:5], expected)


def test_both_agree_and_the_reference_is_reported() -> None:
    checked = checked_average_precision(TARGETS, SCORES)
    np.testing.assert_array_equal(checked.values, reference_average_precision(TARGETS, SCORES))
    assert checked.difference < 1e-12
    assert checked.to_json()["classes_by_scikit_learn"] == 6


def test_large_evaluations_ask_for_a_spread_of_classes() -> None:
    checked = checked_average_precision(TARGETS, SCORES, budget=600)
    assert checked.asked.tolist() == [0, 2, 5]  # from the most frequent to the least
    np.testing.assert_allclose(checked.values, average_precision(TARGETS, SCORES), atol=1e-12)
    assert len(checked_average_precision(TARGETS, SCORES, budget=1).asked) == 1


@pytest.mark.parametrize("wrong", [0.01, np.nan])
def test_a_disagreement_warns_and_the_evaluation_goes_on(
    monkeypatch: pytest.MonkeyPatch, wrong: float
) -> None:
    def broken(*arguments: object) -> np.ndarray:
        values = average_precision(*arguments)  # type: ignore[arg-type]
        values[1] += wrong
        return values

    monkeypatch.setattr(module, "average_precision", broken)
    with pytest.warns(RuntimeWarning, match="class 1 differs"):
        checked = checked_average_precision(TARGETS, SCORES)
    np.testing.assert_array_equal(checked.values, reference_average_precision(TARGETS, SCORES))
    assert checked.difference >= 0.009


def test_unknown_labels_may_hold_anything() -> None:
    targets = np.where(TARGETS, 1, 0)
    known = RNG.random(targets.shape) < 0.7
    expected = reference_average_precision(TARGETS, SCORES, known)
    targets[~known] = -1
    checked = checked_average_precision(targets, SCORES, known, budget=400)
    np.testing.assert_allclose(checked.values, expected, atol=1e-12)
