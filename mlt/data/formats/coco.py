"""COCO ``instances_*.json``, and everything that looks like it, to a label table.

Only the fields that labels need are decoded, by msgspec into typed structs; polygons, which are
most of the file, are skipped over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Protocol, TypeAlias

import msgspec
import numpy as np

from mlt.data.labels import LabelTable
from mlt.data.sparse import csr_from_pairs
from mlt.data.strings import StringColumn
from mlt.errors import DataError, MissingFileError

__all__ = ["LoadedCoco", "coco_records", "read_coco"]


class LoadedCoco(Protocol):
    """What is used of a ``pycocotools.coco.COCO``: its parsed file."""

    dataset: dict[str, Any]


_Id = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class _Image(msgspec.Struct, gc=False):
    id: _Id
    file_name: str
    width: int | float | None = None
    height: int | float | None = None


class _Annotation(msgspec.Struct, gc=False):
    image_id: _Id
    category_id: _Id
    area: int | float | None = None
    bbox: tuple[float, ...] | None = None
    ignore: bool | int | None = None
    iscrowd: bool | int | None = None


class _Category(msgspec.Struct, gc=False):
    id: _Id
    name: str


class _Coco(msgspec.Struct):
    # Optional here so that a file without them gets a better message than msgspec's.
    images: list[_Image] | None = None
    annotations: list[_Annotation] | None = None
    categories: list[_Category] | None = None


_Parts: TypeAlias = tuple[list[_Image], list[_Annotation], list[_Category]]


def read_coco(
    annotations: str | Path | LoadedCoco, image_root: str | Path, *, min_image_size: int = 0
) -> LabelTable:
    """Read a COCO annotation file as a label table.

    Images keep the order of the file, and images without any label stay. Column c is the category
    with the c-th smallest id. Annotations marked ``ignore``, with ``area <= 0`` or with a box
    narrower or lower than one pixel are skipped; crowd regions count. These are the rules of the
    published COCO-MLT. A field that is absent (area, bbox, ...) never excludes an annotation.

    Args:
        annotations: The JSON file, or a loaded ``pycocotools.coco.COCO``.
        image_root: The folder that ``file_name`` starts from.
        min_image_size: Leave out images with a side shorter than this, in pixels; COCO-MLT uses 32.
            Images whose size the file does not give are kept.

    Returns:
        A table with int64 ids, of N images and C categories.

    Raises:
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
    source, (images, records, categories) = coco_records(annotations)
    if not categories:
        raise DataError(f"{source} has no categories, so there is nothing to learn")

    category_ids = _sorted_distinct([c.id for c in categories], "category", source)
    names = {c.id: c.name for c in categories}
    image_ids = np.array([i.id for i in images], np.int64)
    ordered_ids = _sorted_distinct(image_ids, "image", source)
    paths = StringColumn.from_iterable(i.file_name for i in images)
    if twice := paths.duplicates():
        raise DataError(f"{source} lists {len(twice)} file names more than once: {twice[0]!r}")

    counts = np.fromiter((_counts(a) for a in records), bool, len(records))
    of_image = np.fromiter((a.image_id for a in records), np.int64, len(records))
    of_category = np.fromiter((a.category_id for a in records), np.int64, len(records))
    rows = np.argsort(image_ids)[_places(of_image, ordered_ids, "image", source)]
    columns = _places(of_category, category_ids, "category", source)
    table = LabelTable(
        image_ids=image_ids,
        paths=paths,
        class_names=tuple(names[i] for i in category_ids.tolist()),
        labels=csr_from_pairs(rows[counts], columns[counts], (len(images), len(categories))),
        root=Path(image_root),
    )
    large = np.array([_is_large(i, min_image_size) for i in images], bool)
    return table if bool(large.all()) else table.take(np.flatnonzero(large))


def coco_records(annotations: str | Path | LoadedCoco) -> tuple[str, _Parts]:
    """Give a name for messages, and the images, annotations and categories as typed records.

    Args:
        annotations: The JSON file, or a loaded ``pycocotools.coco.COCO``.

    Raises:
        MissingFileError: If the file does not exist.
        DataError: If the file is not JSON or not COCO.
    """
    if isinstance(annotations, (str, Path)):
        return str(annotations), _read(Path(annotations))
    return "the loaded COCO object", _convert(annotations, "the loaded COCO object")


def _counts(annotation: _Annotation) -> bool:
    """Whether an annotation gives its image a label."""
    if annotation.ignore:
        return False
    if annotation.area is not None and annotation.area <= 0:
        return False
    box = annotation.bbox
    return box is None or len(box) != 4 or (box[2] >= 1 and box[3] >= 1)


def _is_large(image: _Image, size: int) -> bool:
    return not any(side is not None and side < size for side in (image.width, image.height))


def _read(path: Path) -> _Parts:
    if not path.is_file():
        raise MissingFileError(f"there is no annotation file {path}")
    data = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    start = data[:100].lstrip()
    if not start:
        raise DataError(f"{path} is empty; is the download complete?")
    if start.startswith(b"["):
        raise DataError(
            f"{path} is not a COCO instances file: it holds a list, as files of detection results "
            f"do, where an object with images, annotations and categories was expected"
        )
    try:
        coco = msgspec.json.decode(data, type=_Coco)
    except msgspec.ValidationError as error:
        raise DataError(f"{path} is not a COCO instances file: {_explain(error)}") from None
    except msgspec.DecodeError as error:
        if "truncated" in str(error):
            raise DataError(
                f"{path} is cut off: its JSON has not ended after {len(data):,} bytes; "
                f"is the download complete?"
            ) from None
        raise DataError(f"{path} is not JSON: {error}") from None
    return _parts(coco, str(path), lambda: list(msgspec.json.decode(data, type=dict[str, Any])))


def _convert(loaded: LoadedCoco, source: str) -> _Parts:
    dataset = getattr(loaded, "dataset", None)
    if not isinstance(dataset, dict):
        raise DataError(
            f"expected the path of a COCO file or a loaded pycocotools COCO, "
            f"got {type(loaded).__name__}"
        )
    try:
        coco = msgspec.convert(dataset, type=_Coco)
    except msgspec.ValidationError as error:
        raise DataError(f"{source} is not like a COCO instances file: {_explain(error)}") from None
    for record in coco.annotations or ():
        # COCOeval writes ignore = iscrowd into what it evaluates; the file did not say so.
        if record.iscrowd:
            record.ignore = None
    return _parts(coco, source, lambda: list(dataset))


def _parts(coco: _Coco, source: str, keys: Callable[[], list[str]]) -> _Parts:
    if coco.images is None or coco.annotations is None or coco.categories is None:
        found = keys()
        absent = [k for k in ("images", "annotations", "categories") if k not in found]
        raise DataError(
            f"{source} is not a COCO instances file: it has no {' and no '.join(absent)}; "
            f"its keys are {', '.join(found[:10]) or 'none'}. Labels are in instances_*.json"
        )
    return coco.images, coco.annotations, coco.categories


def _explain(error: msgspec.ValidationError) -> str:
    text = str(error)
    if "_id`" in text or ".id`" in text:
        text += "; ids must be 64-bit integers, and an annotation needs image_id and category_id"
    return text


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
