"""COCO ``instances_*.json``, and everything that looks like it, to a label table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mlt.data.columns import StringColumn, duplicates
from mlt.data.formats.coco_records import (
    CocoAnnotation,
    CocoAnnotations,
    CocoImage,
    read_coco_records,
)
from mlt.data.labels import LabelTable
from mlt.data.sparse import csr_from_pairs
from mlt.errors import DataError

__all__ = ["read_coco"]


def read_coco(
    annotations: CocoAnnotations, image_root: str | Path, *, min_image_size: int = 0
) -> LabelTable:
    """Read a COCO annotation file as a label table.

    Images keep the order of the file, and images without any label stay. Column c is the category
    with the c-th smallest id. Annotations marked ``ignore``, with ``area <= 0`` or with a box
    narrower or lower than one pixel are skipped; crowd regions count. These are the rules of the
    published COCO-MLT. A field that is absent (area, bbox, ...) never excludes an annotation.

    Args:
        annotations: The JSON file, its parsed content, or a loaded ``pycocotools.coco.COCO``.
        image_root: The folder that ``file_name`` starts from.
        min_image_size: Leave out images with a side shorter than this, in pixels; COCO-MLT uses 32.
            Images whose size the file does not give are kept.

    Returns:
        A table with int64 ids, of N images and C categories.

    Raises:
        ConfigError: If ``annotations`` is something else.
        MissingFileError: If the file does not exist.
        DataError: If the file is not JSON, not COCO, or contradicts itself; the message says where.

    Example:
        >>> import json, tempfile
        >>> file = Path(tempfile.mkdtemp()) / "instances.json"
        >>> _ = file.write_text(json.dumps({
        ...     "images": [{"id": 4, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}],
        ...     "categories": [{"id": 9, "name": "dog"}, {"id": 3, "name": "cat"}],
        ...     "annotations": [{"image_id": 2, "category_id": 9}],
        ... }))
        >>> table = read_coco(file, "photos")
        >>> table.class_names, table.image_ids.tolist(), table.targets([0, 1]).tolist()
        (('cat', 'dog'), [4, 2], [[0.0, 0.0], [0.0, 1.0]])
    """
    coco = read_coco_records(annotations)
    source, images, records = coco.source, coco.images, coco.annotations
    if not coco.categories:
        raise DataError(f"{source} has no categories, so there is nothing to learn")
    names = _present("name", [c.name for c in coco.categories], "categories", source)
    files = _present("file_name", [i.file_name for i in images], "images", source)

    category_ids = _sorted_distinct([c.id for c in coco.categories], "category", source)
    name_of = dict(zip((c.id for c in coco.categories), names))
    image_ids = np.array([i.id for i in images], np.int64)
    ordered_ids = _sorted_distinct(image_ids, "image", source)
    paths = StringColumn.from_iterable(files)
    if twice := duplicates(paths):
        raise DataError(f"{source} lists {len(twice)} file names more than once: {twice[0]!r}")

    counts = np.fromiter((_counts(a) for a in records), bool, len(records))
    of_image = np.fromiter((a.image_id for a in records), np.int64, len(records))
    of_category = np.fromiter((a.category_id for a in records), np.int64, len(records))
    rows = np.argsort(image_ids)[_places(of_image, ordered_ids, "image", source)]
    columns = _places(of_category, category_ids, "category", source)
    table = LabelTable(
        image_ids=image_ids,
        paths=paths,
        class_names=tuple(name_of[i] for i in category_ids.tolist()),
        labels=csr_from_pairs(rows[counts], columns[counts], (len(images), len(category_ids))),
        root=Path(image_root),
    )
    large = np.array([_is_large(i, min_image_size) for i in images], bool)
    return table if bool(large.all()) else table.take(np.flatnonzero(large))


def _counts(annotation: CocoAnnotation) -> bool:
    """Whether an annotation gives its image a label."""
    if annotation.ignore:
        return False
    if annotation.area is not None and annotation.area <= 0:
        return False
    box = annotation.bbox
    return box is None or len(box) != 4 or (box[2] >= 1 and box[3] >= 1)


def _is_large(image: CocoImage, size: int) -> bool:
    return not any(side is not None and side < size for side in (image.width, image.height))


def _present(field: str, values: list[str | None], kind: str, source: str) -> list[str]:
    """The values of a field that labels need and boxes do not; every record must have it."""
    present = [value for value in values if value is not None]
    if len(present) < len(values):
        raise DataError(
            f"{source} is not a COCO instances file: Object missing required field `{field}` - at "
            f"`$.{kind}[{values.index(None)}]`"
        )
    return present


def _sorted_distinct(ids: Sequence[int] | np.ndarray, kind: str, source: str) -> np.ndarray:
    ordered = np.sort(np.asarray(ids, np.int64))
    twice = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if len(twice):
        raise DataError(
            f"{source} has {len(twice)} {kind} ids more than once, "
            f"for example {twice[0]}; were two files joined?"
        )
    return ordered


def _places(ids: np.ndarray, ordered: np.ndarray, kind: str, source: str) -> np.ndarray:
    """Where each id is in the ascending ``ordered``; every id must be there."""
    places = np.searchsorted(ordered, ids)
    known = places < len(ordered)
    known[known] = ordered[places[known]] == ids[known]
    if not bool(known.all()):
        wrong = np.unique(ids[~known])
        listed = {"image": "images", "category": "categories"}[kind]
        shown = ", ".join(map(str, wrong[:5])) + (", ..." if len(wrong) > 5 else "")
        raise DataError(
            f"{source}: the {kind}_id of {int((~known).sum())} of {len(ids)} annotations is not "
            f"among its {listed}: {shown}"
        )
    return places
