"""Precision, recall, F1 and ranking metrics against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    coverage_error,
    f1_score,
    label_ranking_loss,
    precision_score,
    recall_score,
)

from mlt.errors import ConfigError, DataError
from mlt.metrics import decide, precision_recall_f1, ranking_metrics, top_k


def arrays(n: int, c: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.random((n, c)) < 0.4, rng.integers(-3, 4, (n, c)).astype(float)


SHAPES = {"n": st.integers(1, 20), "c": st.integers(1, 6), "seed": st.integers(0, 10_000)}


@settings(max_examples=60, deadline=None)
@given(**SHAPES)
def test_rates_equal_scikit_learn_where_everything_is_defined(n: int, c: int, seed: int) -> None:
    targets, scores = arrays(n, c + 1, seed)
    targets[:, 0] |= ~targets.any(axis=1)  # a label for every image,
    targets[0] |= ~targets.any(axis=0)  # and an image for every label
    given_labels = decide(scores, 0.0)
    rates = precision_recall_f1(targets, given_labels)
    for name, average in (("macro", "macro"), ("micro", "micro"), ("sample", "samples")):
        options = {"average": average, "zero_division": 0}
        precision = precision_score(targets, given_labels, **options)
        recall = recall_score(targets, given_labels, **options)
        f1 = f1_score(targets, given_labels, **options)
        ours = {
            "macro": (rates.cp, rates.cr, rates.macro_f1),
            "micro": (rates.op, rates.or_, rates.of1),
            "sample": (rates.sample_precision, rates.sample_recall, rates.sample_f1),
        }[name]
        np.testing.assert_allclose(ours, (precision, recall, f1), atol=1e-12)
    if rates.cp + rates.cr > 0:
        assert rates.cf1 == pytest.approx(2 * rates.cp * rates.cr / (rates.cp + rates.cr))


def test_undefined_classes_and_images_are_left_out() -> None:
    targets = np.array([[1, 0, 0], [1, 0, 0], [0, 0, 0]], bool)
    given_labels = np.array([[1, 1, 0], [0, 0, 0], [0, 0, 0]], bool)
    rates = precision_recall_f1(targets, given_labels)
    assert (rates.cp, rates.cr) == (1.0, 0.5)  # only the first class has a positive
    assert rates.op == 0.5  # but the false alarm of the second counts overall
    assert rates.sample_recall == 0.5  # of the two images that have a label
    nothing = precision_recall_f1(np.zeros((2, 2)), np.ones((2, 2)))
    assert np.isnan([nothing.cp, nothing.cf1, nothing.or_, nothing.sample_f1]).all()
    assert nothing.to_json()["CF1"] is None


def test_what_is_not_known_counts_nowhere() -> None:
    targets, scores = arrays(40, 5, 0)
    known = np.random.default_rng(1).random((40, 5)) < 0.6
    flipped = np.where(known, targets, ~targets)
    shaken = np.where(known, scores, -scores)
    for threshold in (0.0, 1.0):
        assert precision_recall_f1(
            targets, decide(scores, threshold), known
        ) == precision_recall_f1(flipped, decide(shaken, threshold), known)
    assert ranking_metrics(targets, scores, known) == ranking_metrics(flipped, shaken, known)


def test_a_class_that_is_never_given_has_precision_0_and_is_counted() -> None:
    rates = precision_recall_f1([[1, 1]], [[True, False]])
    assert rates.cp == 0.5
    assert rates.never_predicted == 1


def test_top_k_takes_exactly_k_of_the_known_ones() -> None:
    scores = np.array([[1, 1, 1, 1], [4, 3, 2, 1]])
    assert top_k(scores, 2).tolist() == [[True, True, False, False]] * 2
    known = np.array([[True] * 4, [False, True, False, True]])
    assert top_k(scores, 2, known).tolist()[1] == [False, True, False, True]
    assert top_k(scores, 3, known).sum(axis=1).tolist() == [3, 2]
    assert top_k(scores, 9).all()
    with pytest.raises(ConfigError, match="k must be at least 1"):
        top_k(scores, 0)


def test_thresholds_must_be_one_a_class() -> None:
    with pytest.raises(ConfigError, match=r"must be numbers, not NaN; got \[0\.0, nan\]"):
        decide(np.zeros((3, 2)), [0.0, np.nan])
    with pytest.raises(ConfigError, match=r"one number or \(2,\)"):
        decide(np.zeros((3, 2)), [1, 2, 3])


@settings(max_examples=60, deadline=None)
@given(**SHAPES)
def test_order_equals_scikit_learn_where_it_is_defined(n: int, c: int, seed: int) -> None:
    targets, scores = arrays(n, c + 1, seed)
    order = ranking_metrics(targets, scores)
    some = targets.any(axis=1)
    both = some & ~targets.all(axis=1)
    if both.any():
        expected = label_ranking_loss(targets[both], scores[both])
        assert order.ranking_loss == pytest.approx(expected, abs=1e-12)
    else:
        assert np.isnan(order.ranking_loss)
    if some.any():
        assert order.coverage == pytest.approx(coverage_error(targets[some], scores[some]))
    assert order.num_images == some.sum()


def test_one_error_shares_a_tie() -> None:
    assert ranking_metrics([[1, 0, 0]], [[2, 2, 1]]).one_error == 0.5
    assert ranking_metrics([[1, 0, 0]], [[3, 2, 1]]).one_error == 0.0
    assert np.isnan(ranking_metrics([[0, 0]], [[2, 1]]).one_error)
    assert ranking_metrics([[0, 0]], [[2, 1]]).to_json()["coverage"] is None


@pytest.mark.parametrize("wrong", [0.3, -2.0, np.nan])
def test_scores_are_not_taken_for_decisions(wrong: float) -> None:
    with pytest.raises(DataError, match=r"decisions must be 0 or 1|NaN"):
        precision_recall_f1([[1, 0]], [[1.0, wrong]])
    assert precision_recall_f1([[1, 0]], [[1, 0]]).cf1 == 1
