"""The bootstrap that the intervals are measured against, itself against weights and scipy."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mlt.metrics import average_precision, average_precision_intervals
from mlt.metrics.confidence.rank_groups import rank_groups


def _load() -> ModuleType:
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "bootstrap.py"
    spec = importlib.util.spec_from_file_location("mlt_benchmark_bootstrap", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look their annotations up
    spec.loader.exec_module(module)
    return module


bootstrap = _load()


@settings(max_examples=80, deadline=None)
@given(
    n=st.integers(1, 30),
    levels=st.integers(1, 40),
    masked=st.booleans(),
    seed=st.integers(0, 100_000),
)
def test_counts_are_weights(n: int, levels: int, masked: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    targets, scores = rng.random(n) < 0.4, rng.integers(0, levels, n)
    known = rng.random(n) < 0.8 if masked else None
    counts = rng.integers(0, 3, (n, 5)).astype(np.float32)
    column = None if known is None else known[:, None]
    expected = [
        average_precision(targets[:, None], scores[:, None], column, counts[:, r])[0]
        for r in range(5)
    ]
    groups = rank_groups(targets, scores, known)
    if groups is None:
        assert np.isnan(expected).all()
    else:
        found = bootstrap.Resampled(groups).average_precision(counts)
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_resamples_depend_on_the_seed_and_on_nothing_else() -> None:
    rng = np.random.default_rng(0)
    targets, scores = rng.random((300, 4)) < 0.2, rng.normal(size=(300, 4))
    draws = bootstrap.bootstrap_average_precision(targets, scores, resamples=600, seed=5)
    alone = bootstrap.bootstrap_average_precision(
        targets[:, :1], scores[:, :1], resamples=600, seed=5
    )
    np.testing.assert_array_equal(draws[:, :1], alone)
    other = bootstrap.bootstrap_average_precision(targets, scores, resamples=600, seed=6)
    assert not np.array_equal(draws, other)


def test_vanished_classes_are_filled_from_the_next_resample_that_has_them() -> None:
    targets = np.arange(50)[:, None] == np.array([7, 99])  # one positive, none
    draws = bootstrap.bootstrap_average_precision(targets, np.zeros((50, 2)), resamples=500, seed=0)
    assert np.isnan(draws[:, 0]).mean() == pytest.approx(np.exp(-1), abs=0.07)
    assert np.isnan(draws[:, 1]).all()
    filled = bootstrap.fill_vanished(draws)
    assert not np.isnan(filled[:, 0]).any()
    there = ~np.isnan(draws[:, 0])
    np.testing.assert_array_equal(filled[there, 0], draws[there, 0])
    assert np.isnan(filled[:, 1]).all()


def test_bca_equals_scipy() -> None:
    sample = np.random.default_rng(0).exponential(size=60)
    reference = stats.bootstrap(
        (sample,), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(1)
    )
    interval = bootstrap.bca_interval(
        reference.bootstrap_distribution, sample.mean(), (sample - sample.mean()) / len(sample)
    )
    expected = reference.confidence_interval
    assert interval.low == pytest.approx(expected.low, abs=1e-3)
    assert interval.high == pytest.approx(expected.high, abs=1e-3)


def test_bca_of_a_constant_is_that_constant() -> None:
    interval = bootstrap.bca_interval(np.ones(100), 1.0, np.zeros(5))
    assert (interval.low, interval.high) == (1.0, 1.0)


def test_it_agrees_with_the_analytic_intervals_where_positives_are_many() -> None:
    rng = np.random.default_rng(2)
    targets = rng.random((3000, 4)) < np.array([0.3, 0.2, 0.2, 0.0])
    scores = rng.normal(size=(3000, 4)) + 1.5 * targets
    means = [[0], [1], [2], [0, 1], [3]]
    analytic = average_precision_intervals(
        targets, scores, groups={str(i): columns for i, columns in enumerate(means)}
    )
    resampled = bootstrap.bootstrap_intervals(targets, scores, means, resamples=600, seed=0)
    for method in ("bca", "percentile"):
        assert not resampled[4][method].defined
        for i in range(4):
            ours, theirs = analytic.means[str(i)], resampled[i][method]
            assert theirs.low == pytest.approx(ours.low, abs=0.012)
            assert theirs.high == pytest.approx(ours.high, abs=0.012)


def test_few_positives_are_not_taken_at_their_word() -> None:
    """Three positives, all ranked a little higher by one model: no resample contradicts it."""
    targets = np.arange(300)[:, None] % 100 == 7
    scores = -np.arange(300.0)[:, None] % 97
    total = bootstrap.bootstrap_test(
        targets, scores + 3 * targets, scores, {}, resamples=999, seed=0
    )["total"]
    assert total.p_value > 0.05
    assert total.low < 0 < total.high
    single = np.arange(300)[:, None] == 7
    untested = bootstrap.bootstrap_test(single, scores, -scores, {}, resamples=99, seed=0)
    assert np.isnan(untested["total"].p_value)
