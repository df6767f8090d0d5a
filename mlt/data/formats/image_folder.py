"""A folder per class to a label table; the same picture in several folders has all their labels."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias

from mlt.data.image_suffixes import IMAGE_SUFFIXES
from mlt.data.labels import LabelTable
from mlt.errors import DataError, MissingFileError

__all__ = ["SameImage", "read_image_folder"]

SameImage: TypeAlias = Literal["content", "name", "never"]

_START = 1 << 14


def read_image_folder(
    root: Path, *, class_names: Sequence[str] | None = None, same_image: SameImage = "content"
) -> LabelTable:
    """Read the layout of torchvision's ``ImageFolder``: ``root/class/.../image.jpg``.

    Ids are the paths below ``root``. Hidden files, files of other kinds and images that lie in no
    class folder are left out, and the latter two counted.

    Args:
        root: The folder of the class folders.
        class_names: The classes; further folders come after them, and those that are absent have
            no image. None takes the folders, sorted.
        same_image: When files of several class folders are one image with several labels:
            ``"content"``, where they are the same byte for byte; ``"name"``, where their paths
            below the class folders are the same; ``"never"``.

    Raises:
        MissingFileError: If there is no such folder.
        DataError: If it has no class folder.

    Example:
        >>> import tempfile
        >>> root = Path(tempfile.mkdtemp())
        >>> for name, content in {"cat/1.png": b"a", "dog/9.png": b"a", "dog/1.png": b"b"}.items():
        ...     (root / name).parent.mkdir(exist_ok=True)
        ...     _ = (root / name).write_bytes(content)
        >>> table = read_image_folder(root)
        >>> table.image_ids.tolist(), table.targets([0, 1]).tolist()
        (['cat/1.png', 'dog/1.png'], [[1.0, 1.0], [0.0, 1.0]])
    """
    if not root.is_dir():
        raise MissingFileError(f"there is no folder {root}, which should hold a folder per class")
    entries = sorted(entry.name for entry in root.iterdir() if not entry.name.startswith("."))
    folders = [name for name in entries if (root / name).is_dir()]
    if not folders:
        raise DataError(f"{root} has no folder; expected a folder of images for each class")
    given = tuple(class_names or ())
    names = (*given, *(name for name in folders if name not in given))
    column_of = {name: c for c, name in enumerate(names)}
    files = [file for name in folders for file in _files(root, name)]
    found = [file for file in files if Path(file).suffix.lower() in IMAGE_SUFFIXES]
    images = list(_images(root, found, same_image))
    loose = sum(Path(name).suffix.lower() in IMAGE_SUFFIXES for name in entries)
    paths = [shown[0] for shown in images]
    labels = [sorted({column_of[_class(file)] for file in shown}) for shown in images]
    table = LabelTable.from_lists(paths, paths, names, labels, root)
    notes = [*_notes(images, len(files) - len(found), loose, same_image)]
    if len(folders) == 1:
        inside = f"{root.name}/{folders[0]}"
        notes.append(f"there is one class, {folders[0]!r}; are the folders of classes in {inside}?")
    return replace(table, notes=tuple(notes))


def _files(root: Path, folder: str) -> Iterator[str]:
    """The files below a class folder, sorted, with forward slashes."""
    for at, below, files in os.walk(root / folder, followlinks=True):
        below[:] = sorted(n for n in below if not n.startswith(".") and not _returns(at, n))
        prefix = Path(at).relative_to(root).as_posix()
        yield from (f"{prefix}/{name}" for name in sorted(files) if not name.startswith("."))


def _returns(folder: str, name: str) -> bool:
    """Whether a folder is a link to one that holds it."""
    link = Path(folder, name)
    return link.is_symlink() and link.resolve() in (here := Path(folder).resolve(), *here.parents)


def _images(root: Path, files: list[str], same_image: SameImage) -> Iterator[list[str]]:
    """The images, each with the files that show it; by their first files.

    Files of one class are images of their own, whatever they hold, as everywhere.
    """
    alike = [files] if same_image != "never" else []
    if same_image == "name":
        alike = _told_apart(alike, lambda file: file.split("/", 1)[1])
    elif same_image == "content":
        for sign in (_size, _start, _digest):  # a costlier one only for files alike so far
            alike = _told_apart(alike, partial(sign, root))
    group_of = {file: group for group in alike for file in group}
    for file in files:
        group = group_of.get(file, [file])
        if len({_class(other) for other in group}) == 1:
            yield [file]
        elif file == group[0]:
            yield group


def _told_apart(groups: Iterable[list[str]], sign: Callable[[str], Hashable]) -> list[list[str]]:
    """Groups of the files of a group that have the same sign; those of one file are left out."""
    result = []
    for group in groups:
        alike = defaultdict(list)
        for file in group:
            alike[sign(file)].append(file)
        result += [files for files in alike.values() if len(files) > 1]
    return result


def _class(file: str) -> str:
    return file.split("/", 1)[0]


def _size(root: Path, file: str) -> int | str:
    """The size of a file; of a link that leads nowhere its own name, which no other has."""
    try:
        return (root / file).stat().st_size
    except FileNotFoundError:
        return file


def _start(root: Path, file: str) -> bytes:
    with (root / file).open("rb") as stream:
        return hashlib.sha256(stream.read(_START)).digest()


def _digest(root: Path, file: str) -> bytes:
    with (root / file).open("rb") as stream:
        digest = hashlib.sha256()
        while content := stream.read(1 << 20):
            digest.update(content)
        return digest.digest()


def _notes(
    images: list[list[str]], others: int, loose: int, same_image: SameImage
) -> Iterator[str]:
    if several := sum(len(files) > 1 for files in images):
        verb = "image is" if several == 1 else "images are"
        yield (
            f"{several} {verb} in the folders of several classes and counted once, with all their "
            f"labels (data.same_image: {same_image})"
        )
    if others:
        yield f"files in the class folders that are not images, by their names, left out: {others}"
    if loose:
        yield f"images in no class folder, left out: {loose}"
