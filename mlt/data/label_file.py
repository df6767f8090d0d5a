"""Label tables as ``.npz`` files, without pickle, and the digest of what they hold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from scipy.sparse import csr_array

from mlt.data.columns import StringColumn
from mlt.data.mapped_arrays import Stamp, map_arrays, write_arrays
from mlt.data.sparse import canonical_from_parts
from mlt.errors import DataError, MissingFileError
from mlt.files import atomic_write, read_npz

if TYPE_CHECKING:
    from mlt.data.columns import Column

__all__ = ["map_label_file", "read_label_file", "table_digest", "write_label_file"]

_FORMAT = "mlt.LabelTable/1"


class _Table(Protocol):
    """The parts of a :class:`mlt.data.LabelTable`, which this file is below of."""

    @property
    def image_ids(self) -> Column: ...
    @property
    def paths(self) -> StringColumn | None: ...
    @property
    def class_names(self) -> tuple[str, ...]: ...
    @property
    def labels(self) -> csr_array: ...
    @property
    def known(self) -> csr_array | None: ...
    @property
    def root(self) -> Path: ...
    @property
    def soft(self) -> csr_array | None: ...
    @property
    def groups(self) -> StringColumn | None: ...
    @property
    def notes(self) -> tuple[str, ...]: ...


def table_digest(table: _Table) -> str:
    """SHA-256 of ids, paths, class names, labels, what is known, soft targets and groups."""
    count = len(table.image_ids)
    digest = hashlib.sha256(json.dumps([_FORMAT, count, table.class_names]).encode())
    for name, array in sorted(_arrays(table).items()):
        if name in ("class_names", "notes"):
            continue
        integers = array.dtype.kind in "iu" and array.dtype != np.uint8
        kind = np.dtype("<i8") if integers else array.dtype
        digest.update(f"|{name}|{len(array)}|".encode())
        for first in range(0, len(array), 1 << 20):
            digest.update(array[first : first + (1 << 20)].astype(kind).tobytes())
    return digest.hexdigest()


def write_label_file(path: str | Path, table: _Table) -> Stamp:
    """Write a table as ``.npz``, whole or not at all.

    Returns:
        The stamp by which :func:`map_label_file` knows the file again.
    """
    about = {"format": np.array(_FORMAT), "root": np.array(str(table.root))}
    with atomic_write(path) as temporary:
        return write_arrays(temporary, {**about, **_arrays(table)})


def read_label_file(path: str | Path) -> dict[str, Any]:
    """Read what :func:`write_label_file` wrote: what a label table is made of, by name.

    Raises:
        MissingFileError: If there is no such file.
        DataError: If the file is damaged or is not a label table.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"no label table at {path}")
    try:
        return _parts(read_npz(path), StringColumn.from_bytes, _unchecked_csr)
    except (DataError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path} is damaged or not a label table ({error}); delete it and build it again"
        ) from error


def map_label_file(path: Path, stamp: Stamp) -> dict[str, Any]:
    """Map what :func:`write_label_file` wrote of a checked table; it is not checked again.

    Raises:
        MissingFileError: If there is no such file.
        DataError: If it is not the file that was written.
    """
    try:
        arrays = map_arrays(path, stamp)
    except FileNotFoundError:
        raise MissingFileError(f"no label table at {path}") from None
    parts = _parts(arrays, StringColumn.from_checked_bytes, canonical_from_parts)
    if isinstance(parts["image_ids"], StringColumn):
        parts["image_ids"].is_distinct = True
        parts["image_ids"].has_nul = False
    return parts


def _parts(
    arrays: dict[str, np.ndarray],
    column: Callable[[np.ndarray, np.ndarray], StringColumn],
    csr: Callable[[np.ndarray, np.ndarray, np.ndarray, int], csr_array],
) -> dict[str, Any]:
    """What a label table is made of, by name.

    Args:
        arrays: What the file holds.
        column: Makes a column of bytes and offsets.
        csr: Makes a CSR array of data, indices, row pointers and the number of columns.
    """
    if str(arrays["format"]) != _FORMAT:
        raise DataError(f"its format is {arrays['format']}, this version reads {_FORMAT}")
    names = tuple(json.loads(arrays["class_names"].tobytes()))
    columns = len(names)
    strings = {
        name: column(arrays[f"{name}_data"], arrays[f"{name}_offsets"])
        for name in ("image_ids", "paths", "groups")
        if f"{name}_data" in arrays
    }
    matrices = {
        name: csr(_data(arrays, name), arrays[f"{name}_indices"], arrays[f"{name}_indptr"], columns)
        for name in ("labels", "known", "soft")
        if f"{name}_indices" in arrays
    }
    return {
        "image_ids": strings["image_ids"] if "image_ids" in strings else arrays["image_ids"],
        "paths": strings.get("paths"),
        "class_names": names,
        "labels": matrices["labels"],
        "known": matrices.get("known"),
        "root": Path(str(arrays["root"])),
        "soft": matrices.get("soft"),
        "groups": strings.get("groups"),
        "notes": tuple(json.loads(arrays["notes"].tobytes())) if "notes" in arrays else (),
    }


def _arrays(table: _Table) -> dict[str, np.ndarray]:
    arrays = {"class_names": _json(table.class_names)}
    for name in ("labels", "known", "soft"):
        matrix = getattr(table, name)
        if matrix is not None:
            arrays |= {f"{name}_indices": matrix.indices, f"{name}_indptr": matrix.indptr}
    if table.soft is not None:  # of the other two, True is the only value there is
        arrays["soft_data"] = table.soft.data
    for name in ("image_ids", "paths", "groups"):
        column = getattr(table, name)
        if isinstance(column, StringColumn):
            arrays[f"{name}_data"], arrays[f"{name}_offsets"] = column.to_bytes()
        elif column is not None:
            arrays[name] = column
    if table.notes:
        arrays["notes"] = _json(table.notes)
    return arrays


def _json(values: tuple[str, ...]) -> np.ndarray:
    return np.frombuffer(json.dumps(values).encode(), np.uint8)


def _data(arrays: dict[str, np.ndarray], name: str) -> np.ndarray:
    """The values of a matrix; True takes one byte, however often it stands there."""
    if name == "soft":
        return arrays["soft_data"]
    return np.broadcast_to(np.True_, len(arrays[f"{name}_indices"]))


def _unchecked_csr(
    data: np.ndarray, indices: np.ndarray, indptr: np.ndarray, columns: int
) -> csr_array:
    """A CSR array that a label table has yet to check."""
    return csr_array((data, indices, indptr), shape=(len(indptr) - 1, columns))
