"""Where VOC data keeps its annotations, lists and images: VOC's own folders, or all in one."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath, PureWindowsPath

from mlt.data.image_search import file_names
from mlt.errors import DataError, MissingFileError

__all__ = ["IMAGE_FOLDERS", "VocFolder", "class_list_files", "class_lists", "find_voc_folder"]

log = logging.getLogger(__name__)

IMAGE_FOLDERS = ("JPEGImages", "images", "Images")
"""Where images may be, inside a VOC folder; else they are beside the XML files."""

_MARK = re.compile(r"\s+([-+]?[01])$")


@dataclass(frozen=True)
class VocFolder:
    """A VOC folder.

    Attributes:
        root: The folder.
        annotations: The folder of its XML files; the same one in exports without subfolders. None
            if there are only lists of the images of each class.
    """

    root: Path
    annotations: Path | None

    @property
    def lists(self) -> Path:
        """The folder of image sets."""
        return self.root / "ImageSets" / "Main"

    @cached_property
    def images(self) -> str:
        """What the paths of images begin with."""
        folders = [name for name in IMAGE_FOLDERS if (self.root / name).is_dir()]
        beside = "" if self.annotations == self.root else f"{IMAGE_FOLDERS[0]}/"
        return f"{folders[0]}/" if folders else beside

    def image(self, image_id: str, filename: str) -> str:
        """The path of an image, which has the extension of its name in the XML file."""
        # The name may be a path of any machine.
        return f"{self.images}{image_id}{PureWindowsPath(filename).suffix or '.jpg'}"

    def annotation(self, image_id: str) -> Path:
        """The XML file of an image."""
        assert self.annotations is not None
        file, upper = (self.annotations / f"{image_id}.{suffix}" for suffix in ("xml", "XML"))
        return upper if not file.is_file() and upper.is_file() else file

    def image_ids(self, image_set: str) -> tuple[list[str], list[str]]:
        """The images of a set in its order, and notes on how they were found.

        Raises:
            MissingFileError: If there are image sets, but not this one.
        """
        file = self.lists / f"{image_set}.txt"
        if file.is_file():
            return [self._id(line) for line in _lines(file)], []
        if listed := class_lists(self.lists, image_set):
            ids = list(dict.fromkeys(i for marks in listed.values() for i in marks))
            return ids, [f"the images are those of the {len(listed)} lists *_{image_set}.txt"]
        if self.lists.is_dir():
            sets = sorted(p.stem for p in self.lists.glob("*.txt") if "_" not in p.stem)
            raise MissingFileError(
                f"there is no image set {image_set!r} in {self.lists}; "
                f"there are {', '.join(sets) or 'none'}"
            )
        assert self.annotations is not None  # else the lists of a class are here
        ids = sorted(_stems(self.annotations))
        log.warning(
            "%s does not exist: taking all %d annotated images of %s", file, len(ids), self.root
        )
        return ids, [
            f"there is no image set {image_set!r}: all {len(ids)} annotated images are taken"
        ]

    def _id(self, line: str) -> str:
        """The image of a line, which may have a mark, an extension or a folder too."""
        if self.annotations is None or not re.search(r"[\s./]", line):
            return _MARK.sub("", line)
        bare = _MARK.sub("", line)
        names = (line, bare, re.sub(r"\.[^./]*$", "", bare), PurePosixPath(bare).stem)
        return next((name for name in names if self.annotation(name).is_file()), bare)


def find_voc_folder(root: Path, folder: str) -> VocFolder:
    """Find a VOC folder in a root.

    Args:
        root: The folder that holds ``folder``, or holds it in ``VOCdevkit/``, or is that folder.
        folder: Its name.

    Raises:
        MissingFileError: If there is none; says what was expected where.
    """
    candidates = [root / folder, root / "VOCdevkit" / folder, root]
    for candidate in candidates:
        for name in ("Annotations", "annotations"):
            if (candidate / name).is_dir():
                return VocFolder(candidate, candidate / name)
    for candidate in candidates:
        if any(_stems(candidate)):
            return VocFolder(candidate, candidate)
        if any((candidate / "ImageSets" / "Main").glob("*_*.txt")):
            return VocFolder(candidate, None)
    raise MissingFileError(
        f"there is no {folder} in {root}: expected {root / folder / 'Annotations'} with the XML "
        f"files (or {candidates[1]}), or XML files in {root / folder} itself. Unpack the VOC "
        f"archives there, or give the folder that holds {folder}"
    )


def class_list_files(lists: Path, image_set: str) -> list[Path]:
    """The files of :func:`class_lists`, sorted; none if there is no such folder."""
    return sorted(lists.glob(f"?*_{image_set}.txt"))


def class_lists(lists: Path, image_set: str) -> dict[str, dict[str, int]]:
    """The lists ``<class>_<image_set>.txt``: of each class, the mark of each image.

    1 is an image with the class, 0 one with difficult objects of it only, -1 one without.

    Raises:
        DataError: If a line has no mark; says where.
    """
    marks: dict[str, dict[str, int]] = {}
    for file in class_list_files(lists, image_set):
        of_class = marks[file.stem.removesuffix(f"_{image_set}")] = {}
        for number, line in enumerate(_lines(file), 1):
            mark = _MARK.search(line)
            if mark is None:
                raise DataError(
                    f"{file}, line {number}: {line!r} is not an image and 1, 0 or -1; these lists "
                    f"are read because there is no {lists / image_set}.txt"
                )
            of_class[_MARK.sub("", line)] = int(mark[1])
    return marks


def _lines(file: Path) -> list[str]:
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is not UTF-8 ({error}); save it as UTF-8") from None
    return [line.strip() for line in lines if line.strip()]


def _stems(folder: Path) -> Iterator[str]:
    """The names of the XML files of a folder, without their extension."""
    for name in file_names(folder):
        if name.lower().endswith(".xml"):
            yield name[:-4]
