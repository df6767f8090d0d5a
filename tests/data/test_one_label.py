"""Whether each image of a table has exactly one label, and which."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array

from mlt.data.labels import LabelTable
from mlt.data.one_label import exactly_one_label, true_classes
from mlt.errors import DataError


def table_of(labels: list[list[int]], known: list[list[int]] | None = None) -> LabelTable:
    ids = [f"image-{number}" for number in range(len(labels))]
    return LabelTable.from_lists(ids, ids, ["a", "b", "c"], labels, known_indices=known)


ONE_EACH = [[2], [0], [0], [1]]
ALL_KNOWN = [[0, 1, 2]] * 4


def test_classes_are_those_of_the_rows() -> None:
    table = table_of(ONE_EACH)
    assert exactly_one_label(table)
    assert true_classes(table).tolist() == [2, 0, 0, 1]
    assert true_classes(table).dtype == np.int64
    assert true_classes(table.take([3, 0])).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("labels", "known", "complaint"),
    [
        ([[2], [], [0], [1]], None, "1 of 4 images have another number; image image-1 has 0"),
        ([[2], [0], [0, 1], [0, 1, 2]], None, "2 of 4 images .*; image image-2 has 2"),
        # As many labels as images, but not one each.
        ([[2], [0], [0, 1], []], None, "2 of 4 images .*; image image-2 has 2"),
        (ONE_EACH, [[0, 1, 2], [0, 1, 2], [0], [1]], "of 2 of 4 .* unknown, .* image image-2"),
    ],
)
def test_others_are_refused_by_name(
    labels: list[list[int]], known: list[list[int]] | None, complaint: str
) -> None:
    table = table_of(labels, known)
    assert not exactly_one_label(table)
    with pytest.raises(DataError, match=complaint):
        true_classes(table)


def test_a_mask_that_knows_everything_is_not_in_the_way() -> None:
    assert true_classes(table_of(ONE_EACH, ALL_KNOWN)).tolist() == [2, 0, 0, 1]


@pytest.mark.parametrize(
    ("targets", "one"),
    [
        ([[0, 0, 1], [1, 0, 0]], True),
        ([[0, 0, 0.9], [1, 0, 0]], False),
        ([[0.25, 0, 1], [1, 0, 0]], False),
    ],
)
def test_soft_targets_count_only_where_they_are_one(targets: list[list[float]], one: bool) -> None:
    soft = csr_array(np.array(targets, np.float32))
    table = replace(table_of([[2], [0]]), soft=soft)
    assert exactly_one_label(table) is one
    if not one:
        with pytest.raises(DataError, match="soft"):
            true_classes(table)


def test_no_image_contradicts_nothing() -> None:
    assert true_classes(table_of([])).shape == (0,)
