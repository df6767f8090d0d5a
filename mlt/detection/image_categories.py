"""Which categories a COCO or LVIS file has, and on which images."""

from __future__ import annotations

import numpy as np

from mlt.data.formats.coco_records import CocoRecords
from mlt.errors import DataError

__all__ = ["category_images", "image_categories"]


def category_images(records: CocoRecords) -> dict[int, int]:
    """Count the images of each category; crowd regions do not count.

    Raises:
        DataError: If an annotation has a category that is not listed.

    Example:
        >>> from mlt.data.formats.coco_records import read_coco_records
        >>> records = read_coco_records({
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


def image_categories(records: CocoRecords, image_ids: list[int]) -> np.ndarray:
    """Return (row, column) of each category on each image, int64 (n, 2).

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


def _labels(records: CocoRecords) -> set[tuple[int, int]]:
    """Return each (category, image) that has an annotation; all categories are listed ones."""
    pairs = {(a.category_id, a.image_id) for a in records.annotations if not a.iscrowd}
    unlisted = {category for category, _ in pairs} - set(records.category_ids())
    if unlisted:
        raise DataError(f"An annotation has the category {min(unlisted)}, which is not listed.")
    return pairs
