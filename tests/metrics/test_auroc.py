"""AUROC against scikit-learn, by hand, and its intervals."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from mlt.metrics import (
    Predictions,
    aggregate_seeds,
    auroc,
    auroc_intervals,
    class_table,
    compare_seeds,
    result_table,
    summarize,
)
from mlt.metrics.confidence.auroc_influence import auroc_influence
from mlt.metrics.inputs import check_scores


@pytest.mark.parametrize(
    ("targets", "scores", "expected"),
    [
        ([1, 0, 1, 0], [4, 3, 2, 1], 3 / 4),  # three of the four pairs in order
        ([1, 0, 0], [1, 1, 1], 1 / 2),  # a tie counts one half
        ([1, 0, 0], [2, 2, 1], 3 / 4),
        ([0, 1], [np.inf, -np.inf], 0.0),  # infinities are ranks like any other
        ([1, 0], [np.inf, 1e30], 1.0),
        ([1, 1], [0.3, 0.4], np.nan),  # no negative: undefined, not 1
        ([0, 0], [1, 2], np.nan),  # no positive: undefined, not 0
    ],
)
def test_by_hand(targets: list[int], scores: list[float], expected: float) -> None:
    columns = np.array(targets)[:, None], np.array(scores, float)[:, None]
    np.testing.assert_allclose(auroc(*columns), [expected], rtol=1e-12)
    ones = np.ones(len(targets))
    np.testing.assert_allclose(auroc(*columns, sample_weight=ones), [expected], rtol=1e-12)
    found = auroc_influence(check_scores(*columns), 0)
    assert (found is None) == np.isnan(expected)
    assert found is None or found.value == pytest.approx(expected, abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(
    n=st.integers(2, 60),
    dtype=st.sampled_from([np.float16, np.float32, np.float64, np.int64]),
    levels=st.sampled_from([1, 2, 5, 1000]),
    prevalence=st.sampled_from([0.05, 0.5, 0.95]),
    masked=st.booleans(),
    weighted=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_equals_scikit_learn(
    n: int, dtype: type, levels: int, prevalence: float, masked: bool, weighted: bool, seed: int
) -> None:
    """Twenty columns a draw, with ties, unknown labels and weights (some of them 0)."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, levels, (n, 20)).astype(dtype)
    targets = rng.random((n, 20)) < prevalence
    known = rng.random((n, 20)) < 0.7 if masked else None
    weight = rng.integers(0, 3, n) * rng.random(n) if weighted else None
    result = auroc(targets, scores, known, weight)
    for c in range(20):
        rows = np.ones(n, bool) if weight is None else weight > 0
        rows &= True if known is None else known[:, c]
        y = targets[rows, c]
        if not 0 < y.sum() < len(y):
            assert np.isnan(result[c])
            continue
        weights = None if weight is None else weight[rows]
        oracle = roc_auc_score(y, scores[rows, c].astype(float), sample_weight=weights)
        assert result[c] == pytest.approx(oracle, abs=1e-12)


def test_threads_change_nothing() -> None:
    rng = np.random.default_rng(0)
    targets, scores = rng.random((200, 7)) < 0.3, rng.normal(size=(200, 7))
    np.testing.assert_array_equal(
        auroc(targets, scores, threads=1), auroc(targets, scores, threads=3)
    )


@settings(max_examples=60, deadline=None)
@given(n=st.integers(3, 25), levels=st.integers(1, 30), seed=st.integers(0, 100_000))
def test_influence_is_the_derivative_by_the_weight(n: int, levels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    targets, scores = rng.random((n, 1)) < 0.4, rng.integers(0, levels, (n, 1))
    targets[:2] = [[True], [False]]
    known = rng.random((n, 1)) < 0.8
    known[:2] = True
    found = auroc_influence(check_scores(targets, scores, known), 0)
    assert found is not None
    step = 1e-5
    for i in range(n):
        change = step * (np.arange(n) == i)
        up, down = (auroc(targets, scores, known, 1 + sign * change)[0] for sign in (1, -1))
        assert found.influence[i] == pytest.approx((up - down) / (2 * step), abs=1e-7)


def test_the_variance_is_that_of_delong() -> None:
    """Of twenty positives among many images, up to the factors n / (n - 1)."""
    rng = np.random.default_rng(1)
    positive, negative = rng.normal(1, size=20), rng.normal(size=4000)
    wins = positive[:, None] > negative
    expected = wins.mean(axis=1).var(ddof=1) / 20 + wins.mean(axis=0).var(ddof=1) / 4000
    scores = np.concatenate([positive, negative])[:, None]
    found = auroc_influence(check_scores(np.arange(4020)[:, None] < 20, scores), 0)
    assert found is not None
    assert np.sum(found.influence**2) * 20 / 19 == pytest.approx(expected, rel=0.01)


def test_classes_without_positive_or_without_negative_are_in_no_mean_and_named() -> None:
    targets = np.array([[1, 1, 0], [0, 1, 0], [1, 1, 0], [0, 1, 0]])
    logits = np.array([[3.0, 0, 0], [2.0, 1, 0], [1.0, 2, 0], [0.0, 3, 1]])
    summary = summarize(
        logits, targets, class_names=["some", "all", "none"], class_counts=[9, 9, 9]
    )
    assert summary.undefined == ("none",)
    assert summary.undefined_auroc == ("all", "none")
    values = json.loads(json.dumps(summary.to_json(), allow_nan=False))
    assert values["AUROC"] == {"total": 0.75, "head": None, "medium": None, "tail": 0.75}
    assert values["undefined_AUROC"] == ["all", "none"]
    assert [c["AUROC"] for c in values["per_class"]] == [0.75, None, None]
    table = result_table(summary, auroc=True)
    assert "in every test image, so without an AUROC: all\n" in table
    assert "without a test image, so undefined and in no mean: none\n" in table
    assert " 75.00 " in table.splitlines()[1]
    assert " 75.00 " in class_table(summary, auroc=True).splitlines()[1]
    assert "AUROC" not in class_table(summary)
    assert re.search(r"\nAUROC 75\.00 \([\d.]+ to [\d.]+\) over 1 class\n", result_table(summary))
    assert "AUROC 7" not in table


def test_means_over_groups_are_of_the_defined_classes() -> None:
    rng = np.random.default_rng(2)
    targets = rng.random((500, 4)) < np.array([0.3, 0.2, 0.1, 0.0])
    scores = rng.normal(size=(500, 4)) + targets
    result = auroc_intervals(targets, scores, groups={"head": [0, 1], "tail": [3]})
    values = auroc(targets, scores)
    assert result.means["head"].centre == pytest.approx(values[:2].mean())
    assert result.means["total"].centre == pytest.approx(values[:3].mean())
    assert not result.means["tail"].defined
    assert not result.per_class[3].defined


def test_two_models_are_compared_by_auroc_on_the_same_images() -> None:
    rng = np.random.default_rng(3)
    targets = rng.random((400, 3)) < 0.2
    noise = rng.normal(size=(400, 3))
    poor, good = (Predictions.from_arrays(noise + s * targets, targets) for s in (0.5, 1.5))
    total = compare_seeds([good], [poor], metric="AUROC")["total"]
    means = [auroc(targets, p.logits).mean() for p in (good, poor)]
    assert total.value == pytest.approx(means[0] - means[1])
    assert total.low > 0
    assert total.p_value < 0.001
    assert aggregate_seeds([good], metric="AUROC")["total"].mean == pytest.approx(means[0])


@pytest.mark.slow
def test_coverage_on_simulated_data() -> None:
    """A reduced benchmarks/interval_coverage.py; bounds are 3.5 standard errors wide."""
    rng = np.random.default_rng(4)
    repetitions, n, positives, separation = 400, 600, np.array([40, 300, 20, 4]), 1.0
    truth = stats.norm.cdf(separation / np.sqrt(2))
    covered = []
    for _ in range(repetitions):
        targets = rng.random((n, 4)) < positives / n
        groups = {"frequent": [0, 1, 2]}
        scores = rng.normal(size=(n, 4)) + separation * targets
        result = auroc_intervals(targets, scores, groups=groups)
        intervals = [*result.per_class, result.means["frequent"]]
        covered.append([i.low <= truth <= i.high if i.defined else np.nan for i in intervals])
    coverage = np.nanmean(covered, axis=0)
    margin = 3.5 * np.sqrt(0.05 * 0.95 / repetitions)
    assert (np.abs(coverage[:2] - 0.95) < margin).all()
    assert (coverage[2:] > 0.95 - margin).all()
