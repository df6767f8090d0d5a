"""Which categories a COCO or LVIS file has, and on which images.

LVIS's images have no ``file_name``, which the readers of `mlt.data.formats` want.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import numpy as np

from mlt.data.formats.coco import LoadedCoco
from mlt.errors import ConfigError, DataError, MissingFileError

__all__ = ["Annotations", "Records", "category_images", "image_categories", "read_records"]

Annotations: TypeAlias = str | Path | Mapping[str, Any] | LoadedCoco
"""A COCO or LVIS file, its parsed content, or the loaded ``COCO`` or ``LVIS`` object."""


class _Image(msgspec.Struct, gc=False):
    id: int


class _Annotation(msgspec.Struct, gc=False):
    image_id: int
    category_id: int
    iscrowd: bool | int | None = None


class _Category(msgspec.Struct, gc=False):
    id: int
    name: str = ""
    frequency: str | None = None
    image_count: int | None = None
    instance_count: int | None = None


class Records(msgspec.Struct):
    """Images, annotations and categories; LVIS's categories say how frequent they are."""

    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category]

    def category_ids(self) -> list[int]:
        """Give the ids in ascending order, in which contiguous labels 0 to C - 1 are counted."""
        return sorted(category.id for category in self.categories)


def read_records(annotations: Annotations) -> Records:
    """Read a file, or take its parsed content, or what a loaded ``COCO`` or ``LVIS`` has read.

    Raises:
        ConfigError: If it is none of these.
        MissingFileError: If the file does not exist.
        DataError: If it is not JSON, or neither COCO nor LVIS.
    """
    annotations = getattr(annotations, "dataset", annotations)
    if not isinstance(annotations, (str, Path, Mapping)):
        raise ConfigError(
            "Give an annotation file, its parsed content or a loaded COCO or LVIS object, not "
            f"{type(annotations).__name__}."
        )
    try:
        if isinstance(annotations, Mapping):
            return msgspec.convert(dict(annotations), type=Records)
        path = Path(annotations)
        if not path.is_file():
            raise MissingFileError(f"there is no annotation file {path}")
        content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")  # the byte order mark
        return msgspec.json.decode(content, type=Records)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        source = "the content" if isinstance(annotations, Mapping) else str(annotations)
        raise DataError(f"{source} is not a COCO or LVIS instances file: {error}") from None


def category_images(records: Records) -> dict[int, int]:
    """Count the images of each category; crowd regions do not count.

    Raises:
        DataError: If an annotation has a category that is not listed.

    Example:
        >>> records = read_records({
        ...     "images": [{"id": 1}, {"id": 2}],
        ...     "categories": [{"id": 7}, {"id": 9}],
        ...     "annotations": 2 * [{"image_id": 1, "category_id": 7}],
        ... })
        >>> category_images(records)
        {7: 1, 9: 0}
    """
    counts = dict.fromkeys(records.category_ids(), 0)
    for category, _ in _labels(records):
        counts[category] += 1
    return counts


def image_categories(records: Records, image_ids: list[int]) -> np.ndarray:
    """Give (row, column) of each category on each image, int64 (n, 2).

    Args:
        records: Their annotations of other images are left out.
        image_ids: The image of each row; an image may have several.

    Raises:
        DataError: If an annotation has a category that is not listed.
    """
    rows: dict[int, list[int]] = {}
    for place, image in enumerate(image_ids):
        rows.setdefault(image, []).append(place)
    column = {category: place for place, category in enumerate(records.category_ids())}
    pairs = [
        (row, column[category])
        for category, image in _labels(records)
        for row in rows.get(image, ())
    ]
    return np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)


def _labels(records: Records) -> set[tuple[int, int]]:
    """Give each (category, image) that has an annotation; all categories are listed ones."""
    pairs = {(a.category_id, a.image_id) for a in records.annotations if not a.iscrowd}
    unlisted = {category for category, _ in pairs} - set(records.category_ids())
    if unlisted:
        raise DataError(f"An annotation has the category {min(unlisted)}, which is not listed.")
    return pairs
