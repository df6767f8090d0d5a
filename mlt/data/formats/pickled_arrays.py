"""Pickled dictionaries of arrays, as CIFAR's Python archives hold them, read without unpickling.

A pickle is a program: it may name any function and have it called. Here the standard library takes
it apart (:func:`pickletools.genops`), and of its instructions only those are followed that make
texts, numbers, lists, tuples, dictionaries and arrays. Nothing that it names is imported; of names,
only the few are known by which NumPy's arrays are written. NumPy's own unpickling is not used
either, since it trusts the description of a data type.
"""

from __future__ import annotations

import pickletools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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
        The dictionary, with keys as text. Arrays are read-only. Texts of Python 2 are texts with a
        character per byte.

    Raises:
        DataError: If it is not a pickle, is cut off, asks for anything but arrays of numbers, or
            holds something other than a dictionary.

    Example:
        >>> import pickle
        >>> content = pickle.dumps({b"data": np.arange(3), b"labels": [1, 0]}, protocol=2)
        >>> read_pickled_arrays(content, "batch")
        {'data': array([0, 1, 2]), 'labels': [1, 0]}
        >>> read_pickled_arrays(pickle.dumps(print), "batch")
        Traceback (most recent call last):
        ...
        mlt.errors.DataError: batch is not read: it is a pickle that asks for builtins.print, and only arrays of numbers, texts, lists and dictionaries are taken from pickles
    """  # noqa: E501
    try:
        read = _followed(content)
        if not isinstance(read, dict):
            raise DataError(f"{source} is a pickled {type(read).__name__}, not a dictionary")
        return {
            key.decode() if isinstance(key, bytes) else str(key): (
                value.content if isinstance(value, _Array) else value
            )
            for key, value in read.items()
        }
    except _RefusedError as error:
        raise DataError(
            f"{source} is not read: it is a pickle that asks for {error}, and only arrays of "
            "numbers, texts, lists and dictionaries are taken from pickles"
        ) from None
    except DataError:
        raise
    except Exception as error:  # Damage raises nearly everything.
        raise DataError(
            f"{source} is not a pickled dictionary of arrays, or is damaged "
            f"({str(error) or type(error).__name__}); fetch it again"
        ) from error


class _RefusedError(Exception):
    pass


@dataclass
class _Array:
    """An array, which is made empty and then given its content."""

    content: np.ndarray | None = None


@dataclass
class _DataType:
    """What the numbers of an array are."""

    numbers: np.dtype[Any]


@dataclass(frozen=True)
class _Function:
    """What a name stands for."""

    call: Callable[..., Any]


_PLAIN = {
    "BINBYTES", "BINBYTES8", "BINFLOAT", "BININT", "BININT1", "BININT2", "BINSTRING", "BINUNICODE",
    "BINUNICODE8", "BYTEARRAY8", "FLOAT", "INT", "LONG", "LONG1", "LONG4", "SHORT_BINBYTES",
    "SHORT_BINSTRING", "SHORT_BINUNICODE", "STRING", "UNICODE",
}  # fmt: skip
"""Instructions that give the number or text in them."""

_CONSTANTS: dict[str, Callable[[], Any]] = {
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "NEWFALSE": lambda: False,
    "NEWTRUE": lambda: True,
    "NONE": lambda: None,
}


def _followed(pickled: bytes) -> Any:
    """What the instructions of a pickle make."""
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[Any, Any] = {}

    def since_mark() -> list[Any]:
        start = marks.pop()
        items = stack[start:]
        del stack[start:]
        return items

    for instruction, argument, _ in pickletools.genops(pickled):
        name = instruction.name
        if name in _PLAIN:
            stack.append(argument)
        elif name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            memo[len(memo) if name == "MEMOIZE" else argument] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name]())
        elif name == "MARK":
            marks.append(len(stack))
        elif name in ("APPEND", "APPENDS"):
            items = since_mark() if name == "APPENDS" else [stack.pop()]
            _of_type(stack[-1], list).extend(items)
        elif name in ("SETITEM", "SETITEMS"):
            items = since_mark() if name == "SETITEMS" else [stack.pop(-2), stack.pop()]
            _of_type(stack[-1], dict).update(_pairs(items))
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            size = int(name[-1])
            stack[-size:] = [tuple(stack[-size:])]
        elif name == "TUPLE":
            stack.append(tuple(since_mark()))
        elif name == "LIST":
            stack.append(since_mark())
        elif name == "DICT":
            items = since_mark()
            stack.append(dict(_pairs(items)))
        elif name == "GLOBAL":
            stack.append(_function(*str(argument).split(" ", 1)))
        elif name == "STACK_GLOBAL":
            stack[-2:] = [_function(*stack[-2:])]
        elif name == "REDUCE":
            arguments = _of_type(stack.pop(), tuple)
            stack.append(_of_type(stack.pop(), _Function).call(*arguments))
        elif name == "BUILD":
            _fill(stack[-2], _of_type(stack.pop(), tuple))
        elif name == "STOP":
            return stack.pop()
        elif name not in ("PROTO", "FRAME"):
            raise _RefusedError(f"the instruction {name}")
    raise ValueError("it is cut off")


def _pairs(items: list[Any]) -> Iterator[tuple[Any, Any]]:
    """Keys and values of a dictionary; the hash of a key must not have to look into it."""
    for key, value in zip(items[::2], items[1::2], strict=True):
        if not isinstance(key, (str, bytes, int)):
            raise _RefusedError(f"a dictionary with a {type(key).__name__} as key")
        yield key, value


def _of_type(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise _RefusedError(f"something to be done to a {type(value).__name__}")
    return value


def _fill(made: Any, state: tuple[Any, ...]) -> None:
    """Give an array its content, or a data type the order of its bytes."""
    if isinstance(made, _Array):
        _, shape, numbers, is_fortran, content = state
        made.content = _array(content, numbers, shape, "F" if is_fortran else "C").content
    else:
        made = _of_type(made, _DataType)
        made.numbers = made.numbers.newbyteorder(">" if _text(state[1]) == ">" else "<")


def _array(content: Any, numbers: Any, shape: Any, order: str) -> _Array:
    """An array of bytes that its data type says how to read."""
    if isinstance(content, str):
        content = content.encode("latin1")
    if not isinstance(numbers, _DataType) or not isinstance(content, (bytes, bytearray)):
        raise _RefusedError("an array whose content is not numbers")
    # reshape refuses another number of elements, and so any shape that the content does not fill.
    flat = np.frombuffer(bytes(content), numbers.numbers)
    return _Array(flat.reshape(tuple(shape), order="F" if order == "F" else "C"))


def _data_type(code: Any, *_: Any) -> _DataType:
    if not isinstance(text := _text(code), str) or not _NUMBERS.fullmatch(text):
        raise _RefusedError(f"an array of the type {text!r}")
    return _DataType(np.dtype(text))


def _encoded(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise _RefusedError(f"the encoding {encoding!r}")
    return text.encode("latin1")


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


_FUNCTIONS = {
    ("numpy", "dtype"): _Function(_data_type),
    ("numpy", "ndarray"): _Function(lambda: _Array()),
    ("numpy.core.multiarray", "_reconstruct"): _Function(lambda *_: _Array()),
    ("numpy.core.numeric", "_frombuffer"): _Function(_array),
    # How Python 3 writes bytes, and no bytes, for Python 2.
    ("_codecs", "encode"): _Function(_encoded),
    ("__builtin__", "bytes"): _Function(lambda: b""),
}
"""The names by which arrays of numbers are written, and what is done in their place."""


def _function(module: str, name: str) -> _Function:
    module = module.replace("numpy._core", "numpy.core")  # what NumPy 2 calls it
    if (module, name) not in _FUNCTIONS:
        raise _RefusedError(f"{module}.{name}")
    return _FUNCTIONS[module, name]
