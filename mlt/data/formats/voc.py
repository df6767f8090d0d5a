"""PASCAL VOC's folders of XML files to a label table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from mlt.data.formats.voc_annotation import VocAnnotation, read_annotation
from mlt.data.formats.voc_layout import VocFolder, class_lists, find_voc_folder
from mlt.data.labels import LabelTable
from mlt.data.published import VOC_CLASSES
from mlt.errors import DataError, MissingFileError

__all__ = ["read_voc"]


def read_voc(
    root: str | Path,
    folder: str = "VOC2012",
    image_set: str = "trainval",
    *,
    class_names: Iterable[str] | None = VOC_CLASSES,
    include_difficult: bool = True,
) -> LabelTable:
    """Read one image set of a VOCdevkit tree, or a folder of XML files, as a label table.

    An image has the labels of its objects; the same class twice counts once. Image ids are the
    stems of the XML files, in the order of the image set; images without any object stay. Where
    there are no XML files, the labels are those of the lists ``<class>_<image_set>.txt``.

    Args:
        root: The folder that holds ``folder``, or holds it in ``VOCdevkit/``, or is that folder.
        folder: ``"VOC2012"``, ``"VOC2007"``, or the name of a folder of the same layout:
            ``Annotations/*.xml``, ``ImageSets/Main/<image_set>.txt``, ``JPEGImages/``; or of a
            folder that holds XML files and images itself.
        image_set: The name of a list in ``ImageSets/Main``, such as ``"trainval"`` or ``"test"``;
            without it, the images of all ``<class>_<image_set>.txt`` are taken. Without a folder
            ``ImageSets`` all XML files are read, sorted by name, with a warning.
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
    voc = find_voc_folder(Path(root), folder)
    ids, notes = voc.image_ids(image_set)
    marks = {} if voc.annotations else class_lists(voc.lists, image_set)
    if not (voc.annotations or marks):
        raise MissingFileError(
            f"{voc.root} has neither Annotations/*.xml nor lists {voc.lists}/*_{image_set}.txt"
        )
    annotations = [
        read_annotation(voc.annotation(i)) if voc.annotations else _marked(marks, i) for i in ids
    ]
    if voc.annotations and not any(a.names for a in annotations):
        lists = class_lists(voc.lists, image_set)
        if any(mark >= 0 for of_class in lists.values() for mark in of_class.values()):
            marks, annotations = lists, [_marked(lists, i) for i in ids]
            notes.append(f"no annotation has an object: labels are of the lists *_{image_set}.txt")
    found = [a.names if include_difficult else a.certain for a in annotations]
    if class_names is None:
        classes = tuple(sorted(set(marks).union(*found)))
    else:
        classes = tuple(class_names)
        _check_classes(voc, ids, found, classes)
    columns = {name: c for c, name in enumerate(classes)}
    # A list of a class need not have every image, and not every class has a list.
    listed_classes = [name for name in marks if name in columns]
    listed = [[columns[name] for name in listed_classes if i in marks[name]] for i in ids if marks]
    table = LabelTable.from_lists(
        ids,
        [voc.image(i, a.filename) for i, a in zip(ids, annotations)],
        classes,
        [[columns[name] for name in names] for names in found],
        root=voc.root,
        known_indices=listed if any(len(row) < len(classes) for row in listed) else None,
    )
    return replace(table, notes=tuple(notes))


def _marked(marks: dict[str, dict[str, int]], image_id: str) -> VocAnnotation:
    """What the lists of each class say of an image."""
    of_image = {
        name: of_class[image_id] for name, of_class in marks.items() if image_id in of_class
    }
    names = {name for name, mark in of_image.items() if mark >= 0}
    return VocAnnotation("", names, {name for name in names if of_image[name] > 0})


def _check_classes(
    voc: VocFolder, ids: list[str], found: list[set[str]], classes: tuple[str, ...]
) -> None:
    for image_id, names in zip(ids, found):
        if unknown := sorted(names.difference(classes)):
            file = voc.annotation(image_id) if voc.annotations else f"image {image_id}"
            raise DataError(
                f"{file} has an object of class {unknown[0]!r}, which is not among the "
                f"{len(classes)} class names: {', '.join(classes)}"
            )
