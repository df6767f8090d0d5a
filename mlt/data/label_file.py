"""Label tables as ``.npz`` files, without pickle, and the digest of what they hold."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from mlt.data.columns import StringColumn
from mlt.data.sparse import csr_from_runs
from mlt.errors import DataError, MissingFileError
from mlt.files import atomic_write, read_npz

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from mlt.data.columns import Column

__all__ = ["read_label_file", "table_digest", "write_label_file"]

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


def write_label_file(path: str | Path, table: _Table) -> None:
    """Write a table as ``.npz``, whole or not at all."""
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            format=np.array(_FORMAT),
            root=np.array(str(table.root)),
            **_arrays(table),  # type: ignore[arg-type]
        )


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
        arrays = read_npz(path)
        if str(arrays["format"]) != _FORMAT:
            raise DataError(f"its format is {arrays['format']}, this version reads {_FORMAT}")
        names = tuple(json.loads(arrays["class_names"].tobytes()))
        ids = arrays.get("image_ids")
        return {
            "image_ids": _column(arrays, "image_ids") if ids is None else ids,
            "paths": _column(arrays, "paths"),
            "class_names": names,
            "labels": _csr(arrays, "labels", len(names)),
            "known": _csr(arrays, "known", len(names)) if "known_indices" in arrays else None,
            "root": Path(str(arrays["root"])),
            "soft": _csr(arrays, "soft", len(names)) if "soft_indices" in arrays else None,
            "groups": _column(arrays, "groups"),
            "notes": tuple(json.loads(arrays["notes"].tobytes())) if "notes" in arrays else (),
        }
    except (DataError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path} is damaged or not a label table ({error}); delete it and build it again"
        ) from error


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


def _csr(arrays: dict[str, np.ndarray], name: str, columns: int) -> csr_array:
    matrix = csr_from_runs(arrays[f"{name}_indices"], arrays[f"{name}_indptr"], columns)
    if f"{name}_data" in arrays:
        matrix = matrix.astype(np.float32)
        matrix.data = arrays[f"{name}_data"]
    return matrix


def _column(arrays: dict[str, np.ndarray], name: str) -> StringColumn | None:
    if f"{name}_data" not in arrays:
        return None
    return StringColumn.from_bytes(arrays[f"{name}_data"], arrays[f"{name}_offsets"])
