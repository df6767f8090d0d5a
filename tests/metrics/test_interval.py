"""Intervals by hand, and what they cover on simulated data."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from mlt.errors import ConfigError
from mlt.metrics import Predictions, average_precision_intervals, compare_seeds
from mlt.metrics.confidence.influence import Estimate, MeanInfluence, class_influence
from mlt.metrics.confidence.interval import add_variances, analytic_interval
from mlt.metrics.confidence.rank_groups import rank_groups


def one_class(targets: np.ndarray, scores: np.ndarray) -> Estimate:
    groups = rank_groups(targets, scores)
    assert groups is not None
    return MeanInfluence.of([class_influence(groups)]).estimate()


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
    assert result.to_json() == {"total": None}
    assert result.means["total"].centre == result.per_class[0].centre < 1


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
        average_precision_intervals([[1], [0]], [[1], [0]], level=level)


def test_groups_are_means_over_their_defined_classes() -> None:
    rng = np.random.default_rng(2)
    targets = rng.random((3000, 4)) < np.array([0.3, 0.2, 0.2, 0.0])
    scores = rng.normal(size=(3000, 4)) + 1.5 * targets
    groups = {"head": [0, 1], "first": [0, 3], "tail": [3]}
    result = average_precision_intervals(targets, scores, groups=groups)
    json.dumps(result.to_json(), allow_nan=False)
    assert not result.per_class[3].defined
    assert not result.means["tail"].defined
    assert result.means["first"] == result.per_class[0]
    alone = average_precision_intervals(targets[:, :2], scores[:, :2])
    assert result.means["head"] == alone.means["total"]


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
        sides = [[Predictions.from_arrays(s.astype(np.float32), targets)] for s in (scores, other)]
        tests = compare_seeds(*sides, groups={str(c): [c] for c in range(4)})
        rejected.append([tests[str(c)].p_value < 0.05 for c in range(4)])
    coverage = np.mean(covered, axis=0)
    assert (np.abs(coverage[1:] - 0.95) < 3.5 * np.sqrt(0.05 * 0.95 / repetitions)).all()
    assert coverage[0] > 0.92
    false_alarms = np.mean(rejected, axis=0)
    assert (np.abs(false_alarms[:2] - 0.05) < 3.5 * np.sqrt(0.05 * 0.95 / repetitions)).all()
    assert (false_alarms[2:] < 0.07).all()
