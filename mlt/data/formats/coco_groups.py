"""Groups of images in a COCO file: a field of each image, such as its video."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from mlt.data.columns import Column, StringColumn
from mlt.data.formats.coco_records import integral, unpacked_json
from mlt.errors import DataError

__all__ = ["image_groups"]


class _Images(msgspec.Struct):
    images: list[dict[str, Any]]


def image_groups(file: str | Path, field: str, image_ids: Column) -> StringColumn:
    """The value of a field of each image, as text; empty where an image does not have it.

    Args:
        file: The COCO file.
        field: The name of the field, such as ``video_id``.
        image_ids: The ids of N images of the file.

    Raises:
        DataError: If no image has the field.
    """
    images = msgspec.json.decode(unpacked_json(Path(file)), type=_Images).images
    of_image = {_text(image["id"]): image.get(field) for image in images if "id" in image}
    values = [of_image.get(str(image_id)) for image_id in image_ids.tolist()]
    if all(value is None for value in values):
        fields = ", ".join(sorted({key for image in images[:100] for key in image}))
        raise DataError(f"--group: no image of {file} has a field {field!r}; they have {fields}")
    return StringColumn.from_iterable("" if value is None else _text(value) for value in values)


def _text(value: Any) -> str:
    """A value as text, 1.0 like 1: files write the same number both ways."""
    return str(integral(value))
