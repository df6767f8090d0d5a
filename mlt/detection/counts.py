"""Boxes of each class, which is what a detector's class weights are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from mlt.class_counts import ClassCounts
from mlt.data.formats.coco_records import CocoAnnotations, read_coco_records
from mlt.errors import ConfigError, DataError

__all__ = ["ClassCounts", "class_counts_from_coco", "class_counts_from_dataset"]

_MOST_COLUMNS = 1_000_000


def class_counts_from_coco(
    annotations: CocoAnnotations, num_classes: int | None = None
) -> ClassCounts:
    """Count the boxes of each category of a COCO file, by category id.

    The index is the category id, as torchvision's labels are: of COCO's 91 columns, column 0 and
    ten others are no category. Boxes marked as crowd, and boxes of no width or height once clipped
    to their image, are left out, as torchvision's training scripts do.

    Args:
        annotations: The JSON file, its parsed content, or a loaded ``pycocotools.coco.COCO``.
        num_classes: Columns C of the head; the largest category id plus 1 if not given.

    Returns:
        Counts of length C; a category without boxes has 0.

    Raises:
        MissingFileError: If the file does not exist.
        DataError: If it is not COCO, or has no box of any category.
        ConfigError: If a category id does not fit into C columns, or into those of any head.

    Example:
        >>> class_counts_from_coco({
        ...     "images": [{"id": 1, "file_name": "a.jpg"}],
        ...     "categories": [{"id": 1, "name": "cat"}, {"id": 3, "name": "dog"}],
        ...     "annotations": [{"image_id": 1, "category_id": 3, "bbox": [0, 0, 9, 9]}],
        ... })
        ClassCounts([-, 0, -, 1], total=1, unit='boxes')
    """
    coco = read_coco_records(annotations)
    source, records = coco.source, coco.annotations
    if not coco.categories:
        raise DataError(f"{source} has no categories, so there is nothing to count")
    size = {image.id: (image.width, image.height) for image in coco.images}
    ids = [category.id for category in coco.categories]
    boxes = dict.fromkeys(ids, 0)
    for record in records:
        if record.category_id not in boxes:
            raise DataError(
                f"{source}: an annotation has the unknown category {record.category_id}"
            )
        if not record.iscrowd and _has_area(record.bbox, *size.get(record.image_id, (None, None))):
            boxes[record.category_id] += 1
    if not any(boxes.values()):
        raise DataError(f"{source} has no boxes: {len(records)} annotations, none with an area")
    if num_classes is None and max(ids) >= _MOST_COLUMNS:
        raise ConfigError(
            f"{source} has the category id {max(ids)}, and a head would have a column for every id "
            "up to it; number the categories from 1 on, as the labels of the detector are"
        )
    return ClassCounts.at_columns(
        list(boxes.values()), list(boxes), max(ids) + 1 if num_classes is None else num_classes
    )


def class_counts_from_dataset(
    dataset: Any, num_classes: int, labels: Iterable[int] | None = None
) -> ClassCounts:
    """Count the boxes of each label of a torchvision-style data set.

    Every item is loaded, its image too; where that takes long, give the targets alone, or use
    :func:`class_counts_from_coco`. Crowds count where the data set gives them.

    Args:
        dataset: Items ``(image, target)``, or targets alone; a target is a dictionary whose
            ``labels`` are integers, shape (n,), absent where the image has no boxes.
        num_classes: Columns C of the head, with the background: what the detector was built with.
        labels: Which labels are classes. If not given, those that have a box: a label without one
            may be the background, or an id that no category has.

    Raises:
        DataError: If an item has another form, a label is out of range, or no item has a box.
        ConfigError: If a label has boxes and is none of ``labels``.

    Example:
        >>> class_counts_from_dataset([{"labels": np.array([1, 1, 2])}, {"labels": []}], 3)
        ClassCounts([-, 2, 1], total=3, unit='boxes')
    """
    counts = np.zeros(num_classes, np.int64)
    for place in range(len(dataset)):
        item = dataset[place]
        target = item[1] if isinstance(item, (tuple, list)) and len(item) == 2 else item
        if not isinstance(target, Mapping):
            raise DataError(
                f"Item {place} is {type(item).__name__}; expected (image, target) or a target, "
                'which is a dictionary with "boxes" and "labels"'
            )
        found = np.asarray(target.get("labels", ()), dtype=np.float64)
        if found.ndim != 1 or (found != np.floor(found)).any():
            raise DataError(f"Item {place}: labels must be a list of integers, one per box")
        if found.size and (found.min() < 0 or found.max() >= num_classes):
            raise DataError(
                f"Item {place} has labels from {found.min():g} to {found.max():g}, but a head of "
                f"{num_classes} columns has 0 to {num_classes - 1}"
            )
        counts += np.bincount(found.astype(np.int64), minlength=num_classes)
    if not counts.any():
        raise DataError('No item has a box; is the key of the classes "labels"?')
    is_class = counts > 0
    if labels is not None:
        is_class = np.isin(np.arange(num_classes), list(labels))
    return ClassCounts.from_counts(counts, unit="boxes", is_class=is_class)


def _has_area(box: tuple[float, ...] | None, width: float | None, height: float | None) -> bool:
    """Whether something is left of an (x, y, width, height) box within its image."""
    if box is None or len(box) != 4:
        return False
    left, top, right, bottom = box[0], box[1], box[0] + box[2], box[1] + box[3]
    inside_x = min(right, width or right) > max(left, 0)
    return inside_x and min(bottom, height or bottom) > max(top, 0)
