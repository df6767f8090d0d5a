"""Data of one's own in VOC's format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from mlt.data.sources.base import DataSettings, DataSource, Fraction, OwnDataSettings, Part

if TYPE_CHECKING:
    from mlt.data.labels import LabelTable

__all__ = ["ImageSetSource", "VocData", "VocSource"]


class VocData(OwnDataSettings):
    """Your own data in VOC's format: one XML file per image."""

    name: Literal["voc"]
    train_folder: str = "."
    """Folder with Annotations/, ImageSets/Main/ and JPEGImages/ of the training images."""
    train_set: str = "train"
    """Training image set: the file ImageSets/Main/<train_set>.txt."""
    test_folder: str = "."
    """The same for the test images."""
    test_set: str = "test"
    """Test image set."""
    validation_folder: str = "."
    """The same for the validation images."""
    validation_set: str | None = None
    """Image set to watch training on and to choose the best epoch by; null watches the test
    images."""
    test: Fraction | None = None
    """The fraction of the training images to cut out for testing, in place of a test set."""
    validation: Fraction | None = None
    """The fraction to cut out for validation, in place of a validation set."""

    def source(self, cache: Path | None = None) -> VocSource:
        """What reads this data."""
        return VocSource(self, cache)


S = TypeVar("S", bound=DataSettings)


class ImageSetSource(DataSource[S]):
    """Parts that are an image set of a VOC folder each."""

    def image_set(self, part: Part) -> tuple[str, str]:
        """The folder and the image set of a part."""
        raise NotImplementedError

    def folder(self, name: str) -> Path:
        """The VOC folder, which may also lie in the VOCdevkit/ that the archives unpack to."""
        inside = self.root / "VOCdevkit" / name
        return inside if inside.is_dir() and not (self.root / name).is_dir() else self.root / name

    def files(self) -> list[Path]:
        """The folder of the training annotations."""
        return [self.folder(self.image_set("train")[0]) / "Annotations"]

    def read(self, part: Part, class_names: Sequence[str] | None) -> LabelTable:
        """Read a part; without class names those that occur."""
        from mlt.data.formats.voc import read_voc
        from mlt.data.formats.voc_layout import class_list_files

        name, image_set = self.image_set(part)
        folder = self.folder(name)
        names = None if class_names is None else list(class_names)
        read = partial(read_voc, self.root, name, image_set, class_names=names)
        annotations = folder / "Annotations"
        if not annotations.is_dir():
            return read()  # or where images are beside: the cache would look into all of them
        lists = folder / "ImageSets" / "Main"
        listed = lists / f"{image_set}.txt"
        return self._through_cache(
            f"{self.settings.name}_{image_set}",  # type: ignore[attr-defined]
            [
                annotations,
                *([listed] if listed.is_file() else []),
                *class_list_files(lists, image_set),
            ],
            {"root": str(folder), "image_set": image_set, "class_names": names},
            read,
        )


class VocSource(ImageSetSource[VocData]):
    """Reads the image sets that a configuration names."""

    def image_set(self, part: Part) -> tuple[str, str]:
        """The folder and the image set of a part."""
        return getattr(self.settings, f"{part}_folder"), getattr(self.settings, f"{part}_set")

    def declared_classes(self) -> Sequence[str]:
        """Those of the configuration, or those of the training images."""
        return self.settings.class_names or self.train().class_names

    def read(self, part: Part, class_names: Sequence[str] | None) -> LabelTable:
        """Read a part; image files of another extension or in another folder are looked for."""
        from mlt.data.same_files import one_row_per_file

        table = _with_found_images(super().read(part, None))
        names = class_names or self.settings.class_names or ()
        return one_row_per_file(_with_absent_classes(table, names))


def _with_found_images(table: LabelTable) -> LabelTable:
    """The table with the path of each image that has its name, but another extension or folder."""
    from mlt.data.columns import StringColumn
    from mlt.data.formats.voc_layout import IMAGE_FOLDERS
    from mlt.data.image_files import absent_rows
    from mlt.data.image_search import find_images

    rows = absent_rows(table)
    assert table.paths is not None and isinstance(table.image_ids, StringColumn)
    if not len(rows):
        return table
    folders = [name for name in IMAGE_FOLDERS if (table.root / name).is_dir()] or ["."]
    paths = table.paths.tolist()
    for row, path in zip(rows, find_images(table.image_ids[rows], table.root, folders)):
        if (table.root / path).is_file():
            paths[row] = path
    return replace(table, paths=StringColumn.from_iterable(paths))


def _with_absent_classes(table: LabelTable, class_names: Sequence[str]) -> LabelTable:
    """The table with a column for each class that no image has: annotations name only those."""
    from scipy.sparse import csr_array

    absent = [name for name in class_names if name not in table.class_names]
    if not absent or (table.num_classes and len(absent) == len(class_names)):
        return table  # or of other data: aligning it says so
    names = (*table.class_names, *absent)
    labels = table.labels
    wider = csr_array((labels.data, labels.indices, labels.indptr), (len(table), len(names)))
    if table.known is None:
        return replace(table, class_names=names, labels=wider)
    known = table.known
    known = csr_array((known.data, known.indices, known.indptr), wider.shape)
    return replace(table, class_names=names, labels=wider, known=known)
