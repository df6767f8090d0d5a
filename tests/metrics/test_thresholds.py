"""Thresholds by exhaustive search, their shrinkage, and what they are worth on other images."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import fbeta_score, precision_score, recall_score

from mlt.errors import ConfigError, DataError
from mlt.metrics import precision_recall_f1
from mlt.metrics.thresholds import Thresholds, tune_thresholds


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(2, 25),
    levels=st.integers(1, 12),
    beta=st.sampled_from([0.5, 1.0, 2.0]),
    seed=st.integers(0, 10_000),
)
def test_no_other_threshold_has_a_higher_f_beta(
    n: int, levels: int, beta: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    targets, scores = rng.random((n, 1)) < 0.4, rng.integers(0, levels, (n, 1))
    targets[0] = True
    tuned = tune_thresholds(targets, scores, target=beta, shrinkage=0)
    ours = fbeta_score(targets, tuned.decide(scores), beta=beta, zero_division=0)
    best = max(
        fbeta_score(targets, scores >= t, beta=beta, zero_division=0) for t in np.unique(scores)
    )
    assert ours == pytest.approx(best, abs=1e-12)


@pytest.mark.parametrize("goal", ["precision", "recall"])
def test_the_constraint_holds_and_the_other_side_is_best(goal: str) -> None:
    rng = np.random.default_rng(0)
    targets = rng.random((300, 1)) < 0.3
    scores = rng.normal(size=(300, 1)) + 1.5 * targets
    tuned = tune_thresholds(targets, scores, goal=goal, target=0.8, shrinkage=0)  # type: ignore[arg-type]
    score, other = precision_score, recall_score
    if goal == "recall":
        score, other = other, score
    decisions = tuned.decide(scores)
    assert score(targets, decisions) >= 0.8
    possible = [scores >= t for t in np.unique(scores)]
    best = max(other(targets, d) for d in possible if score(targets, d) >= 0.8)
    assert other(targets, decisions) == pytest.approx(best)


def test_a_rate_is_met_as_closely_as_ties_allow() -> None:
    scores = np.arange(100.0)[:, None]
    targets = scores >= 93
    for target, count in ((0.2, 20), (0.0, 7)):
        tuned = tune_thresholds(targets, scores, goal="rate", target=target, shrinkage=0)
        assert tuned.decide(scores).sum() == count


def test_a_precision_out_of_reach_gives_the_label_never() -> None:
    targets = np.array([[False], [True], [False]])
    tuned = tune_thresholds(targets, [[3], [2], [1]], goal="precision", target=0.9)
    assert tuned.values == (np.inf,)
    assert not tuned.decide([[1e9]]).any()


def test_few_positives_are_drawn_to_the_pool() -> None:
    rng = np.random.default_rng(1)
    targets = rng.random((1000, 3)) < np.array([0.3, 0.01, 0.0])
    scores = rng.normal(size=(1000, 3)) + 2 * targets
    own = tune_thresholds(targets, scores, shrinkage=0)
    drawn = tune_thresholds(targets, scores, shrinkage=10)
    n = targets.sum(axis=0)
    for k in range(2):
        share = n[k] / (n[k] + 10)
        expected = share * own.values[k] + (1 - share) * own.pooled
        assert drawn.values[k] == pytest.approx(expected)
    assert own.values[2] == own.pooled  # nothing to tune on
    assert drawn.positives == tuple(n.tolist())


def test_shrinkage_helps_rare_classes_on_images_not_used() -> None:
    """Thirty classes of five positives or so: tuned alone, they fit their few positives."""
    rng = np.random.default_rng(2)
    targets = rng.random((600, 30)) < 0.01
    scores = rng.normal(size=(600, 30)) + 3 * targets - 2
    halves = np.arange(600) % 2 == 0

    def macro_f1(shrinkage: float, tuned_on: np.ndarray, applied_to: np.ndarray) -> float:
        tuned = tune_thresholds(targets[tuned_on], scores[tuned_on], shrinkage=shrinkage)
        return precision_recall_f1(targets[applied_to], tuned.decide(scores[applied_to])).macro_f1

    alone, drawn = (macro_f1(shrinkage, halves, ~halves) for shrinkage in (0, 10))
    assert drawn > alone
    assert macro_f1(0, halves, halves) > alone + 0.05


def test_what_is_not_known_plays_no_part() -> None:
    rng = np.random.default_rng(4)
    targets, scores = rng.random((200, 3)) < 0.2, rng.normal(size=(200, 3))
    known = rng.random((200, 3)) < 0.7
    flipped, shaken = np.where(known, targets, ~targets), np.where(known, scores, 9.0)
    assert tune_thresholds(targets, scores, known) == tune_thresholds(flipped, shaken, known)


def test_json_brings_back_the_same_thresholds() -> None:
    tuned = Thresholds(("a", "b"), (0.25, np.inf), -1.5, "precision", 0.9, 10.0, (3, 0))
    always = replace(tuned, values=(-np.inf, np.inf), pooled=-np.inf)
    for thresholds in (tuned, always):
        text = json.dumps(thresholds.to_json(), allow_nan=False)
        again = Thresholds.from_json(json.loads(text))
        assert again == thresholds
    assert again.decide([[-9.0, 9.0]]).tolist() == [[True, False]]
    with pytest.raises(DataError, match="not thresholds"):
        Thresholds.from_json({"classes": [{}]})
    with pytest.raises(DataError, match="not thresholds"):
        Thresholds.from_json({**tuned.to_json(), "goal": "luck"})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"goal": "luck"}, "f_beta, precision, recall, rate"),
        ({"target": 0}, "beta, a positive number"),
        ({"goal": "recall", "target": 1.5}, "between 0 and 1"),
        ({"shrinkage": -1}, "at least 0"),
        ({"class_names": ["a", "b"]}, "2 class names for 1"),
    ],
)
def test_impossible_wishes_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        tune_thresholds([[1], [0]], [[1], [0]], **options)


def test_nothing_to_tune_on_is_an_error() -> None:
    with pytest.raises(DataError, match="no label is positive"):
        tune_thresholds([[0], [0]], [[1], [0]])


def test_infinite_scores_are_ranks_like_any_other() -> None:
    tuned = tune_thresholds([[1], [0]], [[np.inf], [-np.inf]], shrinkage=0)
    assert tuned.decide([[np.inf], [-np.inf]]).tolist() == [[True], [False]]
