"""Means of predictions, held against sigmoids and logits averaged by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mlt.errors import ConfigError, DataError
from mlt.metrics import mean_predictions
from mlt.predictions import Predictions


@pytest.fixture
def first() -> Predictions:
    known = np.array([[True, True, False], [True, True, True]])
    made = Predictions.from_arrays(
        [[1.0, -2.0, 0.0], [3.0, 0.5, -1.0]],
        [[1, 0, 0], [0, 1, 1]],
        image_ids=["a", "b"],
        class_names=["x", "y", "z"],
        class_counts=[5, 3, 1],
        num_train_images=6,
        known=known,
    )
    return replace(made, model="one")


def turned(first: Predictions, logits: list[list[float]]) -> Predictions:
    """Other logits, with images from last to first and classes likewise."""
    return replace(
        first,
        image_ids=first.image_ids[::-1],
        class_names=first.class_names[::-1],
        logits=np.array(logits, np.float32)[::-1, ::-1],
        targets=first.targets[::-1, ::-1],
        class_counts=first.class_counts[::-1],
        known=first.known[::-1, ::-1],
        model="two",
    )


def test_images_and_classes_are_aligned_by_name(first: Predictions) -> None:
    other = [[-1.0, 4.0, 2.0], [0.0, 0.0, 5.0]]
    second = turned(first, other)
    mean = mean_predictions([first, second], "logits")
    np.testing.assert_allclose(mean.logits, (first.logits + np.array(other)) / 2, rtol=1e-6)
    assert mean.class_names == ("x", "y", "z")
    np.testing.assert_array_equal(mean.targets, first.targets)
    np.testing.assert_array_equal(mean.known, first.known)
    np.testing.assert_array_equal(mean.class_counts, [5, 3, 1])

    def sigmoid(values: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-values.astype(np.float64)))

    mean = mean_predictions([first, second], "probabilities")
    expected = (sigmoid(first.logits) + sigmoid(np.array(other))) / 2
    np.testing.assert_allclose(sigmoid(mean.logits), expected, rtol=1e-6)


def test_extreme_logits_keep_their_order(first: Predictions) -> None:
    sure = replace(first, logits=np.array([[80.0, -80, 0], [90, -90, 0]], np.float32))
    mean = mean_predictions([sure, sure], "probabilities")
    np.testing.assert_allclose(mean.logits, sure.logits, rtol=1e-6)


def test_the_digest_tells_ensembles_apart(first: Predictions) -> None:
    second = turned(first, [[0.0] * 3] * 2)
    digest = mean_predictions([first, second], "logits").model
    assert digest not in ("", "one", "two")
    assert mean_predictions([second, first], "logits").model == digest
    assert mean_predictions([second, first], "probabilities").model != digest
    assert mean_predictions([first, replace(second, model="")], "logits").model == ""
    assert mean_predictions([first], "logits") is first


def test_what_does_not_fit_is_refused(first: Predictions) -> None:
    with pytest.raises(DataError, match="no predictions"):
        mean_predictions([], "logits")
    with pytest.raises(DataError, match="'w' is only in one"):
        mean_predictions([first, replace(first, class_names=("w", "y", "z"))], "logits")
    with pytest.raises(DataError, match="different images"):
        mean_predictions([first, first.take(np.array([0]))], "logits")
    with pytest.raises(DataError, match="different targets"):
        mean_predictions([first, replace(first, targets=~first.targets)], "logits")


def test_another_way_to_average_is_refused(first: Predictions) -> None:
    with pytest.raises(ConfigError, match="average must be logits or probabilities, not 'logit'"):
        mean_predictions([first, first], "logit")  # type: ignore[arg-type]
