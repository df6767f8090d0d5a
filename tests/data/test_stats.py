"""ClassStats against dense arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mlt.data import ClassStats, GroupLimits, LabelTable
from mlt.errors import ConfigError, DataError


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
    stats = ClassStats.from_table(table_of(labels, known), GroupLimits(head=4, tail=2))
    integers = labels.astype(int)
    assert np.array_equal(stats.counts, integers.sum(0))
    assert np.array_equal(stats.known_counts, known.sum(0))
    assert stats.cooccurrence is not None and stats.cooccurrence.dtype == np.int64
    assert np.array_equal(stats.cooccurrence.toarray(), integers.T @ integers)
    assert stats.num_images == len(labels)
    assert sorted(np.concatenate(list(stats.groups.values()))) == list(range(labels.shape[1]))
    for name, members in stats.groups.items():
        assert all(stats.group_of(c) == name for c in members)


def test_counts_do_not_saturate() -> None:
    # 300 images with both classes: more than 8 bits hold, and a boolean product would say 1.
    stats = ClassStats.from_table(table_of(np.ones((300, 2), bool)))
    assert stats.cooccurrence is not None
    assert stats.cooccurrence.toarray().tolist() == [[300, 300], [300, 300]]


@pytest.mark.parametrize(
    ("n", "group"),
    [(0, "tail"), (19, "tail"), (20, "medium"), (99, "medium"), (100, "head"), (5000, "head")],
)
def test_published_limits(n: int, group: str) -> None:
    stats = ClassStats.from_counts([n], num_images=5000)
    assert stats.group_of(0) == group
    assert [k for k, v in stats.groups.items() if len(v)] == [group]


def test_limits() -> None:
    assert GroupLimits().describe() == {
        "head": "100 images or more",
        "medium": "20 to 99 images",
        "tail": "fewer than 20 images",
    }
    equal = ClassStats.from_counts([9, 10], 20, limits=GroupLimits(10, 10))
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
    stats = ClassStats.from_table(table_of(labels, known), cooccurrence=False)
    # The third class is known nowhere: its prior is 0, without a warning.
    assert stats.prior.tolist() == [0.5, 0.5, 0.0]
    assert stats.cooccurrence is None


@pytest.mark.parametrize(
    ("counts", "num_images", "names", "message"),
    [
        ([5], 4, None, "class '0' has 5 images"),
        ([-1], 4, ["cat"], "class 'cat' has -1 images"),
        ([1, 2], 4, ["cat"], "1 class names, 2 counts"),
        ([0.5], 4, None, "whole numbers"),
        ([[1]], 4, None, "whole numbers"),
    ],
)
def test_impossible_counts(counts: Any, num_images: int, names: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        ClassStats.from_counts(counts, num_images, names)


def test_from_counts_takes_whole_floats_and_is_frozen() -> None:
    stats = ClassStats.from_counts(np.array([1.0, 2.0]), 4)
    assert stats.counts.dtype == np.int64 and stats.class_names == ("0", "1")
    with pytest.raises(ValueError, match="read-only"):
        stats.counts[0] = 3
