"""ClassCounts against dense arithmetic, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mlt.class_counts import ClassCounts
from mlt.class_groups import GroupLimits
from mlt.data import LabelTable
from mlt.errors import ConfigError


def table_of(labels: np.ndarray, known: np.ndarray | None = None) -> LabelTable:
    rows = range(len(labels))
    return LabelTable.from_lists(
        list(rows),
        [f"{i}.jpg" for i in rows],
        [f"class {c}" for c in range(labels.shape[1])],
        [np.flatnonzero(row).tolist() for row in labels],
        known_indices=None if known is None else [np.flatnonzero(r).tolist() for r in known],
    )


matrices = arrays(bool, st.tuples(st.integers(0, 12), st.integers(1, 6)))


@given(matrices, st.randoms())
def test_equals_dense_arithmetic(labels: np.ndarray, random: Any) -> None:
    known = labels | (np.array([random.random() for _ in labels.flat]) < 0.5).reshape(labels.shape)
    table = table_of(labels, known)
    stats = table.class_counts(GroupLimits(head=4, tail=2))
    integers = labels.astype(int)
    assert np.array_equal(stats.counts, integers.sum(0))
    assert np.array_equal(stats.known, known.sum(0))
    assert table.cooccurrence().dtype == np.int64
    assert np.array_equal(table.cooccurrence().toarray(), integers.T @ integers)
    assert stats.total == len(labels)
    assert sorted(np.concatenate(list(stats.groups.values()))) == list(range(labels.shape[1]))
    for name, members in stats.groups.items():
        assert all(stats.group_of(c) == name for c in members)


def test_counts_do_not_saturate() -> None:
    # 300 images with both classes: more than 8 bits hold, and a boolean product would say 1.
    table = table_of(np.ones((300, 2), bool))
    assert table.cooccurrence().toarray().tolist() == [[300, 300], [300, 300]]


@pytest.mark.parametrize(
    ("n", "group"),
    [(0, "tail"), (19, "tail"), (20, "medium"), (99, "medium"), (100, "head"), (5000, "head")],
)
def test_published_limits(n: int, group: str) -> None:
    stats = ClassCounts.from_counts([n], num_images=5000)
    assert stats.group_of(0) == group
    assert [k for k, v in stats.groups.items() if len(v)] == [group]


def test_limits() -> None:
    assert GroupLimits().describe() == {
        "head": "100 images or more",
        "medium": "20 to 99 images",
        "tail": "fewer than 20 images",
    }
    equal = ClassCounts.from_counts([9, 10], 20, limits=GroupLimits(10, 10))
    assert {k: v.tolist() for k, v in equal.groups.items()} == {
        "head": [1],
        "medium": [],
        "tail": [0],
    }
    for bad in ((10, 20), (10, -1)):
        with pytest.raises(ConfigError, match="tail <= head"):
            GroupLimits(*bad)


def test_prior() -> None:
    labels = np.array([[1, 0, 0], [0, 0, 0], [1, 0, 0], [0, 1, 0]], bool)
    known = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 0], [1, 1, 0]], bool)
    stats = table_of(labels, known).class_counts()
    # The third class is known nowhere: its prior is 0, without a warning.
    assert stats.prior.tolist() == [0.5, 0.5, 0.0]


@pytest.mark.parametrize(
    ("counts", "num_images", "names", "message"),
    [
        ([5], 4, None, "Class 0 has 5 positives among 4 images"),
        ([5], 4, ["cat"], "Class 'cat' has 5 positives among 4 images"),
        ([-1], 4, ["cat"], "finite and not negative"),
        ([float("nan")], 4, None, "finite and not negative"),
        ([1, 2], 4, ["cat"], "2 class counts but 1 names"),
        ([[1]], 4, None, "one number per class"),
        ([], 4, None, "Class counts are empty; give one number per class"),
        ([1], "4", None, "num_images must be a whole number, not '4'"),
        ([1], 4.5, None, "num_images must be a whole number, not 4.5"),
    ],
)
def test_impossible_counts(counts: Any, num_images: int, names: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ClassCounts.from_counts(counts, num_images, names=names)


def test_from_counts_takes_whole_floats_and_is_frozen() -> None:
    stats = ClassCounts.from_counts(np.array([1.0, 2.0]), 4)
    assert stats.counts.dtype == np.int64 and stats.names == ("0", "1")
    with pytest.raises(ValueError, match="read-only"):
        stats.counts[0] = 3


def test_class_counts_are_taken_where_counts_are() -> None:
    counts = ClassCounts.from_counts([4, 2], 9, names=["cat", "dog"], unit="images")
    assert ClassCounts.from_counts(counts) == counts
    assert ClassCounts.from_counts(counts, 9) == counts
    with pytest.raises(ConfigError, match="taken over 9 images; leave it out"):
        ClassCounts.from_counts(counts, 10)
    without = ClassCounts.from_counts([4, 2])
    assert without.known is None
    assert ClassCounts.from_counts(without, 9).prior.tolist() == [4 / 9, 2 / 9]
    with pytest.raises(ConfigError, match="The prior needs num_images"):
        without.prior  # noqa: B018


def test_soft_counts_stay_as_they_are() -> None:
    counts = ClassCounts.from_counts([0.5, 2.25], 4)
    assert counts.counts.tolist() == [0.5, 2.25]
    assert counts.clamped.tolist() == [1, 2.25]


def test_clamped_counts_can_be_divided_by() -> None:
    counts = ClassCounts.from_counts([0, 3, 9], 9)
    assert counts.clamped.tolist() == [1, 3, 8]
    assert np.isfinite(counts.log_odds).all()
    assert counts.log_odds.tolist() == pytest.approx(np.log([1 / 8, 3 / 6, 8 / 1]).tolist())


def test_columns_that_are_not_a_class() -> None:
    counts = ClassCounts.at_columns([40, 7, 3], columns=[1, 2, 4], num_columns=6)
    assert counts.total == 50 and counts.unit == "boxes"
    assert list(counts) == [0, 40, 7, 0, 3, 0]
    assert counts.clamped.tolist() == [7, 40, 7, 7, 3, 7]
    assert repr(counts) == "ClassCounts([-, 40, 7, -, 3, -], total=50, unit='boxes')"


def test_contradictions_are_refused() -> None:
    with pytest.raises(ConfigError, match="Column 0 is not a class but has 3 boxes"):
        ClassCounts.from_counts([3, 1], unit="boxes", is_class=[False, True])
    with pytest.raises(ConfigError, match="as many different labels"):
        ClassCounts.at_columns([1, 2], columns=[1, 1], num_columns=3)
    with pytest.raises(ConfigError, match="head of 2 columns has 0 to 1"):
        ClassCounts.at_columns([1], columns=[2], num_columns=2)
    with pytest.raises(ConfigError, match="None of the columns is a class"):
        ClassCounts.from_counts([0], unit="boxes", is_class=[False])
    with pytest.raises(ConfigError, match="known on 12 of 10 images"):
        ClassCounts.from_counts([3], 10, known=[12])


def test_equality_and_sequence() -> None:
    counts = ClassCounts.from_counts([4, 2, 1], unit="boxes")
    assert counts == ClassCounts.from_counts([4, 2, 1], unit="boxes")
    assert counts != ClassCounts.from_counts([4, 2, 2], unit="boxes")
    assert counts != ClassCounts.from_counts([4, 2, 1])
    flagged = ClassCounts.from_counts([3, 0], is_class=[True, False])
    assert ClassCounts.from_counts([3, 0]) != flagged
    assert counts[1:] == [2, 1] and counts[0] == 4 and len(counts) == 3
    assert np.asarray(counts).tolist() == [4, 2, 1]
