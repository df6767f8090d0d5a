"""The influence of images on an average precision, against differences and resamples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlt.metrics import average_precision
from mlt.metrics.confidence.influence import MeanInfluence, class_influence, mean_over_models
from mlt.metrics.confidence.rank_groups import rank_groups


def test_influences_say_the_spread_of_resamples() -> None:
    rng = np.random.default_rng(1)
    targets = rng.random((1000, 1)) < 0.1
    scores = rng.normal(size=(1000, 1)) + 2 * targets
    draws = [
        average_precision(targets[rows], scores[rows])[0]
        for rows in rng.integers(0, 1000, (500, 1000))
    ]
    groups = rank_groups(targets[:, 0], scores[:, 0])
    assert groups is not None
    jackknife = np.sqrt(np.sum(class_influence(groups).influence ** 2))
    assert np.std(draws) == pytest.approx(jackknife, rel=0.1)


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
