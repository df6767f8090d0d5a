"""Pickled dictionaries of arrays, as CIFAR's Python archives hold them, read without unpickling.

A pickle may name any function and have it called. Here nothing that it names is ever imported: the
few names that pickles of arrays hold stand for the small classes below, which check what they are
given, and every other name is refused. NumPy's own unpickling is not used either, since it trusts
the description of a data type.
"""

from __future__ import annotations

import io
import pickle
import re
from typing import Any

import numpy as np

from mlt.errors import DataError

__all__ = ["read_pickled_arrays"]

_NUMBERS = re.compile(r"b1|[iu][1248]|f[248]")


def read_pickled_arrays(content: bytes, source: str) -> dict[str, Any]:
    """Read a pickled dictionary whose values are arrays, lists, numbers and texts.

    Args:
        content: The pickle, of any protocol, by Python 2 or 3.
        source: What to call it in messages.

    Returns:
        The dictionary, with keys as text. Arrays are read-only; texts of Python 2 are bytes.

    Raises:
        DataError: If it is not a pickle, is cut off, names anything but arrays of numbers, or holds
            something other than a dictionary.

    Example:
        >>> content = pickle.dumps({b"data": np.arange(3), b"labels": [1, 0]}, protocol=2)
        >>> read_pickled_arrays(content, "batch")
        {'data': array([0, 1, 2]), 'labels': [1, 0]}
        >>> read_pickled_arrays(pickle.dumps(print), "batch")
        Traceback (most recent call last):
        ...
        mlt.errors.DataError: batch is not read: it is a pickle that asks for builtins.print, and only arrays of numbers, texts, lists and dictionaries are taken from pickles
    """  # noqa: E501
    try:
        loaded = _Unpickler(io.BytesIO(content), encoding="bytes").load()
        if not isinstance(loaded, dict):
            raise DataError(f"{source} is a pickled {type(loaded).__name__}, not a dictionary")
        return {
            key.decode() if isinstance(key, bytes) else str(key): (
                value.array if isinstance(value, _Array) else value
            )
            for key, value in loaded.items()
        }
    except _RefusedError as error:
        raise DataError(
            f"{source} is not read: it is a pickle that asks for {error}, and only arrays of "
            "numbers, texts, lists and dictionaries are taken from pickles"
        ) from None
    except DataError:
        raise
    except Exception as error:  # Damage makes pickle raise nearly everything.
        raise DataError(
            f"{source} is not a pickled dictionary of arrays, or is damaged "
            f"({str(error) or type(error).__name__}); fetch it again"
        ) from error


class _RefusedError(Exception):
    pass


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """What stands for a name; never what the name is of."""
        try:
            return _STAND_INS[module.replace("numpy._core", "numpy.core"), name]
        except KeyError:
            raise _RefusedError(f"{module}.{name}") from None

    def persistent_load(self, _: Any) -> Any:
        raise _RefusedError("an object outside of it")


class _DataType:
    """``numpy.dtype``: booleans, whole numbers and fractions of one machine word at most."""

    def __init__(self, code: bytes | str, *_: Any) -> None:
        text = code.decode() if isinstance(code, bytes) else str(code)
        if not _NUMBERS.fullmatch(text):
            raise _RefusedError(f"an array of the type {text!r}")
        self.dtype = np.dtype(text)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order = state[1].decode() if isinstance(state[1], bytes) else state[1]
        self.dtype = self.dtype.newbyteorder(">" if order == ">" else "<")


class _Array:
    """``numpy.core.multiarray._reconstruct``: an empty array, which then gets its content."""

    array: np.ndarray

    def __init__(self, *_: Any) -> None:
        pass

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, is_fortran, content = state
        self.array = _checked(content, kind, shape, "F" if is_fortran else "C")

    @classmethod
    def from_buffer(cls, content: Any, kind: Any, shape: Any, order: Any) -> _Array:
        """``numpy.core.numeric._frombuffer``: an array of its content."""
        read = cls()
        read.array = _checked(content, kind, shape, order)
        return read


def _checked(content: Any, kind: Any, shape: Any, order: str) -> np.ndarray:
    if not isinstance(kind, _DataType) or not isinstance(content, (bytes, bytearray)):
        raise _RefusedError("an array whose content is not numbers")
    # reshape refuses another number of elements, and so any shape that the content does not fill.
    numbers = np.frombuffer(bytes(content), kind.dtype)
    return numbers.reshape(tuple(shape), order="F" if order == "F" else "C")


class _Bytes:
    @classmethod
    def encode(cls, text: str, encoding: str) -> bytes:
        """``_codecs.encode``: how Python 3 writes bytes for Python 2."""
        if encoding != "latin1":
            raise _RefusedError(f"the encoding {encoding!r}")
        return str.encode(text, "latin1")

    @classmethod
    def empty(cls) -> bytes:
        """``bytes``: how Python 3 writes no bytes for Python 2."""
        return b""


# Bound methods and classes that define __setstate__: nothing that a pickle could set attributes of.
_STAND_INS: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): _DataType,
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy.core.numeric", "_frombuffer"): _Array.from_buffer,
    ("_codecs", "encode"): _Bytes.encode,
    ("__builtin__", "bytes"): _Bytes.empty,
}
