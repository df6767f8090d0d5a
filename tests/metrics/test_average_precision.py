"""Average precision against scikit-learn and by hand, and the traps others fell into."""

from __future__ import annotations

import importlib
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score

from mlt.errors import DataError
from mlt.metrics import average_precision, micro_average_precision

module = importlib.import_module("mlt.metrics.class_loop")


def by_scikit_learn(
    targets: np.ndarray, scores: np.ndarray, known: np.ndarray | None, weight: np.ndarray
) -> list[float]:
    """``average_precision_score`` of each class; NaN, where it has 0, without a positive image."""
    values = []
    for c in range(targets.shape[1]):
        rows = (weight > 0) & (True if known is None else known[:, c])
        y, s, w = targets[rows, c], scores[rows, c], weight[rows]
        values.append(average_precision_score(y, s, sample_weight=w) if y.any() else np.nan)
    return values


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


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(
    n=st.integers(1, 60),
    dtype=st.sampled_from([np.float32, np.float64, np.int64]),
    levels=st.sampled_from([1, 2, 5, 1000]),  # one level is a constant score
    infinities=st.booleans(),
    prevalence=st.sampled_from(["one", 0.05, 0.5, "all"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_equals_scikit_learn_on_ten_thousand_cases(
    n: int, dtype: type, levels: int, infinities: bool, prevalence: str | float, seed: int
) -> None:
    """A hundred columns a draw: ties, constants, one positive, all positive, infinities."""
    rng = np.random.default_rng(seed)
    shape = (n, 100)
    scores = (rng.integers(0, levels, shape) - levels // 3).astype(dtype)
    if infinities and dtype is not np.int64:
        scores[rng.random(shape) < 0.1] = np.inf
        scores[rng.random(shape) < 0.1] = -np.inf
    if prevalence == "one":
        targets = np.arange(n)[:, None] == rng.integers(0, n, shape[1])
    else:
        targets = rng.random(shape) < (1.0 if prevalence == "all" else prevalence)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = average_precision(targets, scores)
    defined = targets.any(axis=0)
    assert np.isnan(result[~defined]).all()
    if np.count_nonzero(defined) > 1:
        ranks = rankdata(scores[:, defined], method="dense", axis=0)  # for it refuses infinities
        expected = average_precision_score(targets[:, defined], ranks, average=None)
        np.testing.assert_allclose(result[defined], expected, rtol=0, atol=1e-12)


@settings(max_examples=60, deadline=None)
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


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 40),
    levels=st.integers(1, 50),
    masked=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_weights_equal_those_of_scikit_learn(n: int, levels: int, masked: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    targets, scores = rng.random((n, 10)) < 0.3, rng.integers(0, levels, (n, 10))
    weight = rng.exponential(size=n) * (rng.random(n) < 0.8)
    known = rng.random((n, 10)) < 0.7 if masked else None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = average_precision(targets, scores, known, weight)
    reference = by_scikit_learn(targets, scores, known, weight)
    np.testing.assert_allclose(result, reference, rtol=0, atol=1e-12)


def test_threads_and_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    targets, scores = rng.random((500, 37)) < 0.1, rng.normal(size=(500, 37))
    alone = average_precision(targets, scores, threads=1)
    monkeypatch.setattr(module, "_BLOCK", 1100)
    np.testing.assert_array_equal(average_precision(targets, scores, threads=3), alone)
    with pytest.raises(DataError, match="threads must be at least 1"):
        average_precision(targets, scores, threads=0)


def test_layout_and_type_of_the_arrays_change_nothing() -> None:
    rng = np.random.default_rng(3)
    targets, scores = rng.random((80, 4)) < 0.3, rng.normal(size=(80, 4)).astype(np.float16)
    expected = average_precision(targets, scores)
    for t, s in (
        (targets.astype(int), np.asfortranarray(scores)),
        (targets.astype(float), scores.astype(float)),
        (np.asfortranarray(targets), scores[::-1][::-1]),
    ):
        np.testing.assert_array_equal(average_precision(t, s), expected)


def test_micro_average_ranks_all_pairs_together() -> None:
    rng = np.random.default_rng(4)
    targets, scores = rng.random((60, 5)) < 0.3, rng.integers(0, 9, (60, 5))
    known = rng.random((60, 5)) < 0.8
    assert micro_average_precision(targets, scores) == pytest.approx(
        average_precision_score(targets, scores, average="micro"), abs=1e-12
    )
    assert micro_average_precision(targets, scores, known) == pytest.approx(
        average_precision_score(targets[known], scores[known]), abs=1e-12
    )
    assert np.isnan(micro_average_precision(np.zeros((2, 2)), np.zeros((2, 2))))


def test_ties_do_not_depend_on_the_order_of_the_images() -> None:
    """A peer that breaks ties by position gives .307 or 1.0 here; the truth is .5."""
    targets = np.repeat([True, False], 5)[:, None]
    for order in (targets, targets[::-1], np.roll(targets, 2, axis=0)):
        assert average_precision(order, np.zeros((10, 1)))[0] == 0.5


def test_a_batch_that_looks_like_probabilities_is_still_logits() -> None:
    """A peer that decides batch by batch what it is given says .583 here."""
    first, second = np.array([[0.9], [0.3]]), np.array([[2.0], [-3.0], [0.5]])
    scores = np.concatenate([first, second])
    targets = np.array([[True], [False], [False], [False], [True]])
    expected = average_precision_score(targets[:, 0], scores[:, 0])
    assert average_precision(targets, scores)[0] == pytest.approx(expected, abs=1e-12)


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


def test_what_a_masked_array_hides_is_not_counted() -> None:
    targets = np.ma.masked_array([[1], [0], [1]], mask=[[0], [0], [1]])
    scores = [[0.3], [2.0], [1.0]]
    with pytest.raises(DataError, match=r"masked array that hides 1 of its 3 values.*known=~array"):
        average_precision(targets, scores)
    with pytest.raises(DataError, match="masked array"):
        average_precision(targets.data, np.ma.masked_invalid([[0.3], [np.nan], [1.0]]))
    known = average_precision(targets.filled(0), scores, known=~targets.mask)
    assert known.tolist() == [0.5]
    assert average_precision(np.ma.masked_array(targets.data), scores).tolist() != [0.5]
