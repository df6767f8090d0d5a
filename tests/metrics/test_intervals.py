"""Intervals by hand, against scipy, and what they cover on simulated data."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from mlt.errors import ConfigError
from mlt.metrics import average_precision_intervals, compare_scores
from mlt.metrics.confidence.influence import MeanInfluence, class_influence
from mlt.metrics.confidence.interval import (
    add_variances,
    analytic_interval,
    bca_interval,
    percentile_interval,
)
from mlt.metrics.confidence.rank_groups import rank_groups


def one_class(targets: np.ndarray, scores: np.ndarray) -> MeanInfluence:
    groups = rank_groups(targets, scores)
    assert groups is not None
    return MeanInfluence.of([class_influence(groups)])


def test_bca_equals_scipy() -> None:
    sample = np.random.default_rng(0).exponential(size=60)
    reference = stats.bootstrap(
        (sample,), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(1)
    )
    interval = bca_interval(
        reference.bootstrap_distribution, sample.mean(), (sample - sample.mean()) / len(sample)
    )
    expected = reference.confidence_interval
    assert interval.low == pytest.approx(expected.low, abs=1e-3)
    assert interval.high == pytest.approx(expected.high, abs=1e-3)


def test_bca_of_a_constant_is_that_constant() -> None:
    interval = bca_interval(np.ones(100), 1.0, np.zeros(5))
    assert (interval.low, interval.high) == (1.0, 1.0)


def test_a_perfect_class_is_not_certain() -> None:
    """Of 20 positives all found, one in seven of the population may still be missed."""
    scores = np.arange(500.0)
    interval = analytic_interval(one_class(scores >= 480, scores))
    assert interval.low == pytest.approx(0.025 ** (1 / 20))
    assert 0.98 < interval.high <= 1


def test_one_positive_says_nothing() -> None:
    scores = np.arange(50)
    assert not analytic_interval(one_class(scores == 3, scores)).defined
    result = average_precision_intervals((scores == 3)[:, None], scores[:, None])
    assert result.to_json()["mAP"] == {"total": None}


def test_more_confidence_and_fewer_images_widen() -> None:
    rng = np.random.default_rng(1)
    targets = rng.random(1000) < 0.1
    scores = rng.normal(size=1000) + 2 * targets

    def width(n: int, level: float) -> float:
        interval = analytic_interval(one_class(targets[:n], scores[:n]), level)
        return interval.high - interval.low

    assert width(1000, 0.99) > width(1000, 0.95) > width(1000, 0.5)
    assert width(300, 0.95) > width(1000, 0.95)


def test_variances_add_and_share_their_freedom() -> None:
    assert add_variances((2.0, 9.0), (0.0, np.inf)) == (2.0, 9.0)
    variance, freedom = add_variances((1.0, 4.0), (1.0, 4.0))
    assert (variance, freedom) == (2.0, 8.0)
    assert add_variances((1.0, 50.0), (3.0, 2.0))[1] < 4  # mostly what the uncertain one has


@pytest.mark.parametrize("level", [0, 1, 95])
def test_impossible_levels_are_refused(level: float) -> None:
    with pytest.raises(ConfigError, match="between 0 and 1"):
        percentile_interval(np.arange(5.0), level)


def test_methods_agree_where_positives_are_many() -> None:
    rng = np.random.default_rng(2)
    targets = rng.random((3000, 4)) < np.array([0.3, 0.2, 0.2, 0.0])
    scores = rng.normal(size=(3000, 4)) + 1.5 * targets
    groups = {"head": [0, 1], "tail": [3]}
    results = [
        average_precision_intervals(targets, scores, groups=groups, method=method, resamples=600)
        for method in ("analytic", "bca", "percentile")
    ]
    for result in results:
        json.dumps(result.to_json(), allow_nan=False)
        assert not result.per_class[3].defined
        assert not result.means["tail"].defined
        for ours, analytic in zip(result.per_class[:3], results[0].per_class, strict=False):
            assert ours.low == pytest.approx(analytic.low, abs=0.012)
            assert ours.high == pytest.approx(analytic.high, abs=0.012)
        assert result.means["head"].low == pytest.approx(results[0].means["head"].low, abs=0.008)
    with pytest.raises(ConfigError, match="analytic, bca, percentile"):
        average_precision_intervals(targets, scores, method="magic")  # type: ignore[arg-type]


def test_an_unknown_label_is_as_if_the_image_were_not_there() -> None:
    rng = np.random.default_rng(3)
    targets, scores = rng.random((400, 1)) < 0.2, rng.normal(size=(400, 1))
    known = rng.random((400, 1)) < 0.6
    masked = average_precision_intervals(targets, scores, known).per_class[0]
    rows = known[:, 0]
    alone = average_precision_intervals(targets[rows], scores[rows]).per_class[0]
    assert masked.low == pytest.approx(alone.low, rel=1e-9)
    assert masked.high == pytest.approx(alone.high, rel=1e-9)


@pytest.mark.slow
def test_coverage_and_false_alarms_on_simulated_data() -> None:
    """A reduced benchmarks/interval_coverage.py; bounds are 3.5 standard errors wide."""
    rng = np.random.default_rng(4)
    repetitions, n, positives, separation = 400, 600, np.array([20, 40, 4, 3]), 2.0
    t = np.linspace(-10, 12, 20_001)
    prevalence = (positives / n)[:, None]
    hits = prevalence * stats.norm.sf(t - separation)
    precision = hits / (hits + (1 - prevalence) * stats.norm.sf(t))
    truth = np.trapezoid(precision * stats.norm.pdf(t - separation), t, axis=1)
    covered, rejected = [], []
    for _ in range(repetitions):
        targets = rng.random((n, 4)) < positives / n
        first = rng.normal(size=(n, 4))
        second = 0.8 * first + 0.6 * rng.normal(size=(n, 4))
        scores, other = first + separation * targets, second + separation * targets
        there = targets.any(axis=0)
        result = average_precision_intervals(targets, scores)
        total = result.means["total"]
        covered.append(
            [total.low <= truth[there].mean() <= total.high]
            + [i.low <= value <= i.high for i, value in zip(result.per_class[:2], truth[:2])]
        )
        test = compare_scores(targets, scores, other, resamples=300)
        p_values = [d.p_value for d in test.per_class]
        rejected.append([p < 0.05 for p in p_values])
    coverage = np.mean(covered, axis=0)
    assert (np.abs(coverage[1:] - 0.95) < 3.5 * np.sqrt(0.05 * 0.95 / repetitions)).all()
    assert coverage[0] > 0.92
    false_alarms = np.mean(rejected, axis=0)
    assert (np.abs(false_alarms[:2] - 0.05) < 3.5 * np.sqrt(0.05 * 0.95 / repetitions)).all()
    assert (false_alarms[2:] < 0.07).all()
