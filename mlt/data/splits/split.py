"""Split: which images to train on, how they were chosen, whether that is the published choice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from mlt.data.columns import Column, StringColumn, as_column, duplicates, same_values
from mlt.data.digests import ids_digest
from mlt.data.labels import LabelTable
from mlt.data.names import name_difference
from mlt.errors import DataError, MissingFileError
from mlt.files import NOT_JSON, with_digest, without_digest, write_json_atomic

__all__ = ["Split"]

_VERSION = 1


@dataclass(frozen=True)
class Split:
    """A training set: image ids, and what is needed to trust them. Saved as a small JSON file.

    Attributes:
        name: What the split is called.
        image_ids: Distinct ids, integers (COCO) or strings (VOC, CSV), in the order of the draw.
            May be given as the ids of a label table, which spares millions of them a conversion.
        class_names: C class names.
        class_counts: Images of the split that have each class.
        recipe: How the images were chosen: ``name``, ``selection`` and its parameters.
        sources: Annotations the split was cut from, each with ``file`` and ``sha256``.
        matches_published: Whether it is the published split of that name; None if there is none.
        mismatches: In what it differs, in sentences.

    Raises:
        DataError: If there is no image, or the parts contradict each other.

    Example:
        >>> split = Split("mine", (3, 1), ("cat", "dog"), (2, 1), {"name": "by hand"})
        >>> split.num_images, split.matches_published
        (2, None)
    """

    name: str
    image_ids: tuple[int | str, ...]
    class_names: tuple[str, ...]
    class_counts: tuple[int, ...]
    recipe: Mapping[str, Any]
    sources: tuple[Mapping[str, str], ...] = ()
    matches_published: bool | None = None
    mismatches: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if isinstance(self.image_ids, (np.ndarray, StringColumn)):
            # The ids of a table are a column already, and of one kind.
            self.__dict__["_column"] = self.image_ids
            self.__dict__["image_ids"] = tuple(self.image_ids.tolist())
        elif len({issubclass(kind, str) for kind in {*map(type, self.image_ids)}}) > 1:
            raise DataError(f"the split {self.name!r} mixes integers and strings as image ids")
        if not self.image_ids:
            raise DataError(f"the split {self.name!r} is empty: no image was selected")
        if duplicates(self._column):
            raise DataError(f"the split {self.name!r} has image ids more than once")
        if len(self.class_names) != len(self.class_counts):
            raise DataError(
                f"the split {self.name!r} has {len(self.class_names)} class names but "
                f"{len(self.class_counts)} class counts"
            )

    @cached_property
    def _column(self) -> Column:
        """The ids as a label table has them."""
        return as_column(self.image_ids)  # type: ignore[arg-type]

    @cached_property
    def sha256_sorted_ids(self) -> str:
        """SHA-256 of the ids, sorted as strings, joined by newlines."""
        return ids_digest(self.image_ids)

    @property
    def num_images(self) -> int:
        """Number of images."""
        return len(self.image_ids)

    def apply(self, table: LabelTable) -> LabelTable:
        """The rows of the split, in its order.

        Args:
            table: The annotations that the split was cut from, or others of the same images.

        Raises:
            DataError: If class names, image ids or the number of labels do not fit.
        """
        difference = name_difference(
            self.class_names, table.class_names, "the split", "the annotations"
        )
        if difference:
            raise DataError(
                f"the split {self.name!r} is of other classes than the annotations: {difference}"
            )
        is_whole = same_values(self._column, table.image_ids)
        part = table if is_whole else table.take(table.find(self._column))
        counts = part.class_counts().counts
        differing = np.flatnonzero(counts != np.array(self.class_counts))
        if len(differing):
            c = differing[0]
            raise DataError(
                f"the labels are not those the split {self.name!r} was made from: {len(differing)} "
                f"classes have other counts, {self.class_names[c]!r} {counts[c]} instead of "
                f"{self.class_counts[c]}; build the split again"
            )
        return part

    def save(self, path: str | Path) -> None:
        """Write the split as JSON, whole or not at all."""
        parts = {part.name: getattr(self, part.name) for part in fields(self)}
        # Ids last: they are most of the file.
        ids = {"sha256_sorted_ids": self.sha256_sorted_ids, "image_ids": parts.pop("image_ids")}
        record = {"version": _VERSION, "num_images": self.num_images, **parts, **ids}
        write_json_atomic(path, with_digest(record))

    @classmethod
    def load(cls, path: str | Path) -> Split:
        """Read a split that :meth:`save` wrote.

        Raises:
            MissingFileError: If there is no such file.
            DataError: If it is not a split, of another version, or was changed by hand.
        """
        path = Path(path)
        if not path.is_file():
            raise MissingFileError(f"there is no split {path}")
        try:
            content = msgspec.json.decode(path.read_bytes())
            stored = msgspec.convert(content, _Stored)
        except NOT_JSON as error:
            raise DataError(f"{path} is not a split: {error}") from None
        if stored.version != _VERSION:
            raise DataError(
                f"{path} is of version {stored.version}, but this is mlt for version {_VERSION}; "
                f"build the split again"
            )
        try:
            split = cls(
                name=stored.name,
                image_ids=stored.image_ids,
                class_names=stored.class_names,
                class_counts=stored.class_counts,
                recipe=stored.recipe,
                sources=stored.sources,
                matches_published=stored.matches_published,
                mismatches=stored.mismatches,
            )
        except DataError as error:
            raise DataError(f"{path}: {error}") from None
        if (split.num_images, split.sha256_sorted_ids) != (
            stored.num_images,
            stored.sha256_sorted_ids,
        ):
            raise DataError(
                f"the image ids in {path} are not those it was written with; build the split again"
            )
        without_digest(content, str(path))
        return split


class _Stored(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    name: str
    num_images: int
    class_names: tuple[str, ...]
    class_counts: tuple[int, ...]
    recipe: dict[str, Any]
    sources: tuple[dict[str, str], ...]
    matches_published: bool | None
    mismatches: tuple[str, ...]
    sha256_sorted_ids: str
    image_ids: tuple[int | str, ...]
    sha256: str | None = None
