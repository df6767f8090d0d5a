"""CSR arrays of labels and soft targets: the few things the label table needs of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from mlt.errors import DataError

__all__ = [
    "canonical",
    "canonical_from_parts",
    "canonical_values",
    "column_counts",
    "csr_from_lists",
    "csr_from_pairs",
    "csr_from_runs",
    "dense_rows",
    "dense_values",
    "ragged_positions",
]


def csr_from_runs(indices: np.ndarray, indptr: np.ndarray, columns: int) -> csr_array:
    """Boolean CSR array whose row ``i`` is True at ``indices[indptr[i] : indptr[i + 1]]``."""
    true = np.ones(len(indices), np.bool_)
    return csr_array((true, indices, indptr), shape=(len(indptr) - 1, columns))


def csr_from_pairs(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]) -> csr_array:
    """Boolean CSR array that is True at ``(rows[k], columns[k])``; repetitions count once.

    Example:
        >>> csr_from_pairs(np.array([1, 0, 1]), np.array([2, 0, 2]), (2, 3)).toarray().tolist()
        [[True, False, False], [False, False, True]]
    """
    # By one sorted key rather than through COO: repetitions may be many (boxes of one class).
    keys = np.sort(rows.astype(np.int64) * max(shape[1], 1) + columns)
    keys = keys[np.diff(keys, prepend=-1) != 0]  # np.unique of NumPy 2.3 hashes: five times slower
    indptr = np.searchsorted(keys, np.arange(shape[0] + 1, dtype=np.int64) * max(shape[1], 1))
    return csr_from_runs((keys % max(shape[1], 1)).astype(np.int32), indptr, shape[1])


def csr_from_lists(lists: Iterable[Sequence[int]], shape: tuple[int, int]) -> csr_array:
    """Boolean CSR array with one list of column indices per row.

    Raises:
        DataError: If there are not ``shape[0]`` lists, or an index is not in 0..``shape[1] - 1``.
    """
    rows = [np.asarray(row, np.int64).reshape(-1) for row in lists]
    if len(rows) != shape[0]:
        raise DataError(f"{shape[0]} image ids but {len(rows)} lists of class indices")
    indices = np.concatenate([*rows, np.empty(0, np.int64)])
    wrong = indices[(indices < 0) | (indices >= shape[1])]
    if len(wrong):
        raise DataError(f"class index {wrong[0]} is not in 0..{shape[1] - 1}")
    return csr_from_pairs(np.repeat(np.arange(shape[0]), [len(r) for r in rows]), indices, shape)


def canonical(matrix: Any, shape: tuple[int, int], name: str) -> csr_array:
    """``matrix`` as a boolean CSR array of sorted, distinct True entries, with read-only parts.

    The input is not changed; its arrays are shared where they need no change.

    Raises:
        DataError: If it has another shape, values but 0 and 1, or indices that are not valid.
    """
    return _canonical(matrix, shape, name, np.bool_)


def canonical_values(matrix: Any, shape: tuple[int, int], name: str) -> csr_array:
    """As :func:`canonical`, a float32 CSR array of sorted entries that are not zero."""
    return _canonical(matrix, shape, name, np.float32)


def _canonical(matrix: Any, shape: tuple[int, int], name: str, kind: Any) -> csr_array:
    if tuple(matrix.shape) != shape:
        raise DataError(
            f"{name} have the shape {tuple(matrix.shape)}, but {shape[0]} images and "
            f"{shape[1]} class names were given"
        )
    if _is_checked(matrix) and matrix.dtype == kind:
        return matrix
    array = csr_array(matrix)
    try:
        array.check_format(full_check=True)
    except ValueError as error:
        raise DataError(f"{name} are not a valid sparse array: {error}") from error
    if array.dtype != kind:
        if kind == np.bool_ and len(wrong := array.data[~np.isin(array.data, (0, 1))]):
            raise DataError(
                f"{name} must be 0 or 1, got {wrong[0]:g}; what is uncertain is left out of known, "
                "and values between 0 and 1 are soft targets"
            )
        array = array.astype(kind)
    if not array.has_canonical_format or not bool(np.all(array.data)):
        array = array.copy()
        array.sum_duplicates()
        array.eliminate_zeros()
    index = np.int32 if max(array.nnz, shape[1]) < 1 << 31 else np.int64
    indices, indptr = (part.astype(index, copy=False) for part in (array.indices, array.indptr))
    return canonical_from_parts(array.data, indices, indptr, shape[1])


def canonical_from_parts(
    data: np.ndarray, indices: np.ndarray, indptr: np.ndarray, columns: int
) -> csr_array:
    """The CSR array of parts that are as :func:`canonical` leaves them; they are not checked."""
    parts = (_frozen(data), _frozen(indices), _frozen(indptr))
    result = csr_array(parts, shape=(len(indptr) - 1, columns))
    result.has_canonical_format = True
    result.checked_parts = (result.data, result.indices, result.indptr)
    return result


def _is_checked(matrix: Any) -> bool:
    """Whether a matrix came from :func:`canonical_from_parts` and its parts are still the same."""
    parts = getattr(matrix, "checked_parts", ())
    return len(parts) == 3 and all(
        now is then for now, then in zip((matrix.data, matrix.indices, matrix.indptr), parts)
    )


def ragged_positions(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Positions of all elements of the runs ``starts[i] : starts[i] + lengths[i]``, run by run.

    Example:
        >>> ragged_positions(np.array([7, 0]), np.array([2, 3])).tolist()
        [7, 8, 0, 1, 2]
    """
    starts = starts.astype(np.int64)
    ends = np.cumsum(lengths, dtype=np.int64)
    total = int(ends[-1]) if len(ends) else 0
    return np.repeat(starts - (ends - lengths), lengths) + np.arange(total, dtype=np.int64)


def dense_rows(matrix: csr_array, rows: np.ndarray | Sequence[int], kind: Any) -> np.ndarray:
    """These rows of a boolean CSR array as a dense (len(rows), columns) array of type ``kind``.

    Raises:
        IndexError: If a row does not exist.
    """
    return _dense(matrix, rows, kind, None)


def dense_values(matrix: csr_array, rows: np.ndarray | Sequence[int]) -> np.ndarray:
    """These rows of a float32 CSR array as a dense (len(rows), columns) float32 array.

    Raises:
        IndexError: If a row does not exist.
    """
    return _dense(matrix, rows, np.float32, matrix.data)


def _dense(
    matrix: csr_array, rows: np.ndarray | Sequence[int], kind: Any, values: np.ndarray | None
) -> np.ndarray:
    # scipy's own row indexing takes 100 us a call, and a data set asks for one row at a time.
    rows = np.asarray(rows, dtype=np.int64)
    rows = np.where(rows < 0, rows + matrix.shape[0], rows)
    if len(rows) and not (rows.min() >= 0 and rows.max() < matrix.shape[0]):
        raise IndexError(f"rows must be in 0..{matrix.shape[0] - 1}")
    starts = matrix.indptr[rows]
    lengths = matrix.indptr[rows + 1] - starts
    dense = np.zeros((len(rows), matrix.shape[1]), kind)
    stored = ragged_positions(starts, lengths)
    columns = matrix.indices[stored]
    dense[np.repeat(np.arange(len(rows)), lengths), columns] = (
        1 if values is None else values[stored]
    )
    return dense


def _frozen(array: np.ndarray) -> np.ndarray:
    view = array.view()
    view.flags.writeable = False
    return view


def column_counts(matrix: csr_array) -> np.ndarray:
    """Count the stored entries of each column: (C,) int64."""
    return np.bincount(matrix.indices, minlength=matrix.shape[1]).astype(np.int64)
