"""Top-1 error, recall and precision of images with one label each; scikit-learn as oracle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit, softmax
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, average_precision_score, precision_score, recall_score

from mlt.activation import log_odds
from mlt.errors import ConfigError, DataError
from mlt.metrics import (
    Decision,
    Predictions,
    aggregate_seeds,
    compare_seeds,
    fit_calibration,
    mean_predictions,
    one_label_rates,
    summarize,
    tune_decision,
)
from mlt.metrics.confidence.multi_seed import Metric
from mlt.metrics.tables import decision_table, tuned_table

COUNTS = [400, 60, 30, 8, 3]


def drawn(n: int = 300, seed: int = 0, skill: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    """(N, 5) one-hot targets and logits; class 4 is never chosen, class 0 most often."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 5, n)
    logits = rng.normal(size=(n, 5)) + np.array([0.7, 0.2, 0, -0.5, -99])
    logits[range(n), labels] += skill
    return np.eye(5, dtype=bool)[labels], logits.astype(np.float32)


def predictions(**options: object) -> Predictions:
    targets, logits = drawn(**options)  # type: ignore[arg-type]
    return Predictions.from_arrays(logits, targets, class_counts=COUNTS, activation="softmax")


def test_rates_are_those_of_scikit_learn() -> None:
    targets, logits = drawn()
    truth, chosen = targets.argmax(1), logits.argmax(1)
    assert 4 not in chosen
    rates = one_label_rates(targets, logits, {"tail": [3, 4]})
    assert rates.top1_error.centre == pytest.approx(1 - accuracy_score(truth, chosen))
    recall = recall_score(truth, chosen, average=None)
    precision = precision_score(truth, chosen, average=None, zero_division=0)
    np.testing.assert_allclose([i.centre for i in rates.recall.per_class], recall)
    np.testing.assert_allclose([i.centre for i in rates.precision.per_class], precision)
    assert rates.recall.means["total"].centre == pytest.approx(recall.mean())
    assert rates.precision.means["total"].centre == pytest.approx(precision.mean())
    assert rates.recall.means["tail"].centre == pytest.approx(recall[3:].mean())


def test_intervals_of_shares_are_exact() -> None:
    targets, logits = drawn()
    rates = one_label_rates(targets, logits)
    wrong = int((targets.argmax(1) != logits.argmax(1)).sum())
    expected = binomtest(wrong, 300).proportion_ci(0.95, "exact")
    np.testing.assert_allclose([rates.top1_error.low, rates.top1_error.high], expected)
    for k, interval in enumerate(rates.recall.per_class):
        of_class = targets[:, k]
        right = int((logits.argmax(1)[of_class] == k).sum())
        expected = binomtest(right, int(of_class.sum())).proportion_ci(0.95, "exact")
        np.testing.assert_allclose([interval.low, interval.high], expected, err_msg=str(k))


def test_a_class_without_a_test_image_is_in_no_mean() -> None:
    targets, logits = drawn()
    keep = ~targets[:, 3]
    rates = one_label_rates(targets[keep], logits[keep])
    recall = [i.centre for i in rates.recall.per_class]
    assert np.isnan(recall[3])
    assert rates.recall.means["total"].centre == pytest.approx(np.nanmean(recall))


def test_intervals_of_means_cover_what_other_test_sets_give() -> None:
    """Macro recall and precision of 400 test sets of 200 images from 40,000."""
    targets, logits = drawn(40_000, skill=1.0)
    logits[:, 4] += 99  # so that every class is chosen now and then
    of_all = one_label_rates(targets, logits)
    rng, hits = np.random.default_rng(1), np.zeros(2)
    for _ in range(400):
        rows = rng.integers(0, len(targets), 200)
        rates = one_label_rates(targets[rows], logits[rows])
        for k, name in enumerate(("recall", "precision")):
            found = getattr(rates, name).means["total"]
            hits[k] += found.low <= getattr(of_all, name).means["total"].centre <= found.high
    assert (hits >= 0.92 * 400).all() and (hits <= 0.985 * 400).all(), hits


def test_images_that_belong_together_widen_the_intervals() -> None:
    targets, logits = drawn()
    alone = one_label_rates(targets, logits, image_groups=[f"image {i}" for i in range(300)])
    plain = one_label_rates(targets, logits)
    assert alone.top1_error == plain.top1_error
    twice = np.repeat(np.arange(300), 3)
    together = one_label_rates(targets[twice], logits[twice], image_groups=twice)
    wide, narrow = together.top1_error, one_label_rates(targets[twice], logits[twice]).top1_error
    assert wide.high - wide.low > 1.6 * (narrow.high - narrow.low)
    assert wide.high - wide.low == pytest.approx(plain.top1_error.high - plain.top1_error.low, 0.03)


def test_all_right_and_all_wrong_leave_room() -> None:
    targets = np.eye(5, dtype=bool)[np.repeat(np.arange(5), 4)]
    right, wrong = (one_label_rates(targets, s) for s in (targets * 1.0, ~targets * 1.0))
    assert (right.recall.means["total"].low, right.recall.means["total"].high) < (0.9, 1.0)
    total = wrong.recall.means["total"]
    assert total.low == 0 or total.low < 0.02
    assert total.high == pytest.approx(1 - 0.025 ** (1 / 20))


def test_another_number_of_labels_is_refused() -> None:
    with pytest.raises(DataError, match="image 1 has 2 labels; top-1 error is defined where every"):
        one_label_rates([[1, 0], [1, 1]], [[0.0, 1.0], [1.0, 0.0]])
    several = Predictions.from_arrays([[0.0, 1.0]], [[1, 1]])
    assert summarize(several).details.one_label is None
    assert "top1_error" not in summarize(several).to_json()
    with pytest.raises(DataError, match="images with exactly one label each"):
        aggregate_seeds([several], metric="recall")


def test_what_metrics_json_has() -> None:
    p = predictions()
    values = summarize(p).to_json()
    error = 1 - accuracy_score(p.targets.argmax(1), p.logits.argmax(1))
    assert values["top1_error"] == pytest.approx(error)
    assert values["per_class_recall"].keys() == {"0", "1", "2", "3", "4"}
    assert values["per_class_recall"]["4"] == 0.0
    assert values["macro_recall"] == values["recall"]["total"]
    assert values["recall"].keys() == {"total", "head", "medium", "tail"}
    assert values["recall"]["head"] == values["per_class_recall"]["0"]
    low, high = values["intervals"]["top1_error"]
    assert low < values["top1_error"] < high
    for name in ("per_class_recall", "per_class_precision"):
        for of_class, (low_end, high_end) in values["intervals"][name].items():
            assert low_end <= values[name][of_class] <= high_end
    assert values["rates"]["threshold"] is None
    assert values["rates"]["OP"] == pytest.approx(1 - error)
    printed = str(summarize(p))
    assert f"top-1 error {100 * error:.2f} ({100 * low:.2f} to {100 * high:.2f})" in printed
    assert "top-1 error" in summarize(p).table(auroc=True)


def test_classes_are_ranked_by_softmax_probabilities() -> None:
    p = predictions()
    probabilities = softmax(p.logits.astype(float), axis=1)
    expected = average_precision_score(p.targets, probabilities, average=None)
    found = [c.ap for c in summarize(p).per_class]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    by_logits = average_precision_score(p.targets, p.logits, average=None)
    assert np.abs(by_logits - expected).max() > 0.01  # it would have been another number


@pytest.mark.parametrize("size", [1.0, 30.0, 3000.0])
def test_log_odds_of_a_softmax(size: float) -> None:
    z = np.random.default_rng(0).normal(size=(50, 4)) * size
    got = log_odds(z, "softmax")
    exact = [[row[c] - np.logaddexp.reduce(np.delete(row, c)) for c in range(4)] for row in z]
    np.testing.assert_allclose(got, exact, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(expit(got), softmax(z, axis=1), atol=1e-12)
    assert log_odds(np.zeros((0, 3), np.float32), "softmax").shape == (0, 3)


def test_seeds_and_paired_differences() -> None:
    good = [predictions(seed=0, skill=2.5)]
    poor = [predictions(seed=0, skill=0.5)]
    mean = aggregate_seeds(good, metric="accuracy")
    error = summarize(good[0]).details.one_label.top1_error
    assert mean.keys() == {"total"}
    assert mean["total"].mean == pytest.approx(1 - error.centre)
    assert mean["total"].interval.low == pytest.approx(1 - error.high)
    recall = aggregate_seeds(good, metric="recall")
    assert recall["tail"].interval == summarize(good[0]).details.one_label.recall.means["tail"]
    found = compare_seeds(good, poor, metric="accuracy")["total"]
    a, b = ((p.targets.argmax(1) == p.logits.argmax(1)) for p in (good[0], poor[0]))
    difference = a.astype(float) - b
    assert found.value == pytest.approx(difference.mean())
    half = 1.968 * difference.std(ddof=1) / np.sqrt(300)  # the paired t test of the images
    assert found.high - found.value == pytest.approx(half, rel=2e-3)
    assert compare_seeds(good, poor, metric="recall")["total"].p_value < 1e-6


@pytest.mark.parametrize("metric", ["accuracy", "recall", "precision", "AP", "AUROC"])
def test_sides_and_seeds_may_change_places(metric: Metric) -> None:
    """Models choose a class differently often: one of them the last class never."""
    targets, logits = drawn()
    often = logits + np.array([0, 0, 0, 0, 99.5], np.float32)
    other = drawn(seed=1)[1]
    names = [Predictions.from_arrays(z, targets, activation="softmax") for z in (logits, often)]
    groups = {f"class {k}": np.array([k]) for k in range(5)}
    one, two = (
        compare_seeds([names[k]], [names[1 - k]], groups=groups, metric=metric) for k in (0, 1)
    )
    for name in one:
        assert one[name].value == pytest.approx(-two[name].value)
        assert one[name].p_value == pytest.approx(two[name].p_value, nan_ok=True)
        assert one[name].low == pytest.approx(-two[name].high, nan_ok=True)
    seeds = [*names, Predictions.from_arrays(other, targets, activation="softmax")]
    found = [aggregate_seeds(order, groups=groups, metric=metric) for order in (seeds, seeds[::-1])]
    for name, mean in found[0].items():
        ends = mean.interval.low, mean.interval.high
        assert ends == pytest.approx((found[1][name].interval.low, found[1][name].interval.high))


def test_ensembles_of_softmax_models(tmp_path: Path) -> None:
    one, two = predictions(skill=1.0), predictions(skill=2.0)
    shares = [softmax(p.logits.astype(float), axis=1) for p in (one, two)]
    both = mean_predictions([one, two], "probabilities")
    np.testing.assert_allclose(softmax(both.logits, axis=1), np.mean(shares, axis=0), atol=1e-6)
    by_logits = mean_predictions([one, two], "logits")
    np.testing.assert_allclose(by_logits.logits, (one.logits + two.logits) / 2, atol=1e-5)
    both.save(tmp_path / "both.npz")
    assert Predictions.load(tmp_path / "both.npz").activation == "softmax"
    with pytest.raises(DataError, match="activation is 'relu'"):
        Predictions.from_arrays([[1.0, 2.0]], [[1, 0]], activation="relu")  # type: ignore[arg-type]


def test_a_softmax_is_calibrated_by_a_temperature() -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(size=(4000, 4)) * 2
    shares = softmax(z, axis=1)
    labels = (shares.cumsum(1) > rng.random((4000, 1))).argmax(1)
    p = Predictions.from_arrays((3 * z).astype(np.float32), np.eye(4)[labels], activation="softmax")
    tuned = tune_decision(p)
    line = tuned.decision.calibration
    assert line.slopes == (pytest.approx(1 / 3, rel=0.06),) * 4
    assert line.method == "temperature" and tuned.rates is None
    np.testing.assert_allclose(tuned.decision.probabilities(p.logits).sum(1), 1)
    assert (tuned.decision.labels(p.logits).argmax(1) == z.argmax(1)).all()
    assert tuned.reliability.after.log_loss < tuned.reliability.before.log_loss
    assert Decision.from_json(tuned.to_json()) == tuned.decision
    assert "most probable class" in decision_table(tuned.decision)
    assert "threshold" not in tuned_table(tuned)
    with pytest.raises(ConfigError, match="no thresholds to tune, only the calibration"):
        tune_decision(p, goal="precision", target=0.9)
    with pytest.raises(ConfigError, match="a softmax is calibrated by temperature, or none"):
        fit_calibration(p.targets, p.logits, method="platt", activation="softmax")
