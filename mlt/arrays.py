"""Arrays, lists and tensors as numpy arrays, without importing the library they come from."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlt.errors import DataError

__all__ = [
    "as_array",
    "as_counts",
    "as_image_ids",
    "as_logits",
    "check_no_nul",
    "check_not_masked",
    "check_targets",
]

_ROWS = 4096  # images looked at together, so that a check needs no second array of (N, C)


def as_array(values: ArrayLike) -> NDArray[Any]:
    """A numpy array of the values: of a list, an array, or a tensor on any device.

    A PyTorch tensor is detached from its graph and copied to the CPU if it is elsewhere; a type
    that numpy does not have (bfloat16) becomes float32, which holds each of its values exactly.

    Args:
        values: Anything that numpy takes, or a tensor.

    Raises:
        DataError: If lists are of different lengths, an array hides some of its values behind a
            mask, or it is sparse.

    Example:
        >>> as_array([[1, 2]]).shape
        (1, 2)
    """
    if not hasattr(values, "detach"):
        check_not_masked(values)
        try:
            array = np.asarray(values)
        except ValueError as error:  # lists of different lengths
            raise DataError(f"this cannot be made into an array: {error}") from None
        if array.ndim == 0 and array.dtype == object:
            raise DataError(
                f"a {type(values).__name__} cannot be made into an array of numbers; of a sparse "
                "one give its toarray()"
            )
        return array
    tensor: Any = values.detach().cpu()
    if "strided" not in str(tensor.layout):
        raise DataError(f"a tensor is sparse ({tensor.layout}); give its to_dense()")
    try:
        return np.asarray(tensor)
    except TypeError:
        return np.asarray(tensor.float())


def check_not_masked(values: Any, what: str = "this") -> None:
    """Refuse a masked array of numpy: as a plain one, what its mask hides would count.

    Args:
        values: Anything.
        what: Begins the message.

    Raises:
        DataError: If it hides a value.

    Example:
        >>> check_not_masked(np.ma.masked_array([1, 0], mask=[False, False]))
    """
    if np.ma.is_masked(values):
        raise DataError(
            f"{what} is a masked array that hides {np.ma.count_masked(values)} of its "
            f"{values.size} values; give it without the mask, as array.filled(0), and with "
            "known=~array.mask what is annotated"
        )


def check_targets(
    targets: ArrayLike, known: ArrayLike | None = None, *, name: str = "targets"
) -> tuple[NDArray[np.bool_], NDArray[np.bool_] | None]:
    """Targets and mask as booleans.

    Args:
        targets: (N, C) of 0 and 1 or booleans; anything where ``known`` is False.
        known: (N, C) booleans. None: all are known.
        name: What the targets are called in messages.

    Returns:
        The targets and the mask; the mask is None where none was given.

    Raises:
        DataError: If the shapes differ or a known target is neither 0 nor 1.

    Example:
        >>> check_targets([[1, -1]], known=[[True, False]])
        (array([[ True, False]]), array([[ True, False]]))
    """
    truth = as_array(targets)
    mask = None if known is None else _as_mask(as_array(known))
    if truth.ndim != 2:
        raise DataError(f"{name} must be (N, C), one row per image; got {truth.shape}")
    if mask is not None and mask.shape != truth.shape:
        raise DataError(f"known must be {truth.shape} like the {name}; got {mask.shape}")
    if truth.dtype == bool:
        return truth, mask
    result, numbers = np.empty(truth.shape, bool), _numbers(truth)
    for start in range(0, len(truth), _ROWS):
        rows = slice(start, start + _ROWS)
        part = numbers[rows]
        np.equal(part, 1, out=result[rows])
        wrong = ~result[rows] & (part != 0)
        if mask is not None:
            wrong &= mask[rows]
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            raise DataError(
                f"{name} must be 0 or 1; got {_shown(truth[start + row, column])} "
                f"at image {start + row}, class {column}"
            )
    return result, mask


def _numbers(values: NDArray[Any]) -> NDArray[Any]:
    """The same; of objects, as a column of pandas with gaps has them, or of text NaN for others."""
    if values.dtype.kind in "biuf":
        return values
    numbers = [v if isinstance(v, (Real, np.bool_)) else np.nan for v in values.flat]
    return np.array(numbers, np.float64).reshape(values.shape)


def _shown(value: Any) -> str:
    """Text in quotes."""
    return repr(str(value)) if isinstance(value, (str, bytes)) else str(value)


def _as_mask(known: NDArray[Any]) -> NDArray[np.bool_]:
    """Booleans of a mask of True and False, or 1 and 0."""
    known = _numbers(known)
    if known.dtype != bool and not np.isin(known, (0, 1)).all():
        raise DataError("known must be True where a label was annotated and False where not")
    return known.astype(bool, copy=False)


def as_logits(logits: ArrayLike) -> NDArray[np.float32]:
    """Logits in float32; float64 is rounded to it.

    Raises:
        DataError: If they are of half precision, or not of floating point at all.

    Example:
        >>> as_logits([[0.5]]).dtype
        dtype('float32')
    """
    values = as_array(logits)
    given = getattr(logits, "dtype", values.dtype)
    # A tensor of bfloat16 has become float32 by now.
    sizes = values.dtype.kind, values.dtype.itemsize  # in either order of bytes
    if sizes not in (("f", 4), ("f", 8)) or "float16" in str(given):
        raise DataError(
            f"logits must be float32, as the model gave them; got {given}. Half precision "
            "makes ties of different logits: compute the last layer in float32"
        )
    return values.astype(np.float32, copy=False)


def as_counts(class_counts: ArrayLike) -> NDArray[np.int64]:
    """Counts per class as int64.

    Raises:
        DataError: If one is not a whole number.

    Example:
        >>> as_counts([3.0, 4.0])
        array([3, 4])
    """
    counts = as_array(class_counts)
    with np.errstate(invalid="ignore"):  # of NaN, which is refused below
        whole = counts.astype(np.int64)
    if not np.array_equal(whole, counts):
        raise DataError(f"class_counts must be whole numbers of images; got {counts.tolist()}")
    return whole


def as_image_ids(image_ids: ArrayLike, what: str = "image_ids") -> NDArray[np.generic]:
    """Integers or strings that a file without pickle can hold.

    Args:
        image_ids: Ids of images, or of what they belong to.
        what: What they are called in the message.

    Raises:
        DataError: If they are of another type, or of both, or one holds a NUL character or does not
            fit into 64 bits.

    Example:
        >>> as_image_ids(["a.jpg", "b.jpg"]).tolist()
        ['a.jpg', 'b.jpg']
    """
    # numpy would make strings of integers that stand among strings in a list.
    ids = as_array(image_ids) if hasattr(image_ids, "dtype") else np.array(image_ids, dtype=object)
    if ids.dtype.kind in "iuUS":
        return ids
    if ids.dtype.kind == "T" or all(isinstance(value, str) for value in ids.flat):
        check_no_nul(ids.flat, "image id" if what == "image_ids" else what)
        return ids.astype(np.str_)
    if ids.dtype == object and all(
        isinstance(value, (int, np.integer)) and not isinstance(value, bool) for value in ids.flat
    ):
        try:
            return ids.astype(np.int64)
        except OverflowError:
            raise DataError(
                f"{what} must be below 2**63 as integers; give larger ones as strings"
            ) from None
    raise DataError(
        f"{what} must be all integers or all strings; got {ids.dtype} with "
        f"{', '.join(repr(value) for value in ids[:3])}. Convert them, for example with "
        f"{what}.astype(str)"
    )


def check_no_nul(strings: Iterable[str], what: str) -> None:
    """Refuse strings that hold a NUL character.

    A NumPy file drops it at the end, and two names become one. It belongs into no name: it is there
    where text of UTF-16 was read as another encoding, or a string of C was read past its end.

    Args:
        strings: The strings.
        what: What one of them is called in the message.

    Raises:
        DataError: Naming the first.

    Example:
        >>> check_no_nul(["cat", "dog"], "class name")
    """
    for string in strings:
        if "\0" in string:
            raise DataError(
                f"the {what} {string!r} holds a NUL character, which files of arrays cannot keep; "
                "was its source read in the wrong encoding?"
            )
