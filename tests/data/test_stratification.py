"""Iterative stratification: every image once, every class in its share, groups whole."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from mlt.data.sparse import csr_from_lists
from mlt.data.splits.stratification import part_sizes, stratify
from mlt.errors import ConfigError

FRACTIONS = st.lists(st.integers(1, 9), min_size=2, max_size=5).map(
    lambda parts: [part / sum(parts) for part in parts]
)


@st.composite
def tables(draw: st.DrawFn) -> csr_array:
    """Up to 60 images of up to 6 classes."""
    num_classes = draw(st.integers(1, 6))
    row = st.lists(st.integers(0, num_classes - 1), max_size=4, unique=True)
    rows = draw(st.lists(row, min_size=10, max_size=60))
    return csr_from_lists(rows, (len(rows), num_classes))


def counts_of(labels: csr_array, parts: np.ndarray, k: int) -> np.ndarray:
    """Images of each class in each part: (k, C)."""
    return np.stack([np.asarray(labels[parts == part].sum(axis=0)) for part in range(k)])


@given(tables(), FRACTIONS, st.sampled_from([1, 2]), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_sizes_are_those_asked_for(
    labels: csr_array, fractions: list[float], order: int, seed: int
) -> None:
    parts = stratify(labels, fractions, order=order, seed=seed)
    sizes = np.bincount(parts, minlength=len(fractions))
    assert parts.shape == (labels.shape[0],)
    assert (np.abs(sizes - np.array(fractions) * labels.shape[0]) < 1).all()
    np.testing.assert_array_equal(parts, stratify(labels, fractions, order=order, seed=seed))


@given(st.lists(st.integers(0, 12), min_size=1, max_size=5), FRACTIONS, st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_a_class_with_enough_images_is_in_every_part(
    counts: list[int], fractions: list[float], seed: int
) -> None:
    # One label an image, and enough images without any that the sizes can be met.
    rows: list[list[int]] = [[c] for c, n in enumerate(counts) for _ in range(n)] + [[]] * 100
    labels = csr_from_lists(rows, (len(rows), len(counts)))
    found = counts_of(labels, stratify(labels, fractions, seed=seed), len(fractions))
    room = np.array(fractions) * len(rows) >= len(counts) + 1
    for c, n in enumerate(counts):
        if n >= len(fractions):
            assert (found[room, c] >= 1).all()


@given(tables(), FRACTIONS, st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_groups_are_not_torn(labels: csr_array, fractions: list[float], seed: int) -> None:
    groups = np.random.default_rng(seed).integers(0, 12, labels.shape[0])
    parts = stratify(labels, fractions, groups=groups, seed=seed)
    assert all(len(set(parts[groups == group])) == 1 for group in set(groups.tolist()))


@given(tables(), st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_the_labels_of_the_parts_do_not_depend_on_the_order_of_the_rows(
    labels: csr_array, seed: int
) -> None:
    fractions = [0.6, 0.3, 0.1]
    order = np.random.default_rng(seed).permutation(labels.shape[0])
    shuffled = csr_array(labels[order])
    np.testing.assert_array_equal(
        counts_of(labels, stratify(labels, fractions), 3),
        counts_of(shuffled, stratify(shuffled, fractions), 3),
    )


def test_no_class_is_missing_that_no_cut_at_all_can_have() -> None:
    """Against all cuts in two halves of tables of eight images."""
    rng = np.random.default_rng(0)
    halves = np.array([cut for cut in product([0, 1], repeat=8) if sum(cut) == 4])
    for _ in range(40):
        labels = csr_array(rng.random((8, 5)) < 0.35)
        dense = labels.toarray().astype(int)
        enough = dense.sum(axis=0) >= 2
        missing = [
            sum(((dense[cut == part].sum(axis=0) == 0) & enough).sum() for part in (0, 1))
            for cut in halves
        ]
        found = counts_of(labels, stratify(labels, [0.5, 0.5]), 2)
        assert ((found == 0) & enough).sum() == min(missing)


def test_one_image_of_a_class_is_trained_on() -> None:
    labels = csr_from_lists([[0], [1], [1], *[[]] * 17], (20, 2))
    counts = counts_of(labels, stratify(labels, [0.7, 0.1, 0.2]), 3)
    assert counts.tolist() == [[1, 1], [0, 0], [0, 1]]


def test_classes_are_in_proportion(published_labels: Callable[[str], dict[str, list[int]]]) -> None:
    rows = list(published_labels("voc2012_trainval_labels").values())
    labels = csr_from_lists(rows, (len(rows), 20))
    counts = counts_of(labels, stratify(labels, [0.7, 0.1, 0.2]), 3)
    wanted = np.outer([0.7, 0.1, 0.2], counts.sum(axis=0))
    assert np.abs(counts - wanted).max() < 2


def test_the_second_order_balances_pairs() -> None:
    rng = np.random.default_rng(0)
    labels = csr_array(rng.random((400, 8)) < 0.3)
    pairs = [(a, b) for a in range(8) for b in range(a)]

    def mean_difference(order: int) -> float:
        parts = stratify(labels, [0.5, 0.5], order=order)
        dense = labels.toarray()
        both = [np.bincount(parts[dense[:, a] & dense[:, b]], minlength=2) for a, b in pairs]
        return float(np.abs(np.diff(both, axis=1)).mean())

    assert mean_difference(2) < 0.7 * mean_difference(1)


def test_the_cut_stays_what_it_is() -> None:
    """Whoever evaluates with a later version must get the test images of the earlier one."""
    labels = csr_array(np.random.default_rng(0).random((40, 6)) < 0.2)
    parts = stratify(labels, [0.7, 0.1, 0.2])
    assert "".join(map(str, parts.tolist())) == "2000000200102000202100000000012020010020"


def test_groups_of_unequal_size_are_stratified() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(200), rng.integers(1, 9, 200))
    prone = rng.random((200, 4)) < [0.5, 0.3, 0.1, 0.05]
    labels = csr_array(prone[groups] & (rng.random((len(groups), 4)) < 0.6))
    counts = counts_of(labels, stratify(labels, [0.7, 0.1, 0.2], groups=groups), 3)
    assert np.abs(counts - np.outer([0.7, 0.1, 0.2], counts.sum(axis=0))).max() < 2


def test_groups_of_one_image_each_are_as_no_groups() -> None:
    labels = csr_array(np.random.default_rng(0).random((30, 14)) < 0.1)
    parts = stratify(labels, [0.7, 0.1, 0.2], groups=np.arange(30))
    assert np.bincount(parts).tolist() == [21, 3, 6]


@pytest.mark.parametrize("fractions", [[0.5, 0.6], [1.0, 0.0], []])
def test_fractions_that_do_not_add_up_are_refused(fractions: list[float]) -> None:
    with pytest.raises(ConfigError, match="add up to 1"):
        stratify(csr_from_lists([[0], []], (2, 1)), fractions)


def test_an_order_of_three_is_refused() -> None:
    with pytest.raises(ConfigError, match="order"):
        stratify(csr_from_lists([[0], []], (2, 1)), [0.5, 0.5], order=3)


def test_part_sizes() -> None:
    assert part_sizes(11, [0.25] * 4).tolist() == [3, 3, 3, 2]
