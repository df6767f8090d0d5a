"""Which images of a table belong to a part: by a list of names, or by a column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from mlt.data.columns import StringColumn, duplicates, positions
from mlt.data.labels import LabelTable
from mlt.errors import DataError, MissingFileError

__all__ = ["USUAL_PARTS", "read_image_list", "rows_listed", "rows_of_part", "values_of_part"]

USUAL_PARTS: Mapping[str, frozenset[str]] = {
    "train": frozenset(("train", "training", "trn")),
    "validation": frozenset(("validation", "valid", "val", "validate", "dev")),
    "test": frozenset(("test", "testing", "tst")),
}
"""What parts are usually called in a column."""


def read_image_list(file: Path) -> StringColumn:
    """Read a file with the name of an image per line.

    Raises:
        MissingFileError: If it does not exist.
        DataError: If it is empty or not UTF-8.
    """
    if not file.is_file():
        raise MissingFileError(f"there is no list of images {file}")
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is not UTF-8 ({error}); save it as UTF-8") from None
    names = dict.fromkeys(line.strip() for line in lines if line.strip())
    if not names:
        raise DataError(f"{file} is empty; expected the name of an image per line")
    return StringColumn.from_iterable(names)


def rows_listed(
    table: LabelTable, names: StringColumn, file: Path
) -> tuple[np.ndarray, tuple[str, ...]]:
    """The rows of the images that a list names, by id, or by path with or without extension.

    Of paths, as many folders count as all names in the list and in the table have: the list may
    name files alone, or leave out the first folders.

    Args:
        table: N images.
        names: What the list holds.
        file: The list, for messages.

    Returns:
        Rows in the order of the table, and notes on names that are not in it.

    Raises:
        DataError: If no name is in the table, or one may be several images.
    """
    assert table.paths is not None
    found = np.full(len(names), -1, np.int64)
    depth = min(_depth(names), _depth(table.paths))
    tails = [_tail(column, depth) for column in (table.paths, names)]
    stems = [_without_extension(column) for column in tails]
    for column, asked in ((table.image_ids, names), tails, stems):
        left = np.flatnonzero(found < 0)
        if not len(left):
            break
        assert isinstance(column, StringColumn)
        asked = asked[left]
        rows = positions(column, asked)
        several = set(duplicates(column)) if bool((rows >= 0).any()) else set()
        if doubtful := [name for name in asked if name in several]:
            raise DataError(
                f"{file}: {doubtful[0]!r} may be several images of the table; list them with their "
                "folders"
            )
        found[left] = rows
    absent = np.flatnonzero(found < 0)
    if len(absent) == len(names):
        raise DataError(
            f"{file}: none of its {len(names)} names is in the table, first {names[0]!r}; the "
            f"table has {table.image_ids[0]!r}, ..."
        )
    notes: tuple[str, ...] = ()
    if len(absent):
        shown = ", ".join(repr(names[int(n)]) for n in absent[:3])
        notes = (
            f"{len(absent)} of the {len(names)} names in {file.name} are not in the table: {shown}",
        )
    return np.unique(found[found >= 0]), notes


def values_of_part(
    values: Iterable[str], part: str, parts: Mapping[str, Sequence[str]]
) -> set[str]:
    """Which of some values of a column mean a part.

    Args:
        values: The values.
        part: Which part.
        parts: The values of each part; without those of ``train``, what is in no other part is
            training. Where none is given, the usual names, in any case.

    Example:
        >>> values_of_part(["train", "Val", "test", "?"], "validation", {})
        {'Val'}
        >>> sorted(values_of_part(["0", "1", "2"], "train", {"test": ["2"]}))
        ['0', '1']
    """
    if not parts:
        return {value for value in values if value.strip().casefold() in USUAL_PARTS[part]}
    if part in parts:
        return {value for value in values if value.strip() in parts[part]}
    taken = {value for given in parts.values() for value in given}
    return {value for value in values if value.strip() not in taken} if part == "train" else set()


def rows_of_part(
    values: Sequence[str], part: str, parts: Mapping[str, Sequence[str]], column: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    """The rows of a part by a column that says it.

    Args:
        values: The cell of each image.
        part: Which part.
        parts: As of :func:`values_of_part`.
        column: The name of the column, for messages.

    Returns:
        Rows, and notes on values that belong to no part, and on given ones that no image has.

    Raises:
        DataError: If no image is in the part.
    """
    distinct = sorted(set(values))
    chosen = values_of_part(distinct, part, parts)
    rows = np.flatnonzero([value in chosen for value in values])
    if not len(rows):
        shown = ", ".join(map(repr, distinct[:10]))
        raise DataError(
            f"no image is in the part {part}: the column {column!r} holds {shown}. Say which "
            "values are which part: split_values: {train: [...], test: [...]}"
        )
    if part != "train":
        return rows, ()
    notes = []
    in_a_part = {value for name in USUAL_PARTS for value in values_of_part(distinct, name, parts)}
    if rest := {*distinct} - in_a_part:
        number = sum(value in rest for value in values)
        shown = ", ".join(map(repr, sorted(rest)[:5]))
        are = "image is" if number == 1 else "images are"
        notes.append(f"{number} {are} in no part, with {shown} in column {column!r}")
    given = {value for listed in parts.values() for value in listed}
    if unused := sorted(given - {value.strip() for value in distinct}):
        shown = ", ".join(map(repr, unused[:5]))
        notes.append(f"split_values name {shown}, which the column {column!r} does not hold")
    return rows, tuple(notes)


def _depth(paths: StringColumn) -> int:
    """How many parts the shortest path has."""
    folders = pc.count_substring_regex(paths.array, r"[/\\]")
    return 1 + (pc.min(folders).as_py() or 0)


def _tail(paths: StringColumn, parts: int) -> StringColumn:
    """The last parts of paths."""
    slashes = pc.replace_substring(paths.array, "\\", "/")
    tail = rf"^.*?((?:[^/]*/){{{parts - 1}}}[^/]*)$"
    return StringColumn(pc.replace_substring_regex(slashes, tail, r"\1"))


def _without_extension(paths: StringColumn) -> StringColumn:
    return StringColumn(pc.replace_substring_regex(paths.array, r"\.[^./]+$", ""))
