"""Calibration and thresholds as one thing: what is decided, saved and checked."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from mlt.errors import ConfigError, DataError
from mlt.metrics import (
    Calibration,
    Decision,
    Predictions,
    Thresholds,
    decision_table,
    precision_recall_f1,
    reliability,
    tune_decision,
    tuned_table,
)


@pytest.fixture
def predictions() -> Predictions:
    rng = np.random.default_rng(0)
    targets = rng.random((600, 3)) < [0.4, 0.1, 0.02]
    return Predictions(
        image_ids=np.arange(600),
        logits=(4 * (rng.normal(size=(600, 3)) + 2 * targets) - 5).astype(np.float32),
        targets=targets,
        class_names=("cat", "dog", "yeti"),
        class_counts=np.array([240, 60, 12]),
        num_train_images=600,
    )


def test_plain_is_the_sigmoid_at_one_half() -> None:
    decision = Decision.plain(["a", "b"])
    logits = np.array([[0.0, -1e-6], [3.0, -3.0]])
    np.testing.assert_allclose(decision.probabilities(logits), 1 / (1 + np.exp(-logits)))
    np.testing.assert_array_equal(decision.labels(logits), [[True, False], [True, False]])
    assert Decision.from_json(json.loads(json.dumps(decision.to_json()))) == decision


def test_what_is_saved_decides_the_same(predictions: Predictions) -> None:
    tuned = tune_decision(predictions, goal="precision", target=0.9)
    again = Decision.from_json(json.loads(json.dumps(tuned.to_json(), allow_nan=False)))
    assert again == tuned.decision
    np.testing.assert_array_equal(
        again.labels(predictions.logits), tuned.decision.labels(predictions.logits)
    )


def test_tuning_helps_on_images_it_has_not_seen(predictions: Predictions) -> None:
    tuned = tune_decision(predictions)
    assert tuned.rates.images == tuned.reliability.images == 600
    assert tuned.rates.tuned.of1 > tuned.rates.fixed.of1
    assert tuned.reliability.after.ece < tuned.reliability.before.ece
    printed = tuned_table(tuned)
    assert f"{100 * tuned.rates.tuned.of1:.2f}" in printed
    assert f"{100 * tuned.reliability.after.ece:.2f}" in printed


def test_a_calibration_that_harms_is_said(predictions: Predictions) -> None:
    tuned = tune_decision(predictions)
    assert "makes the log loss worse" not in tuned_table(tuned)
    check = replace(
        tuned.reliability, before=tuned.reliability.after, after=tuned.reliability.before
    )
    assert "makes the log loss worse" in tuned_table(replace(tuned, reliability=check))


def test_a_rare_class_with_logits_elsewhere_is_still_given() -> None:
    """Weights and margins move the logits of rare classes far below those of the others."""
    rng = np.random.default_rng(0)
    targets = np.zeros((2000, 3), bool)
    for c, positives in enumerate((1000, 300, 8)):
        targets[rng.choice(2000, positives, replace=False), c] = True
    logits = 2 * targets - [1.0, 2.0, 6.0] + rng.normal(0, 0.3, targets.shape)
    data = Predictions(
        np.arange(2000), logits.astype(np.float32), targets, ("a", "b", "c"),
        targets.sum(axis=0), 2000,
    )  # fmt: skip
    tuned = tune_decision(data)
    given = tuned.decision.labels(data.logits)
    assert given.sum(axis=0).tolist() == pytest.approx([1000, 300, 8], abs=3)
    assert tuned.rates.tuned.macro_f1 > tuned.rates.fixed.macro_f1 + 0.2


def test_thresholds_by_class_help_where_classes_differ() -> None:
    rng = np.random.default_rng(3)
    targets = rng.random((2000, 3)) < np.array([0.3, 0.1, 0.05])
    logits = rng.normal(size=(2000, 3)) + 3 * targets + np.array([-4, 0, 3])
    rates = tune_decision(Predictions.from_arrays(logits, targets)).rates
    assert rates.tuned.cf1 > rates.fixed.cf1 + 0.05
    json.dumps(rates.to_json(), allow_nan=False)


def test_the_checks_are_of_halves_tuned_on_the_other_half(predictions: Predictions) -> None:
    """By hand: split, tune on one half, decide the other."""
    tuned = tune_decision(predictions, seed=4)
    half = np.random.default_rng(4).permutation(600) % 2 == 1
    labels = np.zeros((600, 3), bool)
    probabilities = np.zeros((600, 3))
    for inside in (half, ~half):
        other = tune_decision(predictions.take(~inside)).decision
        labels[inside] = other.labels(predictions.logits[inside])
        probabilities[inside] = other.probabilities(predictions.logits[inside])
    assert tuned.rates.tuned == precision_recall_f1(predictions.targets, labels)
    assert tuned.reliability.after == reliability(predictions.targets, probabilities)
    plain = predictions.logits >= 0
    assert tuned.rates.fixed == precision_recall_f1(predictions.targets, plain)


def test_the_table_shows_logits_probabilities_and_never() -> None:
    names = ("cat", "yeti")
    decision = Decision(
        Calibration(names, (2.0, 1.0), (1.0, 0.0), "platt_per_label"),
        Thresholds(names, (-0.5, math.inf), 0.0, "precision", 0.9, 0.0, (3, 50)),
    )
    _, yeti, cat = decision_table(decision).splitlines()
    assert yeti.split() == ["yeti", "50", "never"]
    assert cat.split() == ["cat", "3", "-0.50", "50.00"]  # sigmoid(2 * -0.5 + 1)


def test_what_cannot_be_tuned_is_refused(predictions: Predictions) -> None:
    one = replace(
        predictions,
        image_ids=predictions.image_ids[:1],
        logits=predictions.logits[:1],
        targets=predictions.targets[:1],
    )
    with pytest.raises(DataError, match="at least two images"):
        tune_decision(one)
    with pytest.raises(ConfigError, match="target of precision"):
        tune_decision(predictions, goal="precision", target=2.0)
    with pytest.raises(DataError, match="no better than chance"):
        tune_decision(replace(predictions, logits=-predictions.logits))


@pytest.mark.parametrize("damage", [{}, {"calibration": None, "thresholds": None}, []])
def test_other_json_is_refused(damage: object) -> None:
    with pytest.raises(DataError):
        Decision.from_json(damage)  # type: ignore[arg-type]


def test_calibration_and_thresholds_of_different_classes_are_refused() -> None:
    value = Decision(
        Calibration.identity(["a"]), Thresholds(("b",), (0.0,), 0.0, "f_beta", 1.0, 0.0, (1,))
    ).to_json()
    with pytest.raises(DataError, match="different classes"):
        Decision.from_json(value)


def test_a_recall_of_all_finds_the_lowest_positive() -> None:
    """The threshold is then its own logit, and must not be rounded above it."""
    rng = np.random.default_rng(292)
    targets = rng.random((30, 1)) < 0.4
    logits = rng.normal(size=(30, 1)).astype(np.float32)
    targets[logits.argmin()] = True
    p = Predictions.from_arrays(logits, targets)
    tuned = tune_decision(p, goal="recall", target=1.0, shrinkage=0)
    assert tuned.decision.labels(logits)[targets].all()
