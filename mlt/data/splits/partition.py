"""Partition: which images are in which part of a data set, as `mlt split` writes it to a file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from mlt.data.labels import LabelTable
from mlt.data.sparse import column_counts
from mlt.errors import ConfigError, DataError, MissingFileError
from mlt.files import NOT_JSON, without_digest, write_json_object

__all__ = ["FOLD", "ImagesOfPart", "Partition", "saved_parts"]

_VERSION = 1
FOLD = "fold_"
"""What the names of folds begin with: ``fold_0``, ``fold_1`` and so on."""


class ImagesOfPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The images of a part.

    Attributes:
        num_images: How many.
        class_counts: (C,) how many have each class.
        image_ids: Their ids, all integers or all strings.
    """

    num_images: int
    class_counts: tuple[int, ...]
    image_ids: tuple[int | str, ...]


class _Stored(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    name: str
    recipe: dict[str, Any]
    sources: tuple[dict[str, str], ...]
    class_names: tuple[str, ...]
    parts: dict[str, ImagesOfPart]
    sha256: str | None = None


class _Glance(msgspec.Struct):
    parts: dict[str, msgspec.Raw] | None = None


@dataclass(frozen=True)
class Partition:
    """The parts of a data set, or its folds. Saved as JSON.

    Attributes:
        name: What it is called.
        class_names: C class names, in the order of the counts.
        parts: Part to images: ``train``, ``validation`` and ``test``, or ``fold_0``, ``fold_1``...
        recipe: How the parts were cut.
        sources: Annotations they were cut from, each with ``file`` and ``sha256``.

    Raises:
        DataError: If an image is in two parts, or a part has none.
    """

    name: str
    class_names: tuple[str, ...]
    parts: Mapping[str, ImagesOfPart]
    recipe: Mapping[str, Any]
    sources: tuple[Mapping[str, str], ...] = ()

    def __post_init__(self) -> None:
        seen: dict[int | str, str] = {}
        for name, part in self.parts.items():
            if not part.image_ids:
                raise DataError(f"the part {name!r} of the split {self.name!r} has no image")
            for image_id in part.image_ids:
                if image_id in seen:
                    raise DataError(
                        f"the split {self.name!r} has image {image_id!r} in {seen[image_id]} and "
                        f"in {name}"
                    )
                seen[image_id] = name

    @classmethod
    def of_rows(
        cls,
        name: str,
        table: LabelTable,
        rows: Mapping[str, np.ndarray],
        recipe: Mapping[str, Any],
        sources: tuple[Mapping[str, str], ...] = (),
    ) -> Partition:
        """The partition of a table by the rows of each part."""
        parts = {
            part: ImagesOfPart(
                len(of_part),
                tuple(column_counts(table.labels[of_part]).tolist()),
                tuple(table.image_ids[of_part].tolist()),
            )
            for part, of_part in rows.items()
        }
        return cls(name, table.class_names, parts, recipe, sources)

    @property
    def num_folds(self) -> int:
        """The number of folds; 0 where the parts are not folds."""
        return sum(name.startswith(FOLD) for name in self.parts)

    def rows(self, table: LabelTable, fold: int | None = None) -> dict[str, np.ndarray]:
        """The rows of each part: of ``train`` and of whatever else there is.

        Args:
            table: The annotations that the partition was cut from, or others of the same images;
                it may have other classes.
            fold: The fold to test on; the others are trained on.

        Raises:
            ConfigError: If there is no such fold, or no fold is named where there are some.
            DataError: If an image is not in the table, or has other labels.
        """
        try:
            found = {name: table.find(part.image_ids) for name, part in self.parts.items()}
        except DataError as error:
            made = ", ".join(source["file"] for source in self.sources) or "another table"
            raise DataError(
                f"the split {self.name!r} was made from other images than data.train has: {error}. "
                f"It was made from {made}: split the images that data.train and data.train_list "
                "name (mlt split --config CONFIG)"
            ) from None
        for name, of_part in found.items():
            self._check_counts(name, table, of_part)
        if fold is None and not self.num_folds:
            return found
        if fold is None or not 0 <= fold < self.num_folds:
            folds = f"{self.num_folds} folds, 0 to {self.num_folds - 1}" if self.num_folds else ""
            wanted = "none is named: set data.fold=0" if fold is None else f"not {fold}"
            raise ConfigError(
                f"data.fold: the split {self.name!r} has {folds or 'no folds'}; {wanted}"
            )
        rest = [of_part for name, of_part in found.items() if name != f"{FOLD}{fold}"]
        return {"train": np.sort(np.concatenate(rest)), "test": found[f"{FOLD}{fold}"]}

    def _check_counts(self, name: str, table: LabelTable, rows: np.ndarray) -> None:
        now = dict(zip(table.class_names, column_counts(table.labels[rows]).tolist()))
        then = dict(zip(self.class_names, self.parts[name].class_counts))
        differing = [c for c in then if c in now and then[c] != now[c]]
        if differing:
            c = differing[0]
            raise DataError(
                f"the labels are not those the split {self.name!r} was made from: in the part "
                f"{name}, {len(differing)} classes have other counts, {c!r} {now[c]} instead of "
                f"{then[c]}; split the table again"
            )

    def digest(self) -> str:
        """SHA-256 of the ids of all parts."""
        content = msgspec.json.encode({name: part.image_ids for name, part in self.parts.items()})
        return hashlib.sha256(content).hexdigest()

    def save(self, path: str | Path) -> None:
        """Write the partition as JSON, whole or not at all."""
        record = {
            "version": _VERSION,
            "name": self.name,
            "recipe": dict(self.recipe),
            "sources": self.sources,
            "class_names": self.class_names,
            "parts": {name: msgspec.structs.asdict(part) for name, part in self.parts.items()},
        }
        write_json_object(path, record)

    @classmethod
    def load(cls, path: str | Path) -> Partition:
        """Read a partition that :meth:`save` wrote.

        Raises:
            MissingFileError: If there is no such file.
            DataError: If it is not a partition, of another version, or was changed by hand.
        """
        path = Path(path)
        if not path.is_file():
            raise MissingFileError(f"there is no split {path}")
        try:
            content = msgspec.json.decode(path.read_bytes())
            stored = msgspec.convert(content, _Stored)
        except NOT_JSON as error:
            raise DataError(f"{path} is not a split into parts: {error}") from None
        if stored.version != _VERSION:
            raise DataError(
                f"{path} is of version {stored.version}, but this is mlt for version {_VERSION}; "
                "split the table again"
            )
        try:
            partition = cls(
                stored.name, stored.class_names, stored.parts, stored.recipe, stored.sources
            )
        except DataError as error:
            raise DataError(f"{path}: {error}") from None
        wrong = [
            name
            for name, part in stored.parts.items()
            if part.num_images != len(part.image_ids)
            or len(part.class_counts) != len(stored.class_names)
        ]
        if wrong:
            raise DataError(
                f"the image ids in {path} are not those it was written with; split the table again"
            )
        if stored.sha256 != partition.digest():  # all that files of earlier versions have
            without_digest(content, str(path))
        return partition


def saved_parts(path: str | Path | None) -> tuple[str, ...]:
    """The names of the parts in a file of `mlt split`; none for other files, or without one.

    Folds are tested on one by one, so that theirs are ``train`` and ``test``.
    """
    if path is None or not Path(path).is_file():
        return ()
    try:
        parts = msgspec.json.decode(Path(path).read_bytes(), type=_Glance).parts
    except NOT_JSON:
        return ()
    names = tuple(parts or ())
    return ("train", "test") if any(name.startswith(FOLD) for name in names) else names
