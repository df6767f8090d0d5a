"""Average precision against scikit-learn and by hand."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import average_precision_score

from mlt.errors import DataError
from mlt.metrics import average_precision


@pytest.mark.parametrize(
    ("targets", "scores", "expected"),
    [
        ([1, 0, 1, 0], [4, 3, 2, 1], (1 + 2 / 3) / 2),  # ranks 1 and 3
        ([1, 0, 0, 0], [1, 1, 1, 1], 1 / 4),  # all tied: the prevalence, whatever the order
        ([0, 0, 0, 1], [1, 1, 1, 1], 1 / 4),
        ([1, 1, 0, 0], [1, 1, 1, 1], 1 / 2),
        ([1, 1, 1], [3, 1, 2], 1.0),  # all positive
        ([0, 1], [np.inf, -np.inf], 1 / 2),  # infinities are ranks like any other
        ([1, 0], [np.inf, 1e30], 1.0),
        ([1], [0.3], 1.0),  # one image
        ([0, 0], [1, 2], np.nan),  # no positive: undefined, not 0
    ],
)
def test_by_hand(targets: list[int], scores: list[float], expected: float) -> None:
    result = average_precision(np.array(targets)[:, None], np.array(scores, float)[:, None])
    np.testing.assert_allclose(result, [expected], rtol=1e-12)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), dtype=st.sampled_from([np.float16, np.float32, np.float64]))
def test_equals_scikit_learn(data: st.DataObject, dtype: type) -> None:
    shape = data.draw(st.tuples(st.integers(1, 30), st.integers(1, 4)))
    targets = data.draw(hnp.arrays(bool, shape))
    # Few distinct values make many ties.
    scores = data.draw(hnp.arrays(dtype, shape, elements=st.integers(-5, 5).map(float)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = average_precision(targets, scores)
    for c in range(shape[1]):
        if targets[:, c].any():
            oracle = average_precision_score(targets[:, c], scores[:, c].astype(float))
            assert result[c] == pytest.approx(oracle, abs=1e-12)
        else:
            assert np.isnan(result[c])


def test_an_unknown_label_is_as_if_the_image_were_not_there() -> None:
    rng = np.random.default_rng(0)
    targets, scores = rng.random((40, 3)) < 0.4, rng.normal(size=(40, 3))
    known = rng.random((40, 3)) < 0.7
    result = average_precision(targets, scores, known)
    for c in range(3):
        rows = known[:, c]
        assert result[c] == pytest.approx(
            average_precision_score(targets[rows, c], scores[rows, c]), abs=1e-12
        )


def test_a_weight_of_two_is_an_image_twice() -> None:
    rng = np.random.default_rng(1)
    targets, scores = rng.random((20, 2)) < 0.5, rng.normal(size=(20, 2))
    weight = rng.integers(0, 3, 20)
    rows = np.repeat(np.arange(20), weight)
    np.testing.assert_allclose(
        average_precision(targets, scores, sample_weight=weight),
        average_precision(targets[rows], scores[rows]),
        rtol=1e-12,
    )


def test_low_precision_sigmoids_would_collapse_what_logits_keep_apart() -> None:
    """Why evaluation ranks by float32 logits: saturated scores tie, logits do not."""
    logits = np.linspace(10, 30, 100, dtype=np.float32)[:, None]
    targets = np.zeros((100, 1), bool)
    targets[-1] = True
    assert average_precision(targets, logits)[0] == 1.0
    collapsed = (1 / (1 + np.exp(-logits))).astype(np.float16)
    assert average_precision(targets, collapsed)[0] < 0.1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[1, 0]], [[0.1]]), "must both be"),
        (([1, 0], [0.1, 0.2]), "must both be"),
        (([[1]], [[np.nan]]), "NaN, first at image 0, class 0"),
        (([[0.5]], [[0.1]]), "0 or 1; got 0.5"),
        (([[1]], [[0.1]], [[True, True]]), "known must be"),
        (([[1]], [[0.1]], None, [1, 2]), "sample_weight must be"),
        (([[1]], [[0.1]], None, [-1]), "not negative"),
    ],
)
def test_bad_input_is_refused(arguments: tuple, message: str) -> None:
    with pytest.raises(DataError, match=message):
        average_precision(*arguments)


def test_what_is_unknown_need_not_be_a_label() -> None:
    """Uncertain entries may hold anything, such as -1, where `known` says they are not known."""
    result = average_precision([[1], [-1], [0]], [[3], [2], [1]], [[True], [False], [True]])
    assert result[0] == 1.0
