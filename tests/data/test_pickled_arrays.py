"""Pickles of arrays are read; nothing that a pickle names is ever imported or called."""

from __future__ import annotations

import os
import pickle
import tracemalloc
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlt.data.formats.pickled_arrays import read_pickled_arrays
from mlt.errors import DataError

ARRAYS = {
    "pixels": np.arange(12, dtype=np.uint8).reshape(3, 4),
    "column_order": np.asfortranarray(np.arange(6, dtype=np.int64).reshape(2, 3)),
    "big_endian": np.arange(3, dtype=">i4"),
    "numbers": np.array([0.5, -1], np.float32),
    "flags": np.array([True, False]),
    "empty": np.empty((0, 3), np.uint8),
}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_of_every_protocol(protocol: int, name: str) -> None:
    content = pickle.dumps({name: ARRAYS[name], "labels": [1, 2]}, protocol)
    read = read_pickled_arrays(content, "x")
    assert read["labels"] == [1, 2]
    assert read[name].dtype == ARRAYS[name].dtype
    np.testing.assert_array_equal(read[name], ARRAYS[name])


def test_what_python_2_wrote() -> None:
    """The form of the official files: byte strings as text, and the old names of NumPy's parts."""
    content = (
        b"\x80\x02}q\x01(U\x0bbatch_labelq\x02U\x05batchq\x03U\x06labelsq\x04]q\x05(K\x06K\te"
        b"U\x04dataq\x06cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85"
        b"U\x01b\x87Rq\x09(K\x01K\x02K\x02\x86cnumpy\ndtype\nq\nU\x02u1K\x00K\x01\x87Rq\x0b(K\x03U"
        b"\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x04abcdtbu."
    )
    read = read_pickled_arrays(content, "x")
    assert read["labels"] == [6, 9] and read["batch_label"] == "batch"
    assert read["data"].tolist() == [[97, 98], [99, 100]]


class Call:
    """Pickled as a call of a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.function, self.arguments


@pytest.mark.parametrize("protocol", range(6))
def test_code_is_not_run(tmp_path: Path, protocol: int) -> None:
    mark = tmp_path / "run"
    for call in (Call(os.mkdir, str(mark)), Call(eval, f"open({str(mark)!r}, 'w')")):
        for batch in ({"data": call}, call, [call]):
            content = pickle.dumps(batch, protocol)
            with pytest.raises(DataError, match="asks for"):
                read_pickled_arrays(content, "x")
            assert not mark.exists()
            pickle.loads(content)  # noqa: S301 which does run it
            assert mark.exists()
            mark.rmdir() if mark.is_dir() else mark.unlink()


@pytest.mark.parametrize(
    "value",
    [
        np.array([object()]),
        np.zeros(2, [("a", "O")]),
        np.zeros(2, "V8"),
        np.array(["text"]),
        np.float64(1.5),
        np.random.default_rng(0),
        Path("x"),
        {1}.__class__,
    ],
)
def test_other_objects_are_refused(value: Any) -> None:
    for protocol in (2, 5):
        content = pickle.dumps({"data": value}, protocol)
        with pytest.raises(DataError):
            read_pickled_arrays(content, "x")


def test_arrays_with_another_amount_of_content_are_refused() -> None:
    content = pickle.dumps({"data": np.arange(4, dtype=np.uint8).reshape(2, 2)}, 2)
    assert read_pickled_arrays(content, "x")["data"].shape == (2, 2)
    damaged = content.replace(b"K\x02K\x02\x86", b"K\x7fK\x02\x86")
    assert damaged != content
    with pytest.raises(DataError, match="damaged"):
        read_pickled_arrays(damaged, "x")


def test_memory_is_taken_only_for_what_is_there() -> None:
    """Unpickling would take gigabytes for a place in its memory, or for bytes that do not come."""
    for content in (
        b"\x80\x02}r\x00\x00\x00\x7f.",
        b"\x80\x05}(\x8c\x01a\x96\x00\x00\x00\x00\x10\x00\x00\x00u.",
        b"\x80\x05}(\x8c\x01a\x8e\x00\x00\x00\x00\x10\x00\x00\x00u.",
    ):
        tracemalloc.start()
        with suppress(DataError):
            assert read_pickled_arrays(content, "x") == {}
        assert tracemalloc.get_traced_memory()[1] < 10**6
        tracemalloc.stop()


def test_damage_is_an_error_of_ours() -> None:
    content = pickle.dumps({"data": np.arange(50, dtype=np.uint8), "labels": [1, 2, 3]}, 2)
    rng = np.random.default_rng(0)
    for end in range(len(content)):
        with pytest.raises(DataError):
            read_pickled_arrays(content[:end], "x")
    for _ in range(2000):
        changed = bytearray(content)
        changed[rng.integers(len(content))] = rng.integers(256)
        with suppress(DataError):
            read_pickled_arrays(bytes(changed), "x")


@pytest.mark.parametrize(
    "ending", [b"K\x01s.", b"K\x01u.", b"K\x01d."], ids=["one", "many", "dict"]
)
def test_keys_that_would_have_to_be_looked_into_are_refused(ending: bytes) -> None:
    """The hash of a tuple goes through all that is in it, and a deep one ends the process."""
    begin = {b"s": b"}", b"u": b"}(", b"d": b"("}[ending[-2:-1]]
    content = b"\x80\x02" + begin + b")" + b"\x85" * 200_000 + ending
    with pytest.raises(DataError, match="a dictionary with a tuple as key"):
        read_pickled_arrays(content, "x")
