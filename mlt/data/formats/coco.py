"""COCO ``instances_*.json``, and everything that looks like it, to a label table."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from scipy.sparse import csr_array

from mlt.data.columns import Column, StringColumn, duplicates, positions
from mlt.data.formats.coco_classes import classes_of
from mlt.data.formats.coco_records import (
    CocoAnnotation,
    CocoAnnotations,
    CocoImage,
    CocoRecords,
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

    Images keep the order of the file, and images without any label stay. The classes are the names
    of the categories in the order of their ids, see
    :func:`mlt.data.formats.coco_classes.classes_of`.

    Annotations marked ``ignore``, with ``area <= 0`` or with a box narrower or lower than one pixel
    are skipped, and counted in the notes; crowd regions count. These are the rules of the published
    COCO-MLT. What is absent never excludes an annotation: without a box it is a label all the same.

    Where images have ``neg_category_ids``, as LVIS has them, these and the labels are what is
    known; all else was never checked. Without ``file_name``, the path is that of ``coco_url``.

    Args:
        annotations: The JSON file, which may be packed as ``.json.gz``, its parsed content, or a
            loaded ``pycocotools.coco.COCO``.
        image_root: The folder that ``file_name`` starts from.
        min_image_size: Leave out images with a side shorter than this, in pixels; COCO-MLT uses 32.
            Images whose size the file does not give are kept.

    Returns:
        A table of N images and C classes. Its ids are int64, or strings if one of them is not a
        64-bit integer.

    Raises:
        ConfigError: If ``annotations`` is something else.
        MissingFileError: If the file does not exist.
        DataError: If the file is not JSON, not COCO, contradicts itself, or no label is left of its
            annotations; the message says where.

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
    coco = read_coco_records(annotations, any_ids=True)
    source, images, records = coco.source, coco.images, coco.annotations
    classes = classes_of(coco)
    image_ids = _ids([image.id for image in images])
    if twice := duplicates(image_ids):
        raise DataError(
            f"{source} has {len(twice)} image ids more than once, for example {min(twice)}; "
            "were two files joined?"
        )
    paths = _paths(images, source)
    category_ids = _ids(classes.ids)

    reasons = _reasons(records)
    rows = _places(_ids([a.image_id for a in records]), image_ids, "image", source)
    places = _places(_ids([a.category_id for a in records]), category_ids, "category", source)
    counts, shape = reasons == _COUNTS, (len(images), len(classes.names))
    columns = classes.columns[places]
    labels = csr_from_pairs(rows[counts], columns[counts], shape)
    skipped = _skipped(coco, reasons)
    large = np.array([_is_large(i, min_image_size) for i in images], bool)
    small = f"images left out for a side under {min_image_size} pixels: {(~large).sum()}"
    table = LabelTable(
        image_ids=image_ids,
        paths=paths,
        class_names=classes.names,
        labels=labels,
        known=_known(coco, labels, category_ids, classes.columns),
        root=Path(image_root),
        notes=(*classes.notes, *skipped, *([] if large.all() else [small])),
    )
    return table if bool(large.all()) else table.take(np.flatnonzero(large))


_COUNTS = 0
_REASONS = {1: "marked ignore", 2: "with an area of 0 or less", 3: "with a box under a pixel"}


def _reasons(annotations: list[CocoAnnotation]) -> np.ndarray:
    """Why each annotation gives its image no label, (A,) uint8; ``_COUNTS`` where it does.

    The first reason is the one that is counted.
    """
    # Comprehensions: a call per annotation would take as long as decoding them does.
    ignored = np.array([bool(a.ignore) for a in annotations], bool)
    without_area = np.array(
        [a.area is not None and a.area <= 0 and bool(a.bbox) for a in annotations], bool
    )
    boxes = [a.bbox or () for a in annotations]
    small = np.array([len(b) == 4 and (b[2] < 1 or b[3] < 1) for b in boxes], bool)
    return np.select([ignored, without_area, small], [1, 2, 3], _COUNTS).astype(np.uint8)


def _skipped(coco: CocoRecords, reasons: np.ndarray) -> list[str]:
    """A sentence on the annotations that give no label.

    Raises:
        DataError: If there is no other, and their boxes are why.
    """
    numbers = dict(enumerate(np.bincount(reasons, minlength=4).tolist()))
    listed = ", ".join(f"{numbers[code]} {why}" for code, why in _REASONS.items() if numbers[code])
    if not listed:
        return []
    if not numbers[_COUNTS] and numbers[1] < len(reasons):
        remedy = (
            "if the boxes are wrong, remove bbox and area: labels do not need them"
            if not _are_shares(coco.annotations)
            else "all boxes are within 0..1, as shares of the image; multiply x and width by the "
            "width of the image and y and height by its height, or remove bbox: labels do not "
            "need it"
        )
        raise DataError(
            f"{coco.source}: none of its {len(reasons)} annotations gives a label ({listed}); "
            f"{remedy}"
        )
    return [f"{(reasons != _COUNTS).sum()} of {len(reasons)} annotations give no label: {listed}"]


def _are_shares(annotations: list[CocoAnnotation]) -> bool:
    """Whether boxes are shares of the size of their image, not pixels."""
    boxes = [a.bbox for a in annotations if a.bbox]
    return all(0 <= side <= 1 for box in boxes for side in box) and any(
        max(b[2:]) > 0 for b in boxes
    )


def _known(
    coco: CocoRecords, labels: csr_array, category_ids: Column, columns: np.ndarray
) -> csr_array | None:
    """Labels, and what was checked and is absent; None where the file does not say."""
    negatives = [image.neg_category_ids for image in coco.images]
    if all(listed is None for listed in negatives):
        return None
    lengths = [len(listed or ()) for listed in negatives]
    flat = _ids([category for listed in negatives for category in listed or ()])
    absent = columns[_places(flat, category_ids, "category", coco.source, "neg_category_ids")]
    rows = np.repeat(np.arange(len(negatives)), lengths)[absent >= 0]
    return csr_array(labels + csr_from_pairs(rows, absent[absent >= 0], labels.shape))


def _paths(images: list[CocoImage], source: str) -> StringColumn:
    """The files of the images; every image must have one, and its own."""
    names = [image.file_name or _path_of_url(image.coco_url) for image in images]
    if None in names:
        raise DataError(
            f"{source} is not a COCO instances file: Object missing required field `file_name` - "
            f"at `$.images[{names.index(None)}]`"
        )
    paths = StringColumn.from_iterable(name for name in names if name is not None)
    if twice := duplicates(paths):
        raise DataError(f"{source} lists {len(twice)} file names more than once: {twice[0]!r}")
    return paths


def _path_of_url(url: object) -> str | None:
    return urlsplit(url).path.lstrip("/") or None if isinstance(url, str) else None


def _is_large(image: CocoImage, size: int) -> bool:
    return not any(side is not None and side < size for side in (image.width, image.height))


def _ids(ids: list[int]) -> Column:
    """Ids, which are all integers or, where one does not fit, all strings."""
    if ids and isinstance(ids[0], str):
        return StringColumn.from_iterable(map(str, ids))
    return np.fromiter(ids, np.int64, len(ids))


def _places(ids: Column, listed: Column, kind: str, source: str, field: str = "") -> np.ndarray:
    """The row of each id; every id must be listed."""
    if not len(ids):
        return np.empty(0, np.int64)  # of either kind
    places = positions(listed, ids) if len(listed) else np.full(len(ids), -1)
    if len(wrong := np.flatnonzero(places < 0)):
        of = {"image": "images", "category": "categories"}[kind]
        unknown = sorted(set(ids[wrong].tolist()))
        shown = ", ".join(map(str, unknown[:5])) + (", ..." if len(unknown) > 5 else "")
        raise DataError(
            f"{source}: the {field or f'{kind}_id'} of {len(wrong)} of {len(ids)} annotations is "
            f"not among its {of}: {shown}"
        )
    return places
