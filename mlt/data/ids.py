"""Image ids: integers in a NumPy array, or strings in a column."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from mlt.data.strings import StringColumn
from mlt.errors import DataError

__all__ = ["check_unique", "find_ids", "id_column", "integer_ids"]

_SHOWN = 5


def id_column(ids: Iterable[int] | Iterable[str]) -> np.ndarray | StringColumn:
    """Integers as an array, strings as a column.

    Raises:
        DataError: If there are both.
    """
    listed: list[Any] = list(ids)
    strings = isinstance(listed[0], str) if listed else False
    if any(isinstance(i, str) != strings for i in listed):
        raise DataError("image ids must be all integers or all strings, got both")
    return StringColumn.from_iterable(listed) if strings else integer_ids(listed)


def integer_ids(ids: Any) -> np.ndarray:
    """``ids`` as a read-only int64 array.

    Raises:
        DataError: If they are not integers in one dimension.
    """
    array = np.asarray(ids) if len(ids) else np.empty(0, np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise DataError(
            f"image ids must be a 1-D array of integers or a StringColumn, "
            f"got a {array.ndim}-D array of {array.dtype}"
        )
    array = array.astype(np.int64).view()
    array.flags.writeable = False
    return array


def check_unique(ids: np.ndarray | StringColumn) -> None:
    """Raise DataError, naming the first few, if an id occurs more than once."""
    if isinstance(ids, StringColumn):
        twice: list[Any] = ids.duplicates()
    else:
        ordered = np.sort(ids)
        twice = np.unique(ordered[1:][ordered[1:] == ordered[:-1]]).tolist()
    if twice:
        shown = ", ".join(repr(i) for i in twice[:_SHOWN])
        raise DataError(f"{len(twice)} image ids occur more than once: {shown}")


def find_ids(ids: np.ndarray | StringColumn, wanted: Iterable[int | str]) -> np.ndarray:
    """The position in ``ids`` of each wanted id; (len(wanted),) int64.

    Raises:
        DataError: If one is absent or of the wrong type; names the first few.
    """
    asked: Any = wanted if isinstance(wanted, (np.ndarray, StringColumn)) else list(wanted)
    if isinstance(ids, StringColumn):
        _check_type(asked, str, "strings")
        rows = ids.positions(asked)
    else:
        _check_type(asked, (int, np.integer), "integers")
        rows = _integer_positions(ids, np.asarray(asked, np.int64))
    missing = np.flatnonzero(rows < 0)
    if len(missing):
        shown = ", ".join(repr(_plain(asked[i])) for i in missing[:_SHOWN])
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        raise DataError(
            f"{len(missing)} of {len(asked)} image ids are not among the {len(ids)} images "
            f"of the table: {shown}{more}; are they of another data set or split?"
        )
    return rows


def _check_type(ids: Any, kind: type | tuple[type, ...], name: str) -> None:
    if isinstance(ids, np.ndarray) and ids.dtype.kind in "iu" and kind is not str:
        return
    wrong = next((i for i in ids if not isinstance(i, kind)), None)
    if wrong is not None:
        raise DataError(
            f"the image ids of this table are {name}, but asked for was "
            f"{_plain(wrong)!r} ({type(_plain(wrong)).__name__})"
        )


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _integer_positions(ids: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    if len(ids) == 0:
        return np.full(len(wanted), -1, np.int64)
    order = np.argsort(ids, kind="stable")
    places = np.minimum(np.searchsorted(ids[order], wanted), len(ids) - 1)
    rows = order[places]
    return np.where(ids[rows] == wanted, rows, -1)
