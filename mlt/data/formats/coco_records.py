"""COCO and LVIS annotation files as typed records: the one parser behind labels and boxes.

Only the fields that are used are decoded, by msgspec into typed structs; polygons, which are most
of a file, are skipped over.
"""

from __future__ import annotations

import gzip
import mmap
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Protocol, TypeAlias

import msgspec

from mlt.errors import ConfigError, DataError, MissingFileError
from mlt.files import NOT_JSON

__all__ = [
    "CocoAnnotation",
    "CocoAnnotations",
    "CocoCategory",
    "CocoImage",
    "CocoRecords",
    "LoadedCoco",
    "integral",
    "read_coco_records",
    "unpacked_json",
]


class LoadedCoco(Protocol):
    """What is used of a ``pycocotools.coco.COCO`` or a ``lvis.LVIS``: its parsed file."""

    dataset: dict[str, Any]


CocoAnnotations: TypeAlias = str | Path | Mapping[str, Any] | LoadedCoco
"""A COCO or LVIS file, its parsed content, or the loaded ``COCO`` or ``LVIS`` object."""

_OTHERS = (
    "Other JSON (COCO's panoptic files, Datumaro, FiftyOne, LabelMe, ...): docs/other_formats.md"
)

_MARK = b"\xef\xbb\xbf"  # the byte order mark of UTF-8

_Id = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class CocoImage(msgspec.Struct, gc=False, kw_only=True):
    """An image. LVIS gives ``coco_url`` for ``file_name``, and the categories that are absent."""

    id: _Id
    file_name: str | None = None
    coco_url: Any = None
    neg_category_ids: list[_Id] | None = None
    width: int | float | None = None
    height: int | float | None = None


class CocoAnnotation(msgspec.Struct, gc=False, kw_only=True):
    """An object in an image; ``bbox`` is x, y, width, height in pixels, ``area`` square pixels."""

    image_id: _Id
    category_id: _Id
    area: int | float | None = None
    bbox: tuple[float, ...] | None = None
    ignore: bool | int | None = None
    iscrowd: bool | int | None = None


class CocoCategory(msgspec.Struct, gc=False, kw_only=True):
    """A category; LVIS says how frequent it is in its training set: r, c or f, and counts."""

    id: _Id
    name: str | None = None
    supercategory: Any = None
    frequency: str | None = None
    image_count: int | None = None
    instance_count: int | None = None


class CocoRecords(msgspec.Struct):
    """What a file holds, in its order. ``source`` names it in messages.

    Ids of images are all integers, and so are ids of categories; or, where that was allowed and one
    is not a 64-bit integer, all are strings.
    """

    source: str
    images: list[CocoImage]
    annotations: list[CocoAnnotation]
    categories: list[CocoCategory]

    def category_ids(self) -> list[int]:
        """The ids in ascending order, in which contiguous labels 0 to C - 1 are counted."""
        return sorted(category.id for category in self.categories)


class _File(msgspec.Struct):
    # Optional here so that a file without them gets a better message than msgspec's.
    images: list[CocoImage] | None = None
    annotations: list[CocoAnnotation] | None = None
    categories: list[CocoCategory] | None = None


_AnyId = int | str | float


class _AnyImage(CocoImage, gc=False, kw_only=True):
    id: _AnyId  # type: ignore[assignment]
    neg_category_ids: list[_AnyId] | None = None  # type: ignore[assignment]


class _AnyAnnotation(CocoAnnotation, gc=False, kw_only=True):
    image_id: _AnyId  # type: ignore[assignment]
    category_id: _AnyId  # type: ignore[assignment]


class _AnyCategory(CocoCategory, gc=False, kw_only=True):
    id: _AnyId  # type: ignore[assignment]


class _AnyFile(_File):
    images: list[_AnyImage] | None = None  # type: ignore[assignment]
    annotations: list[_AnyAnnotation] | None = None  # type: ignore[assignment]
    categories: list[_AnyCategory] | None = None  # type: ignore[assignment]


def read_coco_records(annotations: CocoAnnotations, *, any_ids: bool = False) -> CocoRecords:
    """Read a COCO or LVIS file, or take over what was read of one already.

    Args:
        annotations: The JSON file, which may be packed as ``.json.gz``, its parsed content, or a
            loaded ``pycocotools.coco.COCO`` or ``lvis.LVIS``.
        any_ids: Whether ids may be other than 64-bit integers. They are then strings.

    Raises:
        ConfigError: If it is none of these.
        MissingFileError: If the file does not exist.
        DataError: If it is not JSON, or neither COCO nor LVIS; the message says where.

    Example:
        >>> records = read_coco_records({
        ...     "images": [{"id": 4}], "categories": [{"id": 9, "name": "dog"}],
        ...     "annotations": [{"image_id": 4, "category_id": 9, "bbox": [0, 0, 5, 2]}],
        ... })
        >>> records.annotations[0].bbox, records.category_ids()
        ((0.0, 0.0, 5.0, 2.0), [9])
    """
    if isinstance(annotations, (str, Path)):
        return _from_file(Path(annotations), any_ids)
    content = getattr(annotations, "dataset", annotations)
    if not isinstance(content, Mapping):
        raise ConfigError(
            "expected an annotation file, its parsed content or a loaded COCO or LVIS object, got "
            f"{type(annotations).__name__}"
        )
    kind = "content" if content is annotations else f"loaded {type(annotations).__name__} object"
    return _from_content(dict(content), f"the {kind}", any_ids)


def _from_file(path: Path, any_ids: bool) -> CocoRecords:
    if not path.is_file():
        raise MissingFileError(f"there is no annotation file {path}")
    data = unpacked_json(path)
    start = bytes(data[:100]).lstrip()
    if not start:
        raise DataError(f"{path} is empty; is the download complete?")
    if start.startswith((b"<?xml", b"<annotation")):
        raise DataError(
            f"{path} is XML, not JSON; Pascal VOC is read by name: voc; CVAT exports that and COCO"
        )
    if start.startswith(b"["):
        raise DataError(
            f"{path} is not a COCO or LVIS instances file: it holds a list, as files of detection "
            f"results do, where an object with images, annotations and categories was expected. If "
            f"it lists images with their labels, it is a table: name: csv"
        )
    try:
        file = _decode(lambda kind: msgspec.json.decode(data, type=kind), any_ids)
    except msgspec.ValidationError as error:
        raise DataError(f"{path} is not a COCO or LVIS instances file: {_explain(error)}") from None
    except NOT_JSON as error:
        if "truncated" in str(error):
            raise DataError(
                f"{path} is cut off: its JSON has not ended after {len(data):,} bytes; "
                f"is the download complete?"
            ) from None
        raise DataError(f"{path} is not JSON: {error}") from None
    return _records(file, str(path), lambda: list(msgspec.json.decode(data, type=dict[str, Any])))


def unpacked_json(path: Path) -> memoryview:
    """What is in a file, unpacked, without a byte order mark; memory-mapped where it can be."""
    data: bytes | mmap.mmap = b""
    with path.open("rb") as stream:
        start = stream.read(len(_MARK))
        if start:  # an empty file cannot be mapped
            data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    if start.startswith(b"\x1f\x8b"):
        try:
            data = gzip.decompress(data)
        except (EOFError, OSError, zlib.error) as error:
            raise DataError(
                f"{path} cannot be unpacked: {error}; is the download complete?"
            ) from None
    return memoryview(data)[len(_MARK) if data[: len(_MARK)] == _MARK else 0 :]


def _decode(decode: Callable[[type[_File]], _File], any_ids: bool) -> _File:
    """Decode into the strict types, which are fast; into those with any ids where that fails."""
    try:
        return decode(_File)
    except msgspec.ValidationError:
        if not any_ids:
            raise
    file = decode(_AnyFile)
    _unify_ids(file)
    return file


def _from_content(content: dict[str, Any], source: str, any_ids: bool) -> CocoRecords:
    try:
        file = _decode(lambda kind: msgspec.convert(content, type=kind), any_ids)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        raise DataError(
            f"{source} is not like a COCO or LVIS instances file: {_explain(error)}"
        ) from None
    for record in file.annotations or ():
        # COCOeval writes ignore = iscrowd into what it evaluates; the file did not say so.
        if record.iscrowd:
            record.ignore = None
    return _records(file, source, lambda: list(content))


def _records(file: _File, source: str, keys: Callable[[], list[str]]) -> CocoRecords:
    if file.images is None or file.annotations is None or file.categories is None:
        try:
            found = keys()
        except NOT_JSON as error:  # the fields that are read need not be all
            raise DataError(f"{source} is not JSON: {error}") from None
        absent = [k for k in ("images", "annotations", "categories") if getattr(file, k) is None]
        has_no = (
            f"it has no {' and no '.join(absent)}; its keys are {', '.join(found[:10]) or 'none'}"
        )
        if null := [key for key in absent if key in found]:
            has_no = f"{' and '.join(null)} must be a list, not null"
        remedy = "Labels are in instances_*.json. " + _OTHERS
        if absent == ["categories"]:
            remedy = (
                'Labels need a list categories with entries such as {"id": 1, "name": "cat"}: '
                "export it with its classes"
            )
        raise DataError(f"{source} is not a COCO or LVIS instances file: {has_no}. {remedy}")
    return CocoRecords(source, file.images, file.annotations, file.categories)


def _explain(error: Exception) -> str:
    text = str(error)
    if "_id`" in text or ".id`" in text:
        text += "; ids must be 64-bit integers, and an annotation needs image_id and category_id"
    return f"{text}. {_OTHERS}"


def _unify_ids(file: _File) -> None:
    """Make the ids of images all integers or all strings, and those of categories."""
    images, annotations = file.images or [], file.annotations or []
    is_image_text = _any_text([i.id for i in images], [a.image_id for a in annotations])
    negative = [c for i in images for c in i.neg_category_ids or ()]
    ids = [c.id for c in file.categories or ()], [a.category_id for a in annotations], negative
    is_category_text = _any_text(*ids)
    for image in images:
        image.id = _plain(image.id, is_image_text)
        if image.neg_category_ids is not None:
            image.neg_category_ids = [_plain(c, is_category_text) for c in image.neg_category_ids]
    for annotation in annotations:
        annotation.image_id = _plain(annotation.image_id, is_image_text)
        annotation.category_id = _plain(annotation.category_id, is_category_text)
    for category in file.categories or ():
        category.id = _plain(category.id, is_category_text)


def _any_text(*ids: list[Any]) -> bool:
    """Whether an id is not a 64-bit integer; 3.0 is one."""
    return any(
        not isinstance(plain := integral(i), int) or not -(2**63) <= plain < 2**63
        for part in ids
        for i in part
    )


def _plain(value: Any, is_text: bool) -> Any:
    return str(integral(value)) if is_text else integral(value)


def integral(value: Any) -> Any:
    """A number as an integer where it is one, as 3.0 is; anything else as it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
