"""F-beta and weighted metrics against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    average_precision_score,
    coverage_error,
    fbeta_score,
    label_ranking_average_precision_score,
    label_ranking_loss,
    precision_recall_fscore_support,
)

from mlt.errors import ConfigError, DataError
from mlt.metrics import (
    f_beta,
    micro_average_precision,
    precision_recall_f1,
    ranking_metrics,
    rates_table,
    summarize,
)

SHAPES = {"n": st.integers(2, 20), "c": st.integers(2, 6), "seed": st.integers(0, 10_000)}


def arrays(n: int, c: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Targets with a label per image and an image per label, decisions, scores, weights above 0."""
    rng = np.random.default_rng(seed)
    targets = rng.random((n, c)) < 0.4
    targets[:, 0] |= ~targets.any(axis=1)
    targets[0] |= ~targets.any(axis=0)
    scores = rng.integers(-3, 4, (n, c)).astype(float)
    return targets, rng.random((n, c)) < 0.5, scores, rng.random(n) + 0.1


@settings(max_examples=60, deadline=None)
@given(**SHAPES, beta=st.sampled_from([0.5, 1.0, 2.0]), weighted=st.booleans())
def test_equals_scikit_learn(n: int, c: int, seed: int, beta: float, weighted: bool) -> None:
    targets, given_labels, _, weight = arrays(n, c, seed)
    weight = weight if weighted else None
    found = f_beta(targets, given_labels, sample_weight=weight, beta=beta)
    for average in ("macro", "micro", "samples", None):
        expected = fbeta_score(
            targets, given_labels, beta=beta, average=average, sample_weight=weight, zero_division=0
        )
        np.testing.assert_allclose(getattr(found, average or "per_class"), expected, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(**SHAPES)
def test_weighted_rates_equal_scikit_learn(n: int, c: int, seed: int) -> None:
    targets, given_labels, _, weight = arrays(n, c, seed)
    rates = precision_recall_f1(targets, given_labels, sample_weight=weight)
    for average, ours in {
        "macro": (rates.cp, rates.cr, rates.macro_f1),
        "micro": (rates.op, rates.or_, rates.of1),
        "samples": (rates.sample_precision, rates.sample_recall, rates.sample_f1),
    }.items():
        expected = precision_recall_fscore_support(
            targets, given_labels, average=average, sample_weight=weight, zero_division=0
        )
        np.testing.assert_allclose(ours, expected[:3], atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(**SHAPES, weighted=st.booleans())
def test_lrap_and_weighted_ranking_equal_scikit_learn(
    n: int, c: int, seed: int, weighted: bool
) -> None:
    targets, _, scores, weight = arrays(n, c, seed)
    weight = weight if weighted else None
    found = ranking_metrics(targets, scores, sample_weight=weight)
    oracle = label_ranking_average_precision_score(targets, scores, sample_weight=weight)
    assert found.lrap == pytest.approx(oracle, abs=1e-12)
    assert found.coverage == pytest.approx(coverage_error(targets, scores, sample_weight=weight))
    both = ~targets.all(axis=1)
    if both.any():
        of_both = None if weight is None else weight[both]
        oracle = label_ranking_loss(targets[both], scores[both], sample_weight=of_both)
        assert found.ranking_loss == pytest.approx(oracle, abs=1e-12)
    oracle = average_precision_score(targets, scores, average="micro", sample_weight=weight)
    ours = micro_average_precision(targets, scores, sample_weight=weight)
    assert ours == pytest.approx(oracle, abs=1e-12)


def test_lrap_leaves_out_what_is_not_known_and_images_without_a_label() -> None:
    scores = [[3, 2, 1], [1, 2, 3]]
    assert ranking_metrics([[0, 0, 1], [0, 0, 0]], scores).lrap == pytest.approx(1 / 3)
    known = [[False, True, True], [True, True, True]]
    assert ranking_metrics([[0, 0, 1], [0, 0, 0]], scores, known).lrap == 0.5
    assert np.isnan(ranking_metrics([[0, 0]], [[2, 1]]).lrap)


def test_undefined_classes_and_images_are_left_out() -> None:
    found = f_beta([[1, 0], [0, 0]], [[1, 1], [1, 0]], beta=2)
    assert found.per_class[0] == pytest.approx(5 / 6)  # precision 1/2, recall 1
    assert np.isnan(found.per_class[1])
    assert found.macro == found.per_class[0]
    assert found.samples == pytest.approx(5 / 6)  # of the image that has a label
    nothing = f_beta([[0]], [[1]])
    assert nothing.to_json() == {"beta": 2.0, "macro": None, "micro": None, "samples": None}


def test_a_weight_of_0_is_as_if_the_image_were_not_there() -> None:
    targets, given_labels, scores, _ = arrays(12, 4, 0)
    weight = np.arange(12) % 3 > 0
    rows = np.flatnonzero(weight)
    assert precision_recall_f1(targets, given_labels, sample_weight=weight) == precision_recall_f1(
        targets[rows], given_labels[rows]
    )
    all_out = ranking_metrics(targets, scores, sample_weight=np.zeros(12))
    assert np.isnan([all_out.lrap, all_out.coverage, all_out.ranking_loss]).all()


def test_impossible_arguments_are_refused() -> None:
    for beta in (0, -1, np.nan, np.inf):
        with pytest.raises(ConfigError, match="beta must be a positive number"):
            f_beta([[1]], [[1]], beta=beta)
    with pytest.raises(DataError, match="sample_weight must be finite and not negative"):
        f_beta([[1]], [[1]], sample_weight=[-1])
    with pytest.raises(DataError, match="decisions must be 0 or 1"):
        f_beta([[1]], [[0.7]])


def test_a_summary_has_it_where_it_is_asked_for() -> None:
    logits, targets = [[2.0, 1.0], [1.0, -1.0]], [[1, 0], [1, 1]]
    summary = summarize(logits, targets, beta=2)
    assert "F2 at logit 0: mean over classes" in rates_table(summary)
    assert summary.to_json()["F_beta"]["beta"] == 2
    assert "F_beta" not in summarize(logits, targets).to_json()
