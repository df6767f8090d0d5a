"""A folder of images per class, in a folder or a ZIP file: one label per image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from mlt.data.formats.image_folder import read_image_folder
from mlt.data.formats.zip_images import ZipImages
from mlt.data.labels import LabelTable
from mlt.errors import DataError

__all__ = ["class_order", "has_part", "read_class_folders"]


def class_order(names: Iterable[str]) -> list[str]:
    """Class folders in the order of their classes: numbers by their size, names by the alphabet.

    Example:
        >>> class_order(["10", "9"]), class_order(["ship", "cat"])
        (['9', '10'], ['cat', 'ship'])
    """
    distinct = set(names)
    if all(name.isdecimal() for name in distinct):
        return sorted(distinct, key=int)
    return sorted(distinct)


def has_part(images: ZipImages, part: str) -> bool:
    """Whether a ZIP file has a folder of class folders by this name."""
    return any(_class_in(name, part) is not None for name in images.members)


def read_class_folders(
    place: Path | ZipImages, part: str, class_names: Sequence[str] | None = None
) -> LabelTable:
    """Read ``part/class/image.png`` as a label table with one label per image.

    Files that hold the same image are images of their own.

    Args:
        place: The folder that holds the part, or a ZIP file that does, at any depth.
        part: The folder of the class folders.
        class_names: The classes; further folders come after them. None takes the folders, in the
            order of :func:`class_order`.

    Returns:
        A table in the order of the class folders' names, then of the files'.

    Raises:
        MissingFileError: If there is no such folder.
        DataError: If it has no class folder.
    """
    if isinstance(place, Path):
        folder = place / part
        below = [] if not folder.is_dir() else [p.name for p in folder.iterdir() if p.is_dir()]
        shown = [name for name in below if not name.startswith(".")]
        return read_image_folder(
            folder, class_names=class_names or class_order(shown), same_image="never"
        )
    found = {path: name for path in place.members if (name := _class_in(path, part))}
    if not found:
        raise DataError(f"{place.file} has no image in {part}/<class>/")
    names = list(class_names or ())
    names += [name for name in class_order(found.values()) if name not in names]
    column_of = {name: c for c, name in enumerate(names)}
    return LabelTable.from_lists(
        found,
        found,
        names,
        [[column_of[name]] for name in found.values()],
        place.file,
        images=place,
    )


def _class_in(path: str, part: str) -> str | None:
    """The class folder of a path within a part; None where it is of no part, or of no class."""
    folders = path.split("/")[:-1]
    at = folders.index(part) + 1 if part in folders else len(folders)
    return folders[at] if at < len(folders) else None
