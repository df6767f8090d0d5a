"""StringColumn against a plain list of strings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlt.data.strings import StringColumn, ragged_positions
from mlt.errors import DataError

strings = st.lists(st.text(st.characters(exclude_categories=()), max_size=20), max_size=30)


@given(strings)
def test_behaves_like_a_list(values: list[str]) -> None:
    column = StringColumn.from_iterable(values)
    assert list(column) == values
    assert [column[i] for i in range(len(column))] == values
    assert list(column[::-2]) == values[::-2]
    assert column == StringColumn(column.data, column.offsets)
    assert column.positions(values).tolist() == [values.index(v) for v in values]
    assert set(column.duplicates()) == {v for v in values if values.count(v) > 1}


@given(strings, st.data())
def test_take_and_positions(values: list[str], data: st.DataObject) -> None:
    column = StringColumn.from_iterable(iter(values))
    if values:
        rows = data.draw(st.lists(st.integers(-len(values), len(values) - 1)))
        assert list(column.take(rows)) == [values[r] for r in rows]
    wanted = data.draw(strings)
    expected = [values.index(w) if w in values else -1 for w in wanted]
    assert column.positions(wanted).tolist() == expected


def test_many_rows_cross_chunks() -> None:
    values = [f"train/{i:x}.jpg" for i in range(70_000)]
    column = StringColumn.from_iterable(values)
    assert list(column) == values
    assert column[65_536] == values[65_536]
    assert list(column[np.arange(70_000) % 2 == 1]) == values[1::2]
    assert column.positions(reversed(values)).tolist() == list(range(70_000))[::-1]
    assert column.duplicates() == []
    assert column.take([*range(70_000), 5]).duplicates() == [values[5]]
    assert column.offsets.dtype == np.uint32


def test_hashes_do_not_read_the_neighbour() -> None:
    # The same string must hash alike whatever follows it.
    first = StringColumn.from_iterable(["abc", "x", "abc", "yyyyyyyyyyyy", "abc"])
    assert first.duplicates() == ["abc"]
    assert first.positions(["abc"]).tolist() == [0]


def test_is_immutable() -> None:
    column = StringColumn.from_iterable(["a"])
    with pytest.raises(ValueError, match="read-only"):
        column.data[0] = 0
    with pytest.raises(TypeError):
        hash(column)


@pytest.mark.parametrize("index", [3, -4])
def test_out_of_range(index: int) -> None:
    column = StringColumn.from_iterable(["a", "b", "c"])
    with pytest.raises(IndexError):
        column[index]
    with pytest.raises(IndexError):
        column.take([index])


@pytest.mark.parametrize(
    ("data", "offsets"),
    [
        (b"abc", [0, 2]),  # does not end at the last byte
        (b"abc", [1, 3]),  # does not start at 0
        (b"abc", [0, 2, 1, 3]),  # falls
        (b"abc", []),  # no offsets at all
        (b"\xff\xff", [0, 2]),  # not UTF-8
        ("ü".encode(), [0, 1, 2]),  # cuts a character in two
    ],
)
def test_refuses_broken_arrays(data: bytes, offsets: list[int]) -> None:
    with pytest.raises(DataError):
        StringColumn(np.frombuffer(data, np.uint8), np.array(offsets, np.int64))


def test_ragged_positions_of_nothing() -> None:
    empty = np.empty(0, np.int64)
    assert ragged_positions(empty, empty).tolist() == []
    assert ragged_positions(np.array([4, 4]), np.array([0, 1])).tolist() == [4]
