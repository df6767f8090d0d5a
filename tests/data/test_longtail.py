"""The Pareto recipe: scipy as oracle, the published list, and the laws of the selection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.sparse import csr_array
from scipy.stats import pareto

from mlt.data import LabelTable
from mlt.data.published import VOC_CLASSES
from mlt.data.splits.longtail import class_order, pareto_profile, select_pareto, select_published
from mlt.errors import ConfigError


@pytest.mark.parametrize("num_classes", [1, 2, 20, 80, 1000])
@pytest.mark.parametrize("b", [0.5, 1, 6, 10])
@pytest.mark.parametrize(("largest", "smallest"), [(800, 1), (1200, 1), (100, 20), (5, 5), (0, 0)])
def test_profile_equals_scipy(num_classes: int, b: float, largest: int, smallest: int) -> None:
    x = np.linspace(pareto.ppf(0, b), pareto.ppf(0.99, b), num_classes)
    expected = (pareto.pdf(x, b) * (largest - smallest) / b + smallest).astype(int)
    profile = pareto_profile(num_classes, b, largest, smallest)
    assert profile.dtype == np.int64
    assert profile.tolist() == expected.tolist()
    assert profile[0] == largest and bool(np.all(np.diff(profile) <= 0))


@pytest.mark.parametrize("bad", [(0, 6, 10, 1), (5, 0, 10, 1), (5, 6, 1, 10), (5, 6, 10, -1)])
def test_impossible_profiles(bad: Any) -> None:
    with pytest.raises(ConfigError, match="needs at least one class, b > 0 and 0 <= min <= max"):
        pareto_profile(*bad)


def table_of(labels: np.ndarray) -> LabelTable:
    rows = range(len(labels))
    names = [f"class {c}" for c in range(labels.shape[1])]
    indices = [np.flatnonzero(row).tolist() for row in labels]
    return LabelTable.from_lists(rows, map(str, rows), names, indices)


# Integers 0 or 1 with at least one label in each row.
labelled = arrays(bool, st.tuples(st.integers(1, 30), st.integers(1, 6))).map(
    lambda a: np.concatenate([a[:, :1] | ~a.any(axis=1, keepdims=True), a[:, 1:]], axis=1)
)


@given(labelled)
def test_order_equals_the_dense_formula(labels: np.ndarray) -> None:
    pairs = labels.T.astype(int) @ labels.astype(int)
    occurs = np.diag(pairs) > 0
    conditional = np.zeros(pairs.shape)
    conditional[occurs] = pairs[occurs] / np.diag(pairs)[occurs, None]
    score = conditional.sum(axis=0)
    order = class_order(table_of(labels))
    assert sorted(order.tolist()) == list(range(labels.shape[1]))
    assert np.array_equal(order, np.argsort(-score, kind="stable"))


@given(labelled, st.integers(0, 10), st.integers(0, 2), st.integers(0, 3), st.sampled_from([1, 6]))
def test_laws_of_the_selection(
    labels: np.ndarray, largest: int, smallest: int, seed: int, b: float
) -> None:
    order = class_order(table_of(labels))
    profile = pareto_profile(labels.shape[1], b, largest + smallest, smallest)
    rows = select_pareto(csr_array(labels), order, profile, seed)
    # Distinct rows, ascending, the same every time, whatever the type of the labels.
    assert rows.tolist() == sorted(set(rows.tolist()))
    assert np.array_equal(rows, select_pareto(csr_array(labels), order, profile, seed))
    assert np.array_equal(
        rows, select_pareto(csr_array(labels.astype(float)), order, profile, seed)
    )
    # A class that has an image keeps one.
    assert np.array_equal(labels[rows].any(axis=0), labels.any(axis=0))
    published = select_published(csr_array(labels), order, profile, seed)
    assert len(set(published.tolist())) == len(published)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.integers(0, 20))
def test_single_labels_follow_the_profile_exactly(classes: list[int], largest: int) -> None:
    # Without co-occurrence nothing disturbs the targets: min(target, available), at least one.
    labels = np.eye(4, dtype=bool)[classes]
    order = class_order(table_of(labels))
    profile = pareto_profile(4, 6, largest, 0)
    available = labels.sum(axis=0)[order]
    counts = labels[select_pareto(csr_array(labels), order, profile)].sum(axis=0)[order]
    assert counts.tolist() == np.maximum(np.minimum(profile, available), available > 0).tolist()
    counts = labels[select_published(csr_array(labels), order, profile)].sum(axis=0)[order]
    assert counts.tolist() == np.minimum(profile, available).tolist()


def test_unlabelled_images_are_never_selected() -> None:
    labels = csr_array(np.array([[0, 0], [1, 0], [0, 0], [0, 1]], bool))
    order, profile = np.array([0, 1]), np.array([5, 5])
    assert select_pareto(labels, order, profile).tolist() == [1, 3]
    assert sorted(select_published(labels, order, profile).tolist()) == [1, 3]


def test_a_class_that_lost_its_last_image_gets_one_back() -> None:
    # Both classes share their images. The second wants none, so it removes all of the first.
    labels = csr_array(np.ones((5, 2), bool))
    order, profile = np.array([0, 1]), np.array([3, 0])
    assert len(select_published(labels, order, profile)) == 0
    assert len(select_pareto(labels, order, profile)) == 1


Labels = Callable[[str], dict[str, list[int]]]


@pytest.fixture(scope="module")
def voc_table(published_labels: Labels) -> LabelTable:
    labels = published_labels("voc2012_trainval_labels")
    return LabelTable.from_lists(list(labels), list(labels), VOC_CLASSES, list(labels.values()))


def test_voc_mlt_comes_out_bit_for_bit(voc_table: LabelTable, published_labels: Labels) -> None:
    published = list(published_labels("voc_mlt_train_ids"))
    profile = pareto_profile(20, b=6, max=800, min=1)
    order = class_order(voc_table)
    rows = select_published(voc_table.labels, order, profile)
    assert voc_table.take(rows).image_ids.tolist() == published and len(published) == 1142


def test_the_clean_variant_gives_a_like_split(voc_table: LabelTable) -> None:
    profile = pareto_profile(20, b=6, max=800, min=1)
    rows = select_pareto(voc_table.labels, class_order(voc_table), profile)
    groups = voc_table.take(rows).class_counts().groups
    assert [len(groups[g]) for g in ("head", "medium", "tail")] == [6, 6, 8]
    assert 1000 < len(rows) < 1300
