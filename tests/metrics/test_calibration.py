"""Calibration recovers what was done to the logits; reliability against scikit-learn."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from scipy.special import expit
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss

from mlt.errors import ConfigError, DataError
from mlt.metrics import Predictions, average_precision, tune_decision
from mlt.metrics.calibration import Calibration, fit_calibration
from mlt.metrics.calibration_error import reliability, reliability_curve


def labels(slope: np.ndarray | float, intercept: np.ndarray | float, n: int = 20_000) -> tuple:
    """Logits, and labels drawn from the probabilities of the given line."""
    rng = np.random.default_rng(0)
    logits = 3 * rng.normal(size=(n, 3)) - 1
    return rng.random((n, 3)) < expit(logits * slope + intercept), logits


def test_temperature_is_recovered() -> None:
    fitted = fit_calibration(*labels(0.25, 0.0), method="temperature")
    np.testing.assert_allclose(fitted.slopes, 0.25, rtol=0.04)
    assert fitted.intercepts == (0.0,) * 3


def test_the_common_line_is_recovered() -> None:
    fitted = fit_calibration(*labels(0.5, -1.5), method="platt")
    np.testing.assert_allclose(fitted.slopes, 0.5, rtol=0.04)
    np.testing.assert_allclose(fitted.intercepts, -1.5, atol=0.06)


def test_the_line_of_each_label_is_recovered() -> None:
    slopes, intercepts = np.array([0.4, 1.0, 2.0]), np.array([-2.0, 0.5, 1.0])
    targets, logits = labels(slopes, intercepts)
    fitted = fit_calibration(targets, logits, shrinkage=0)
    np.testing.assert_allclose(fitted.slopes, slopes, rtol=0.06)
    np.testing.assert_allclose(fitted.intercepts, intercepts, atol=0.12)
    predictions = Predictions.from_arrays(logits, targets)
    check = tune_decision(predictions).reliability  # of images that it was not fitted on
    assert check.after.ece < 0.01 < check.before.ece
    assert check.after.log_loss < check.before.log_loss
    assert check.after.brier < check.before.brier
    json.dumps(check.to_json(), allow_nan=False)


def test_average_precision_stays() -> None:
    targets, logits = labels(0.5, -1.0, n=500)
    for method in ("temperature", "platt", "platt_per_label"):
        probabilities = fit_calibration(targets, logits, method=method).apply(logits)  # type: ignore[arg-type]
        np.testing.assert_array_equal(
            average_precision(targets, probabilities), average_precision(targets, logits)
        )


def test_rare_labels_lean_on_the_common_line() -> None:
    targets, logits = labels(0.5, 0.0, n=400)
    targets[:, 1] = False
    targets[np.argsort(-logits[:, 2])[3:], 2] = False  # three positives, perfectly separated
    common = fit_calibration(targets, logits, method="platt")
    fitted = fit_calibration(targets, logits, shrinkage=10)
    alone = fit_calibration(targets, logits, shrinkage=0)
    assert fitted.slopes[1] == common.slopes[1]  # without a positive, nothing of its own
    n = np.count_nonzero(targets[:, 2])
    expected = common.slopes[2] + n / (n + 10) * (alone.slopes[2] - common.slopes[2])
    assert fitted.slopes[2] == pytest.approx(expected)
    assert np.isfinite(alone.slopes[2])  # though no finite line is the most likely one


def test_a_line_that_would_fall_is_not_taken() -> None:
    targets, logits = labels(np.array([1.0, 1.0, -1.0]), 0.0, n=2000)
    fitted = fit_calibration(targets, logits)
    assert fitted.slopes[2] == fit_calibration(targets, logits, method="platt").slopes[2]
    with pytest.raises(DataError, match="no better than chance"):
        fit_calibration(targets, -logits)


def test_what_is_not_known_plays_no_part() -> None:
    targets, logits = labels(0.5, -1.0, n=500)
    known = np.random.default_rng(1).random(targets.shape) < 0.7
    other = np.where(known, targets, ~targets), np.where(known, logits, 5.0)
    assert fit_calibration(targets, logits, known) == fit_calibration(*other, known)
    p, q = expit(logits), np.where(known, expit(logits), 0.5)
    assert reliability(targets, p, known) == reliability(other[0], q, known)


def test_json_brings_back_the_same_calibration() -> None:
    fitted = fit_calibration(*labels(0.5, -1.0, n=300), class_names=["a", "b", "c"])
    assert Calibration.from_json(json.loads(json.dumps(fitted.to_json()))) == fitted
    with pytest.raises(DataError, match="not a calibration"):
        Calibration.from_json({"method": "platt"})
    with pytest.raises(DataError, match=r"\(N, 3\)"):
        fitted.apply(np.zeros((2, 2)))


def test_impossible_wishes_are_refused() -> None:
    targets, logits = labels(1.0, 0.0, n=20)
    with pytest.raises(ConfigError, match="none, temperature, platt"):
        fit_calibration(targets, logits, method="magic")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="at least 0"):
        fit_calibration(targets, logits, shrinkage=-1)
    with pytest.raises(DataError, match="both kinds"):
        fit_calibration(np.ones((2, 1)), np.zeros((2, 1)))
    with pytest.raises(DataError, match="finite"):
        fit_calibration([[1], [0]], [[np.inf], [0]])
    with pytest.raises(DataError, match="look like logits"):
        reliability(targets, logits)
    with pytest.raises(ConfigError, match="width or mass"):
        reliability_curve(targets, expit(logits), scheme="height")  # type: ignore[arg-type]
    assert fit_calibration(targets, logits, method="none").apply([[0, 0, 0]]).tolist() == [
        [0.5] * 3
    ]


@pytest.mark.parametrize(("scheme", "strategy"), [("width", "uniform"), ("mass", "quantile")])
def test_the_curve_equals_that_of_scikit_learn(scheme: str, strategy: str) -> None:
    targets, logits = labels(0.5, -1.0, n=1000)
    curve = reliability_curve(targets, expit(logits), column=1, bins=10, scheme=scheme)  # type: ignore[arg-type]
    observed, predicted = calibration_curve(
        targets[:, 1], expit(logits[:, 1]), n_bins=10, strategy=strategy
    )
    np.testing.assert_allclose(curve.observed, observed, atol=1e-12)
    np.testing.assert_allclose(curve.predicted, predicted, atol=1e-12)
    assert curve.counts.sum() == 1000
    json.dumps(curve.to_json())


def test_scores_equal_those_of_scikit_learn() -> None:
    targets, logits = labels(0.5, -1.0, n=1000)
    p = expit(logits)
    result = reliability(targets, p)
    assert result.brier == pytest.approx(brier_score_loss(targets.ravel(), p.ravel()))
    assert result.log_loss == pytest.approx(log_loss(targets.ravel(), p.ravel()))
    assert np.isnan(reliability(np.zeros((0, 1)), np.zeros((0, 1))).ece)


def bins_of(p: np.ndarray, bins: int) -> list[int]:
    """Labels in each of all bins: one more label is put into each, so that none is left out."""
    centres = (np.arange(bins) + 0.5) / bins
    both = np.concatenate([p, centres.astype(p.dtype)])[:, None]
    return (reliability_curve(np.zeros(both.shape), both, bins=bins).counts - 1).tolist()


def exact_bins(p: np.ndarray, bins: int) -> list[int]:
    """By exact rational numbers; an edge is the number of the type that is nearest to k / bins."""
    edges = [Fraction(float(p.dtype.type(k / bins))) for k in range(bins)]
    places = [sum(edge <= Fraction(float(value)) for edge in edges) - 1 for value in p]
    return np.bincount(places, minlength=bins).tolist()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_probability_at_a_lower_edge_is_in_its_bin(dtype: type) -> None:
    for value, place in ((0.29, 29), (0.57, 57), (0.58, 58), (0.0, 0), (1.0, 99)):
        counts = bins_of(np.array([value], dtype), 100)
        assert counts.index(1) == place
    for bins in range(1, 60):
        every = np.arange(bins + 1, dtype=np.float64) / bins
        assert bins_of(every.astype(dtype), bins) == [1] * (bins - 1) + [2]


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("bins", [1, 3, 7, 10, 15, 49, 100])
def test_bins_equal_those_of_exact_arithmetic(bins: int, dtype: type) -> None:
    edges = (np.arange(bins + 1) / bins).astype(dtype)
    near = np.concatenate([edges, np.nextafter(edges, dtype(0)), np.nextafter(edges, dtype(1))])
    p = np.concatenate([near, np.random.default_rng(0).random(200).astype(dtype)])
    assert bins_of(p, bins) == exact_bins(p, bins)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.parametrize(
    "logits", [[[0.0, 0], [0, 0]], [[-3.0, 3], [2, -2]]], ids=["flat", "wrong"]
)
def test_a_temperature_of_logits_that_say_nothing(
    activation: Any, logits: list[list[float]]
) -> None:
    with pytest.raises(DataError, match="no better than chance"):
        fit_calibration([[1, 0], [0, 1]], logits, method="temperature", activation=activation)
