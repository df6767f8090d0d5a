"""One XML file of PASCAL VOC: which objects an image has."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import NamedTuple

from mlt.errors import DataError, MissingFileError

__all__ = ["VocAnnotation", "read_annotation"]

_DECLARED = re.compile(rb"""\s*<\?xml[^>]*?\sencoding\s*=\s*["']([\w.-]+)["']""")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class VocAnnotation(NamedTuple):
    """The name of the image file as it is written, and the classes of its objects."""

    filename: str
    names: set[str]
    certain: set[str]
    """Those of objects that are not marked difficult."""


def read_annotation(file: Path) -> VocAnnotation:
    """Read the XML file of an image, in any name space and in any encoding that it declares.

    Raises:
        MissingFileError: If the file does not exist.
        DataError: If it is not XML, is something else than an annotation, has a document type, or
            an object without a name.
    """
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise MissingFileError(f"the image set lists {file.stem}, but there is no {file}") from None
    parser = ET.XMLParser(target=_WithoutDoctype())
    try:
        parser.feed(_decoded(content))
        annotation = parser.close()
    except (ET.ParseError, DataError) as error:
        raise DataError(f"{file} cannot be read as an annotation: {error}") from None
    _check_layout(file, annotation)
    names, certain = set(), set()
    # Direct children only: the parts of a person (head, hand, foot) have names too.
    for item in annotation.iterfind("{*}object"):
        name = (item.findtext("{*}name") or "").strip()
        if not name:
            raise DataError(f"{file} has an object without a name")
        names.add(name)
        if (item.findtext("{*}difficult") or "0").strip() != "1":
            certain.add(name)
    return VocAnnotation((annotation.findtext("{*}filename") or "").strip(), names, certain)


def _check_layout(file: Path, annotation: ET.Element) -> None:
    """Refuse what would be read as an image without labels because its objects are elsewhere."""
    if (name := _local_name(annotation)) != "annotation":
        of_cvat = name == "annotations"
        remedy = ". If it is of CVAT, export the task as Pascal VOC, or boxes as COCO" * of_cvat
        raise DataError(
            f"{file} is not an annotation: its outermost element is <{name}>, not <annotation>"
            f"{remedy}"
        )
    read = set(annotation.iterfind("{*}object"))
    for element in annotation.iter():
        if _local_name(element).lower() == "object" and element not in read:
            raise DataError(
                f"{file} has a <{_local_name(element)}>, which is not read: objects are <object> "
                "elements directly inside <annotation>"
            )


def _local_name(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


class _WithoutDoctype(ET.TreeBuilder):
    """Refuses document types, and with them entities, which can expand without end."""

    def doctype(self, name: str, public_id: str | None, system_id: str | None) -> None:
        raise DataError("it declares a document type, which annotations do not need")


def _decoded(content: bytes) -> str | bytes:
    """Text where an encoding is declared, of which the parser itself knows few; else the bytes."""
    marked = content.startswith(_BYTE_ORDER_MARK)
    content = content.removeprefix(_BYTE_ORDER_MARK)
    declared = _DECLARED.match(content)
    if declared is None:
        return content
    name = declared[1].decode()
    if marked or name.lower().startswith(("utf-16", "utf16", "unicode", "ucs")):
        name = "utf-8"  # one can read the declaration byte by byte, so it is not true
    try:
        return content.decode(name)
    except LookupError:
        raise DataError(f"it declares the encoding {name!r}, which is not known") from None
    except UnicodeError as error:
        raise DataError(f"it is not in the encoding that it declares: {error}") from None
