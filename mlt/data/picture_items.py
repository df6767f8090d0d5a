"""Data sets of one's own that yield Pillow's images, as torchvision's do without a transform."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from mlt.data.columns import StringColumn
from mlt.data.items import check_item
from mlt.data.labels import LabelTable
from mlt.errors import DataError, UserError

__all__ = ["ItemImages", "with_pictures"]

_LOOKED_AT = 8
"""Items that are tried until one can be read."""


@dataclass(frozen=True)
class ItemImages:
    """Reads the images of a data set by paths such as ``train/7``.

    Attributes:
        items: Yields ``(image, target)``; the image of Pillow's.
    """

    items: Any

    def read(self, path: str) -> Image.Image:
        """The image of an item.

        Raises:
            DataError: If it cannot be read, or is something else.
        """
        part, _, row = path.rpartition("/")
        where = f"data[{part!r}], item {row}"
        try:
            image = self.items[int(row)][0]
        except (OSError, UserError) as error:
            raise DataError(f"{where} cannot be read: {error}") from error
        if not isinstance(image, Image.Image):
            raise DataError(
                f"{where}: the image is a {type(image).__name__}, but that of an earlier item is "
                "Pillow's; they must all be the same"
            )
        return image


def with_pictures(table: LabelTable, items: Any, part: str) -> LabelTable | None:
    """The table with a reader of the items' images, where these are Pillow's; None where not.

    Args:
        table: The labels of the items.
        items: The data set; its first item is read.
        part: ``"train"``, ``"validation"`` or ``"test"``.

    Raises:
        DataError: If the item is not what training needs, or its target not that of the table.
    """
    first = _first(items, len(table))
    if first is None:
        return None
    row, item = first
    where = f"data[{part!r}], item {row}"
    _, target, known = check_item(item, table.class_names, where)
    mask = table.known_mask([row])[0]
    same = ((target.numpy() >= 0.5) == (table.targets([row])[0] == 1)).all()
    if not same or not (mask if known is None else known.numpy() == mask).all():
        raise DataError(
            f"{where}: its target, or what of it is known, is not the row {row} of the data set's "
            "attributes `targets` and `known`, which training would use"
        )
    paths = StringColumn.from_iterable(f"{part}/{row}" for row in range(len(table)))
    return replace(table, paths=paths, images=ItemImages(items))


def _first(items: Any, count: int) -> tuple[int, Sequence[Any]] | None:
    """The first item that can be read, with its number, if its image is Pillow's."""
    for row in range(min(count, _LOOKED_AT)):
        try:
            item = items[row]
        except (OSError, UserError):
            continue
        pair = isinstance(item, (tuple, list)) and len(item) in (2, 3)
        return (row, item) if pair and isinstance(item[0], Image.Image) else None
    return None
