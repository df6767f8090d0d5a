"""Resampled average precision against the weighted one, and influences against differences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlt.errors import DataError
from mlt.metrics import average_precision, bootstrap_average_precision
from mlt.metrics.confidence.influence import MeanInfluence, class_influence, mean_over_models
from mlt.metrics.confidence.rank_groups import fill_vanished, rank_groups


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
        np.testing.assert_allclose(groups.average_precision(counts), expected, atol=1e-12)


def test_resamples_depend_on_the_seed_and_on_nothing_else() -> None:
    rng = np.random.default_rng(0)
    targets, scores = rng.random((300, 4)) < 0.2, rng.normal(size=(300, 4))
    draws = bootstrap_average_precision(targets, scores, resamples=600, seed=5, threads=1)
    again = bootstrap_average_precision(targets, scores, resamples=600, seed=5, threads=3)
    np.testing.assert_array_equal(draws, again)
    alone = bootstrap_average_precision(targets[:, :1], scores[:, :1], resamples=600, seed=5)
    np.testing.assert_array_equal(draws[:, :1], alone)
    other = bootstrap_average_precision(targets, scores, resamples=600, seed=6)
    assert not np.array_equal(draws, other)


def test_resamples_have_the_spread_that_influences_say() -> None:
    rng = np.random.default_rng(1)
    targets = rng.random((2000, 1)) < 0.1
    scores = rng.normal(size=(2000, 1)) + 2 * targets
    draws = bootstrap_average_precision(targets, scores, resamples=1000)
    groups = rank_groups(targets[:, 0], scores[:, 0])
    assert groups is not None
    assert draws.std() == pytest.approx(
        np.sqrt(np.sum(class_influence(groups).influence ** 2)), rel=0.1
    )


def test_vanished_classes_are_filled_from_the_next_resample_that_has_them() -> None:
    targets = np.arange(50)[:, None] == np.array([7, 99])  # one positive, none
    draws = bootstrap_average_precision(targets, np.zeros((50, 2)), resamples=500)
    vanished = np.isnan(draws[:, 0]).mean()
    assert vanished == pytest.approx(np.exp(-1), abs=0.07)
    assert np.isnan(draws[:, 1]).all()
    filled = fill_vanished(draws)
    assert not np.isnan(filled[:, 0]).any()
    there = ~np.isnan(draws[:, 0])
    np.testing.assert_array_equal(filled[there, 0], draws[there, 0])
    assert np.isnan(filled[:, 1]).all()


def test_nothing_to_draw_is_an_error() -> None:
    with pytest.raises(DataError, match="cannot draw 0 resamples"):
        bootstrap_average_precision([[1]], [[1]], resamples=0)
    with pytest.raises(DataError, match="of 0 images"):
        bootstrap_average_precision(np.zeros((0, 1)), np.zeros((0, 1)))


@settings(max_examples=60, deadline=None)
@given(n=st.integers(2, 25), levels=st.integers(1, 30), seed=st.integers(0, 100_000))
def test_influence_is_the_derivative_by_the_weight(n: int, levels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    targets, scores = rng.random(n) < 0.4, rng.integers(0, levels, n)
    targets[0] = True
    groups = rank_groups(targets, scores)
    assert groups is not None
    expansion = class_influence(groups)
    step = 1e-5
    for i in range(n):
        change = step * (np.arange(n) == i)
        up, down = (
            average_precision(targets[:, None], scores[:, None], None, 1 + sign * change)[0]
            for sign in (1, -1)
        )
        assert expansion.influence[i] == pytest.approx((up - down) / (2 * step), abs=1e-7)
    plain = average_precision(targets[:, None], scores[:, None])[0]
    assert expansion.value == pytest.approx(plain, abs=1e-12)
    assert expansion.influence.sum() == pytest.approx(0, abs=1e-12)


def test_self_counting_raises_average_precision_and_leaving_it_out_does_not() -> None:
    """Scores without any signal, five positives of 500: the truth is the prevalence, 1 %."""
    rng = np.random.default_rng(2)
    targets = np.arange(500) < 5
    found = [class_influence(rank_groups(targets, rng.normal(size=500))) for _ in range(2000)]  # type: ignore[arg-type]
    assert np.mean([e.value for e in found]) > 0.02
    assert np.mean([e.unbiased for e in found]) == pytest.approx(0.01, abs=0.003)


def test_the_variance_of_a_mean_carries_what_classes_share() -> None:
    rng = np.random.default_rng(3)
    targets = rng.random(400) < 0.1
    groups = rank_groups(targets, rng.normal(size=400) + targets)
    assert groups is not None
    one = class_influence(groups)
    variance, freedom = MeanInfluence.of([one]).variance()
    assert freedom == pytest.approx(one.positives - 1)
    twice = MeanInfluence.of([one, one]).variance()
    assert twice[0] == pytest.approx(variance)  # the same class twice is no more certain
    nothing = one.minus(one)
    assert MeanInfluence.of([nothing]).variance()[0] == 0
    np.testing.assert_allclose(mean_over_models([one, one]).influence, one.influence)


def test_a_single_positive_has_no_spread_of_its_own() -> None:
    scores = np.arange(50)
    single = rank_groups(scores == 40, scores)
    several = rank_groups(scores % 10 == 5, scores)
    assert single is not None
    assert several is not None
    assert np.isnan(MeanInfluence.of([class_influence(single)]).variance()[0])
    alone = MeanInfluence.of([class_influence(several)]).variance()[0]
    both = MeanInfluence.of([class_influence(several), class_influence(single)]).variance()[0]
    assert both == pytest.approx((alone + 5 * alone) / 4)  # it is given that of a positive: 5 times
