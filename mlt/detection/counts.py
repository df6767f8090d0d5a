"""Boxes of each class, which is what a detector's class weights are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from mlt.data.formats.coco_records import CocoAnnotations, read_coco_records
from mlt.errors import ConfigError, DataError

__all__ = ["BoxCounts", "class_counts_from_coco", "class_counts_from_dataset"]


class BoxCounts(Sequence[int]):
    """Boxes by label: one count a column of the head, and which columns are a class at all.

    Give it to `create_loss` as ``class_counts``. A column that is no class (the background, an id
    that no category has) is never positive. Losses treat it like the median class and leave it out
    of the scale of their weights; as a count of 0 it would weigh more than the rarest class.

    Args:
        counts: Boxes of each label, shape (C,).
        is_class: Which labels are classes, shape (C,); None for all.

    Raises:
        ConfigError: If the lengths differ, a count is no whole number from 0, no label is a class,
            or one that is none has boxes.

    Example:
        >>> counts = BoxCounts([0, 12, 3], is_class=[False, True, True])
        >>> counts, counts.num_boxes
        (BoxCounts([-, 12, 3]), 15)
    """

    unit = "boxes"

    def __init__(self, counts: npt.ArrayLike, is_class: npt.ArrayLike | None = None) -> None:
        given = np.asarray(counts, dtype=np.float64)
        if not (given == np.floor(given)).all() or (given < 0).any():
            raise ConfigError(f"Counts of boxes are whole numbers from 0 on, not {given.tolist()}.")
        self.counts = given.astype(np.int64)
        self.is_class = np.ones(self.counts.shape, bool) if is_class is None else np.array(is_class)
        if self.counts.ndim != 1 or self.is_class.shape != self.counts.shape:
            raise ConfigError(
                f"Give one count and one flag a label, not arrays of shape {self.counts.shape} and "
                f"{self.is_class.shape}."
            )
        if not self.is_class.any():
            raise ConfigError("None of the labels is a class; there is nothing to count.")
        if (wrong := np.flatnonzero(self.counts * ~self.is_class)).size:
            raise ConfigError(
                f"Label {wrong[0]} is not a class but has {self.counts[wrong[0]]} boxes."
            )

    @classmethod
    def of(cls, counts: Sequence[int], labels: Iterable[int], num_classes: int) -> BoxCounts:
        """Put counts of the real classes at their labels, among C columns.

        Args:
            counts: Boxes of K classes.
            labels: The label of each, K different numbers from 0 to C - 1.
            num_classes: Columns C of the head, as torchvision counts them: with the background.

        Raises:
            ConfigError: If numbers differ, or a label is out of range or there twice.

        Example:
            >>> BoxCounts.of([12, 3], labels=range(1, 3), num_classes=3)
            BoxCounts([-, 12, 3])
        """
        places = np.array(list(labels), dtype=np.int64)
        if len(places) != len(counts) or len(np.unique(places)) != len(places):
            raise ConfigError(f"{len(counts)} counts need as many different labels: {places}.")
        if len(places) and (places.min() < 0 or places.max() >= num_classes):
            raise ConfigError(
                f"Labels go from {places.min()} to {places.max()}, but a head of {num_classes} "
                f"columns has 0 to {num_classes - 1}. In torchvision num_classes counts the "
                "background, and is at least the largest label plus 1."
            )
        every, is_class = np.zeros(num_classes), np.zeros(num_classes, bool)
        every[places], is_class[places] = counts, True
        return cls(every, is_class)

    @property
    def num_boxes(self) -> int:
        """Boxes in all: the ``num_images`` of a loss built from these counts."""
        return int(self.counts.sum())

    def __len__(self) -> int:
        return len(self.counts)

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[int]: ...
    def __getitem__(self, index: int | slice) -> int | Sequence[int]:
        found = self.counts[index]
        return found.tolist() if isinstance(index, slice) else int(found)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.counts, dtype=dtype)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BoxCounts):
            return NotImplemented
        same = np.array_equal(self.counts, other.counts)
        return same and np.array_equal(self.is_class, other.is_class)

    def __repr__(self) -> str:
        shown = (str(n) if real else "-" for n, real in zip(self.counts, self.is_class))
        return f"BoxCounts([{', '.join(shown)}])"


def class_counts_from_coco(
    annotations: CocoAnnotations, num_classes: int | None = None
) -> BoxCounts:
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
        ConfigError: If a category id does not fit into C columns.

    Example:
        >>> class_counts_from_coco({
        ...     "images": [{"id": 1, "file_name": "a.jpg"}],
        ...     "categories": [{"id": 1, "name": "cat"}, {"id": 3, "name": "dog"}],
        ...     "annotations": [{"image_id": 1, "category_id": 3, "bbox": [0, 0, 9, 9]}],
        ... })
        BoxCounts([-, 0, -, 1])
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
    return BoxCounts.of(
        list(boxes.values()), list(boxes), max(ids) + 1 if num_classes is None else num_classes
    )


def class_counts_from_dataset(
    dataset: Any, num_classes: int, labels: Iterable[int] | None = None
) -> BoxCounts:
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
        BoxCounts([-, 2, 1])
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
            raise DataError(f"Item {place}: labels must be a list of integers, one a box")
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
    return BoxCounts(counts, is_class)


def _has_area(box: tuple[float, ...] | None, width: float | None, height: float | None) -> bool:
    """Whether something is left of an (x, y, width, height) box within its image."""
    if box is None or len(box) != 4:
        return False
    left, top, right, bottom = box[0], box[1], box[0] + box[2], box[1] + box[3]
    inside_x = min(right, width or right) > max(left, 0)
    return inside_x and min(bottom, height or bottom) > max(top, 0)
