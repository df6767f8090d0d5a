"""PASCAL VOC's folders of XML files to a label table."""

from __future__ import annotations

import logging
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from pathlib import Path

from mlt.data.labels import LabelTable
from mlt.data.published import VOC_CLASSES
from mlt.errors import DataError, MissingFileError

__all__ = ["read_voc"]

log = logging.getLogger(__name__)


def read_voc(
    root: str | Path,
    folder: str = "VOC2012",
    image_set: str = "trainval",
    *,
    class_names: Iterable[str] | None = VOC_CLASSES,
    include_difficult: bool = True,
) -> LabelTable:
    """Read one image set of a VOCdevkit tree as a label table.

    An image has the labels of its objects; the same class twice counts once. Image ids are the
    stems of the XML files, in the order of the image set; images without any object stay.

    Args:
        root: The folder that holds ``folder``, or holds it in ``VOCdevkit/``, or is that folder.
        folder: ``"VOC2012"``, ``"VOC2007"``, or the name of a folder of the same layout:
            ``Annotations/*.xml``, ``ImageSets/Main/<image_set>.txt``, ``JPEGImages/``.
        image_set: The name of a list in ``ImageSets/Main``, such as ``"trainval"`` or ``"test"``.
            Without a folder ``ImageSets`` all XML files are read, sorted by name, with a warning.
        class_names: C names, in the order of the columns; VOC's twenty, alphabetical, by default.
            None takes the names that occur, sorted.
        include_difficult: Whether objects marked difficult give their image a label. They do in the
            published VOC-MLT.

    Returns:
        A table with string ids, of N images and C classes, whose root is the VOC folder.

    Raises:
        MissingFileError: If the folder, the image set or an XML file does not exist.
        DataError: If an XML file is broken, has a document type, or names a class that is not in
            ``class_names``; the message says which file.

    Example:
        >>> import tempfile
        >>> voc = Path(tempfile.mkdtemp()) / "VOC2012"
        >>> (voc / "Annotations").mkdir(parents=True)
        >>> _ = (voc / "Annotations" / "a.xml").write_text(
        ...     "<annotation><object><name>cat</name></object></annotation>")
        >>> (voc / "ImageSets" / "Main").mkdir(parents=True)
        >>> _ = (voc / "ImageSets" / "Main" / "trainval.txt").write_text("a\\n")
        >>> table = read_voc(voc.parent)
        >>> table.paths[0], table.class_names[table.labels.indices[0]]
        ('JPEGImages/a.jpg', 'cat')
    """
    voc = _find_folder(Path(root), folder)
    ids = _image_ids(voc, image_set)
    allowed = None if class_names is None else tuple(class_names)
    paths: list[str] = []
    found: list[set[str]] = []
    for image_id in ids:
        file = voc / "Annotations" / f"{image_id}.xml"
        suffix, names = _read_xml(file, include_difficult)
        if allowed is not None and (unknown := sorted(names.difference(allowed))):
            raise DataError(
                f"{file} has an object of class {unknown[0]!r}, which is not among the "
                f"{len(allowed)} class names: {', '.join(allowed)}"
            )
        paths.append(f"JPEGImages/{image_id}{suffix}")
        found.append(names)
    classes = tuple(sorted(set().union(*found))) if allowed is None else allowed
    columns = {name: c for c, name in enumerate(classes)}
    return LabelTable.from_lists(
        ids, paths, classes, [[columns[n] for n in names] for names in found], root=voc
    )


def _find_folder(root: Path, folder: str) -> Path:
    candidates = [root / folder, root / "VOCdevkit" / folder, root]
    for candidate in candidates:
        if (candidate / "Annotations").is_dir():
            return candidate
    raise MissingFileError(
        f"there is no {folder} in {root}: expected {root / folder / 'Annotations'} with the XML "
        f"files (or {candidates[1]}). Unpack the VOC archives there, or give the folder that "
        f"holds {folder}"
    )


def _image_ids(voc: Path, image_set: str) -> list[str]:
    lists = voc / "ImageSets" / "Main"
    file = lists / f"{image_set}.txt"
    if file.is_file():
        # The lists of a single class have a second column, +1 or -1.
        lines = file.read_text(encoding="utf-8").splitlines()
        return [line.split()[0] for line in lines if line.strip()]
    if lists.is_dir():
        sets = sorted(p.stem for p in lists.glob("*.txt") if "_" not in p.stem)
        raise MissingFileError(
            f"there is no image set {image_set!r} in {lists}; there are {', '.join(sets) or 'none'}"
        )
    ids = sorted(p.stem for p in (voc / "Annotations").glob("*.xml"))
    log.warning("%s does not exist: taking all %d annotated images of %s", file, len(ids), voc)
    return ids


class _WithoutDoctype(ET.TreeBuilder):
    """Refuses document types, and with them entities, which can expand without end."""

    def doctype(self, name: str, public_id: str | None, system_id: str | None) -> None:
        raise DataError("it declares a document type, which annotations do not need")


def _read_xml(file: Path, include_difficult: bool) -> tuple[str, set[str]]:
    """The suffix of the image and the names of the objects."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise MissingFileError(f"the image set lists {file.stem}, but there is no {file}") from None
    parser = ET.XMLParser(target=_WithoutDoctype())
    try:
        parser.feed(content)
        annotation = parser.close()
    except (ET.ParseError, DataError) as error:
        raise DataError(f"{file} cannot be read as an annotation: {error}") from None
    _check_layout(file, annotation)
    names = set()
    # Direct children only: the parts of a person (head, hand, foot) have names too.
    for item in annotation.iterfind("object"):
        name = (item.findtext("name") or "").strip()
        if not name:
            raise DataError(f"{file} has an object without a name")
        if include_difficult or (item.findtext("difficult") or "0").strip() != "1":
            names.add(name)
    return Path((annotation.findtext("filename") or "").strip()).suffix or ".jpg", names


def _check_layout(file: Path, annotation: ET.Element) -> None:
    """Refuse what would be read as an image without labels because its objects are elsewhere."""
    if _local_name(annotation) != "annotation":
        raise DataError(
            f"{file} is not an annotation: its outermost element is <{_local_name(annotation)}>, "
            "not <annotation>"
        )
    read = set(annotation.iterfind("object"))
    for element in annotation.iter():
        if _local_name(element).lower() == "object" and element not in read:
            raise DataError(
                f"{file} has a <{_local_name(element)}>, which is not read: objects are <object> "
                "elements directly inside <annotation>"
            )


def _local_name(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]
