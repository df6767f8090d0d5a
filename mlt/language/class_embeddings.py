"""The file of class embeddings: one vector per class, and how it was made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as serialize

from mlt.data.names import repeated
from mlt.errors import DataError, MissingFileError
from mlt.files import NOT_JSON, atomic_write

__all__ = ["ClassEmbeddings"]

FORMAT = "mlt.class_embeddings/1"

_TENSOR, _ABOUT = "embeddings", "about"


@dataclass(frozen=True)
class ClassEmbeddings:
    """One vector per class, and the texts and the model that it comes from.

    Attributes:
        names: C class names.
        vectors: (C, E) float32, of length 1.
        texts: The texts of each class, whose embeddings were averaged.
        model: The text tower.
        scale: What the model multiplies cosines by; None if it does not say.
        bias: What it adds to them; None for models that add nothing.

    Raises:
        DataError: If numbers differ, a name is there twice, or a vector is 0 or not finite.

    Example:
        >>> made = ClassEmbeddings(("cat", "dog"), np.eye(2, dtype=np.float32))
        >>> made.of(["dog", "cat"]).tolist()
        [[0.0, 1.0], [1.0, 0.0]]
    """

    names: tuple[str, ...]
    vectors: NDArray[np.float32]
    texts: tuple[tuple[str, ...], ...] = ()
    model: str = ""
    scale: float | None = None
    bias: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "vectors", np.asarray(self.vectors, np.float32))
        if self.vectors.ndim != 2 or len(self.vectors) != len(self.names):
            raise DataError(
                f"{len(self.names)} class names, but embeddings of shape {self.vectors.shape}; "
                "expected (classes, width)"
            )
        if twice := repeated(self.names):
            raise DataError(f"class names occur more than once: {', '.join(twice[:5])}")
        for problem, rows in (
            ("are not finite", ~np.isfinite(self.vectors).all(axis=1)),
            ("are 0, which has no direction", ~self.vectors.any(axis=1)),
        ):
            if rows.any():
                raise DataError(f"embeddings {problem}: {_listed(np.array(self.names)[rows])}")

    @property
    def width(self) -> int:
        """E, the length of a vector."""
        return self.vectors.shape[1]

    def of(self, class_names: Sequence[str]) -> NDArray[np.float32]:
        """The vectors of these classes, in this order.

        Args:
            class_names: C' names; the file may have more, in any order.

        Returns:
            (C', E) float32.

        Raises:
            DataError: Naming the classes that are missing.
        """
        row_of = {name: row for row, name in enumerate(self.names)}
        if missing := [name for name in class_names if name not in row_of]:
            raise DataError(
                f"there is no embedding for {len(missing)} of {len(class_names)} classes: "
                f"{_listed(missing)}. There are embeddings for: {_listed(self.names)}"
            )
        return self.vectors[[row_of[name] for name in class_names]]

    def save(self, path: str | Path) -> None:
        """Write a ``.safetensors`` file, whole or not at all; names and texts are its metadata."""
        about = {
            "format": FORMAT,
            "names": self.names,
            "texts": self.texts,
            "model": self.model,
            "scale": self.scale,
            "bias": self.bias,
        }
        about["sha256"] = _digest(self.vectors, about)
        # One entry: the library writes several in an order that changes from process to process.
        content = serialize({_TENSOR: self.vectors}, {_ABOUT: json.dumps(about)})
        with atomic_write(path) as temporary:
            temporary.write_bytes(content)

    @classmethod
    def read(cls, path: str | Path) -> ClassEmbeddings:
        """Read what :meth:`save` wrote.

        Raises:
            MissingFileError: If there is no such file.
            DataError: If it is another file, or is damaged.
        """
        path = Path(path)
        if not path.is_file():
            raise MissingFileError(
                f"there is no file of class embeddings {path}; `mlt embed-classes` writes one"
            )
        try:
            with safe_open(path, framework="numpy") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise DataError(f"{path} is not a safetensors file, or is damaged: {error}") from error
        if _ABOUT not in metadata or tensors.keys() != {_TENSOR}:
            raise DataError(
                f"{path} is not a file of class embeddings; `mlt embed-classes` writes one"
            )
        try:
            about = json.loads(metadata[_ABOUT])
            values = {key: about[key] for key in about.keys() - {"format", "sha256"}}
            if about["format"] != FORMAT or about["sha256"] != _digest(tensors[_TENSOR], about):
                raise ValueError("it does not hold what was written to it")
            return cls(vectors=tensors[_TENSOR], **msgspec.convert(values, _About).to_dict())
        except (DataError, KeyError, TypeError, AttributeError, *NOT_JSON) as error:
            raise DataError(f"{path} is damaged: {error}") from error


class _About(msgspec.Struct, forbid_unknown_fields=True):
    names: tuple[str, ...]
    texts: tuple[tuple[str, ...], ...]
    model: str
    scale: float | None
    bias: float | None

    def to_dict(self) -> dict[str, Any]:
        return msgspec.structs.asdict(self)


def _digest(vectors: NDArray[np.float32], about: dict[str, Any]) -> str:
    described = {key: value for key, value in about.items() if key != "sha256"}
    digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode())
    digest.update(f"{vectors.dtype} {vectors.shape}".encode())
    digest.update(np.ascontiguousarray(vectors).tobytes())
    return digest.hexdigest()


def _listed(names: Sequence[str] | NDArray[np.str_], most: int = 8) -> str:
    shown = ", ".join(names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
