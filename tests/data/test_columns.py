"""StringColumn against a plain list of strings, and look-ups in columns of both kinds."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlt.data.columns import (
    Column,
    StringColumn,
    as_column,
    duplicates,
    find_ids,
    integer_column,
    positions,
)
from mlt.data.sparse import ragged_positions
from mlt.errors import DataError

strings = st.lists(st.text(max_size=20), max_size=30)
integers = st.lists(st.integers(-(2**63), 2**63 - 1), max_size=30)


@given(strings)
def test_behaves_like_a_list(values: list[str]) -> None:
    column = StringColumn.from_iterable(iter(values))
    assert list(column) == column.tolist() == values
    assert [column[i] for i in range(len(column))] == values
    assert list(column[::-2]) == values[::-2]
    assert list(column[1:4]) == values[1:4]
    assert column == StringColumn.from_bytes(*column.to_bytes())
    assert column[1:] == StringColumn.from_bytes(*column[1:].to_bytes())
    assert column == pickle.loads(pickle.dumps(column))  # noqa: S301


@given(strings, st.data())
def test_takes_rows(values: list[str], data: st.DataObject) -> None:
    column = StringColumn.from_iterable(values)
    rows = data.draw(st.lists(st.integers(-len(values), len(values) - 1))) if values else []
    assert list(column[np.array(rows, np.int64)]) == [values[r] for r in rows]
    mask = data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values)))
    assert list(column[np.array(mask, bool)]) == [v for v, take in zip(values, mask) if take]


@given(st.one_of(st.tuples(strings, strings), st.tuples(integers, integers)))
def test_positions_and_duplicates(lists: tuple[list, list]) -> None:
    values, wanted = lists
    column: Column = as_column(values)
    sought: Column = as_column([*wanted, *values[:5]])
    if values and wanted:
        expected = [values.index(w) if w in values else -1 for w in sought]
        assert positions(column, sought).tolist() == expected
    seen = dict.fromkeys(values)
    assert duplicates(column) == [v for v in seen if values.count(v) > 1]


def test_many_rows_cross_chunks() -> None:
    values = [f"train/{i:x}.jpg" for i in range(70_000)]
    column = StringColumn.from_iterable(values)
    assert list(column) == values
    assert list(column[np.arange(70_000) % 2 == 1]) == values[1::2]
    assert positions(column, column[::-1]).tolist() == list(range(70_000))[::-1]
    assert duplicates(column) == []
    assert duplicates(column[[*range(70_000), 5]]) == [values[5]]


def test_is_immutable() -> None:
    column = StringColumn.from_iterable(["a"])
    with pytest.raises(TypeError):
        column[0] = "b"  # type: ignore[index]
    with pytest.raises(TypeError):
        hash(column)


@pytest.mark.parametrize("index", [3, -4])
def test_out_of_range(index: int) -> None:
    column = StringColumn.from_iterable(["a", "b", "c"])
    with pytest.raises(IndexError):
        column[index]
    with pytest.raises(IndexError):
        column[[index]]


def test_a_name_that_is_not_unicode_is_named() -> None:
    with pytest.raises(DataError, match=r"'a\\udc80.jpg' is not valid Unicode; rename the file"):
        StringColumn.from_iterable(["b.jpg", "a\udc80.jpg"])


@pytest.mark.parametrize(
    ("data", "offsets"),
    [
        (b"abc", [0, 4]),  # ends after the last byte
        (b"abc", [0, 2, 1, 3]),  # falls
        (b"abc", []),  # no offsets at all
        (b"\xff\xff", [0, 2]),  # not UTF-8
        ("ü".encode(), [0, 1, 2]),  # cuts a character in two
    ],
)
def test_refuses_broken_arrays(data: bytes, offsets: list[int]) -> None:
    with pytest.raises(DataError):
        StringColumn.from_bytes(np.frombuffer(data, np.uint8), np.array(offsets, np.int64))


def test_integers_that_do_not_fit_are_refused() -> None:
    ids = np.array([2**63 + 1, 5], np.uint64)
    for take in (integer_column, lambda wanted: find_ids(np.array([1, 5]), wanted)):
        with pytest.raises(DataError, match=r"9223372036854775809 is too large.*as strings"):
            take(ids)
    with pytest.raises(DataError, match="array of integers"):
        find_ids(np.array([1, 5]), [2**63 + 1, 5])
    assert integer_column(np.array([2**63 - 1], np.uint64)).tolist() == [2**63 - 1]


def test_ragged_positions_of_nothing() -> None:
    empty = np.empty(0, np.int64)
    assert ragged_positions(empty, empty).tolist() == []
    assert ragged_positions(np.array([4, 4]), np.array([0, 1])).tolist() == [4]
