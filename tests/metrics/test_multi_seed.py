"""Several seeds, two methods on the same images, and many p-values."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from mlt.errors import DataError
from mlt.metrics import aggregate_seeds, average_precision, compare_seeds, holm, summarize
from mlt.metrics.confidence.multi_seed import Metric
from mlt.metrics.confidence.significance import t_test
from mlt.predictions import Predictions

COUNTS = np.array([200, 60, 15, 0])


def runs(signals: list[float], seed: int = 0, n: int = 800) -> list[Predictions]:
    """One model each signal, on the same images; the last class has no test image."""
    rng = np.random.default_rng(seed)
    targets = rng.random((n, 4)) < np.array([0.2, 0.1, 0.05, 0.0])
    common = rng.normal(size=(n, 4))
    return [
        Predictions(
            image_ids=np.arange(n),
            logits=(0.8 * common + 0.6 * rng.normal(size=(n, 4)) + s * targets).astype(np.float32),
            targets=targets,
            class_names=("a", "b", "c", "d"),
            class_counts=COUNTS,
            num_train_images=500,
        )
        for s in signals
    ]


def test_a_run_against_itself_and_backwards() -> None:
    good, poor = runs([2.0, 1.0])
    nothing = compare_seeds([good], [good])["total"]
    assert (nothing.value, nothing.low, nothing.high, nothing.p_value) == (0, 0, 0, 1)
    forth, back = compare_seeds([good], [poor])["head"], compare_seeds([poor], [good])["head"]
    assert back.value == -forth.value
    assert back.low == pytest.approx(-forth.high)
    assert back.p_value == pytest.approx(forth.p_value)


def test_one_seed_a_side_compares_two_models() -> None:
    good, same, poor = runs([2.0, 2.0, 1.0])
    found = compare_seeds([good], [poor])["total"]
    assert found.value == pytest.approx(summarize(good).total - summarize(poor).total, abs=1e-12)
    assert 0 < found.low < found.value < found.high
    assert found.p_value < 0.01
    assert compare_seeds([good], [same])["total"].p_value > 0.05


def test_images_may_be_in_any_order() -> None:
    first, second = runs([2.0, 1.5])
    shuffled = second.take(np.random.default_rng(1).permutation(len(second)))
    assert compare_seeds([first], [shuffled]) == compare_seeds([first], [second])


@pytest.mark.parametrize("freedom", [1.0, 2.5, 40.0, np.inf])
def test_students_test_is_that_of_scipy(freedom: float) -> None:
    for value in (0.0, -0.2, 0.05, 3.0):
        found = t_test(value, 0.01, freedom, level=0.9)
        assert found.p_value == pytest.approx(2 * stats.t.sf(abs(value) / 0.1, freedom), rel=1e-9)
        low, high = stats.t.interval(0.9, freedom, loc=value, scale=0.1)
        assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9)


def test_holm_by_hand() -> None:
    #                 rank       2     1     4     3
    #                 times      3     4     1     2, then never lower than the one before
    np.testing.assert_allclose(holm([0.02, 0.01, 0.9, 0.04]), [0.06, 0.04, 0.9, 0.08])
    np.testing.assert_allclose(holm([0.6, np.nan, 0.5]), [1.0, np.nan, 1.0])
    assert holm([]).tolist() == []


def test_seeds_are_summed_up_with_both_kinds_of_chance() -> None:
    steady = aggregate_seeds(runs([1.5, 1.5, 1.5]))["total"]
    wild = aggregate_seeds(runs([0.9, 1.5, 2.1]))["total"]
    each = [np.nanmean(average_precision(r.targets, r.logits)) for r in runs([0.9, 1.5, 2.1])]
    assert wild.mean == pytest.approx(np.mean(each), abs=1e-12)
    assert wild.sd == pytest.approx(np.std(each, ddof=1), abs=1e-12)
    assert wild.interval.high - wild.interval.low > 2 * (steady.interval.high - steady.interval.low)
    single = aggregate_seeds(runs([1.5]))["total"]
    assert np.isnan(single.sd)
    # One run has the interval of its test set alone.
    alone = summarize(runs([1.5])[0]).details
    assert alone is not None
    assert single.interval == alone.intervals.means["total"]
    json.dumps(single.to_json(), allow_nan=False)


def test_groups_without_a_defined_class_are_undefined() -> None:
    only_undefined = runs([1.5, 1.4], n=5)
    result = aggregate_seeds(only_undefined)
    assert set(result) == {"total", "head", "medium", "tail"}
    with pytest.raises(DataError, match="no run"):
        aggregate_seeds([])
    with pytest.raises(DataError, match="no run"):
        compare_seeds(runs([1.0]), [])


def test_methods_are_told_apart_over_seeds() -> None:
    models = runs([2.0, 2.1, 1.9, 1.0, 1.1, 0.9])
    found = compare_seeds(models[:3], models[3:])["total"]
    assert found.p_value < 0.05
    assert found.low > 0
    assert found.low < found.value < found.high
    # Ordinary luck of seeds is not taken for a difference.
    mixed = compare_seeds([models[0], models[3], models[1]], [models[4], models[2], models[5]])
    assert mixed["total"].p_value > 0.05


def test_single_classes_can_stand_in_for_the_groups() -> None:
    models = runs([2.0, 1.8, 1.0, 1.2])
    groups = {"first": [0], "both": [0, 1]}
    means = aggregate_seeds(models[:2], groups=groups)
    found = compare_seeds(models[:2], models[2:], groups=groups)
    assert set(means) == set(found) == {"total", "first", "both"}
    ap = np.array([average_precision(r.targets, r.logits) for r in models])
    assert means["first"].mean == pytest.approx(ap[:2, 0].mean(), abs=1e-12)
    assert found["both"].value == pytest.approx(ap[:2, :2].mean() - ap[2:, :2].mean(), abs=1e-12)
    # One run has the interval that its evaluation gives the class.
    details = summarize(models[0]).per_class[0].interval
    assert aggregate_seeds(models[:1], groups=groups)["first"].interval == details


def test_without_training_counts_there_is_one_mean() -> None:
    models = [replace(run, class_counts=None, num_train_images=None) for run in runs([2.0, 1.0])]
    assert set(aggregate_seeds(models)) == {"total"}
    assert set(compare_seeds(models[:1], models[1:])) == {"total"}


def one_label(chosen: np.ndarray, labels: np.ndarray, **options: Any) -> Predictions:
    """Images of one label each, with logits 1 for the class that is chosen."""
    classes = np.eye(labels.max() + 1, dtype=np.float32)
    return Predictions.from_arrays(classes[chosen], classes[labels], **options)


@pytest.mark.parametrize("metric", ["recall", "AUROC", "accuracy"])
@pytest.mark.parametrize("n", [2, 3, 5, 6, 10, 60])
def test_images_that_all_agree_are_no_surer_than_a_sign_test(n: int, metric: Metric) -> None:
    """All images right in the one model and wrong in the other: McNemar's exact test."""
    labels = np.arange(2 * n) % 2
    sides = [one_label(labels, labels)], [one_label(1 - labels, labels)]
    compared = compare_seeds(*sides, groups={"class": [0]}, metric=metric)
    found = compared["total" if metric == "accuracy" else "class"]
    images = 2 * n if metric == "accuracy" else n
    assert found.value == 1
    assert found.p_value == pytest.approx(stats.binomtest(images, images).pvalue)
    assert (found.low <= 0) == (found.p_value >= 0.05)
    assert compared["total"].p_value >= stats.binomtest(2 * n, 2 * n).pvalue * (1 - 1e-9)


@pytest.mark.parametrize("groups", [None, ["a"] * 30 + ["b"] * 30 + [""] * 340])
@pytest.mark.parametrize("metric", ["AP", "AUROC", "recall", "precision"])
def test_two_images_decide_nothing(metric: Metric, groups: list[str] | None) -> None:
    """A tail class of two images (or patients), beside large classes on which both agree."""
    rng = np.random.default_rng(0)
    few = 2 if groups is None else 60
    labels = np.r_[np.full(few, 2), np.arange(400 - few) % 2]
    truth = np.eye(3, dtype=bool)[labels]
    first = (np.where(truth, 3.0, -3.0) + rng.normal(size=truth.shape)).astype(np.float32)
    second = first.copy()
    first[:few], second[:few] = [-3, -3, 3], [3, -3, -4]
    sides = [
        [Predictions.from_arrays(z, truth, class_counts=[500, 400, 5], groups=groups)]
        for z in (first, second)
    ]
    found = compare_seeds(*sides, metric=metric)
    for name in ("total", "tail"):
        assert found[name].value > 0.25
        assert not found[name].p_value < 0.4
        assert not found[name].low > 0


def test_one_image_decides_no_mean() -> None:
    labels = np.r_[np.arange(200) % 2, 2]
    base = np.where(np.arange(201) == 0, 1, labels)  # one image of another class is wrong
    better, worse = base.copy(), base.copy()
    worse[-1], better[0] = 0, 0
    found = compare_seeds([one_label(better, labels)], [one_label(worse, labels)], metric="recall")
    assert found["total"].value > 1 / 3
    assert found["total"].p_value > 0.3


def test_classes_of_the_same_two_images_are_not_several_signs() -> None:
    targets = np.zeros((100, 8), bool)
    targets[:2] = True
    sides = [[Predictions.from_arrays(np.where(targets, s, -s), targets)] for s in (1.0, -1.0)]
    for metric in ("AP", "AUROC"):
        assert compare_seeds(*sides, metric=metric)["total"].p_value > 0.3


def test_models_that_are_alike_on_a_few_images_need_not_be() -> None:
    labels = np.arange(6) % 2
    scores = np.eye(2)[labels]
    sides = [[Predictions.from_arrays(s * scores, scores)] for s in (1.0, 2.0)]
    found = compare_seeds(*sides, groups={"first": [0]}, metric="recall")["first"]
    room = 1 - 0.025 ** (1 / 3)
    assert (found.value, found.p_value) == (0, 1)
    assert (found.low, found.high) == pytest.approx((-room, room))
    itself = compare_seeds(sides[0], sides[0], metric="recall")["total"]
    assert (itself.value, itself.low, itself.high, itself.p_value) == (0, 0, 0, 1)


def test_a_difference_of_unknown_chance_is_not_tested() -> None:
    assert np.isnan(t_test(0.1, 0.0, 5.0, level=0.95).p_value)
    assert t_test(1e-17, 0.0, 5.0, level=0.95).p_value == 1  # a rounding
