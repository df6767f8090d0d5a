"""What the data sets with published lists of images share: one class number per image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import model_validator

from mlt.data.sources.base import DataSource, OrFraction, OwnDataSettings, Part
from mlt.data.sources.csv import Files, as_names
from mlt.data.sources.known import KnownDataSet

if TYPE_CHECKING:
    from mlt.data.labels import LabelTable

__all__ = ["ClassListData", "ClassListSource"]


class ClassListData(OwnDataSettings):
    """A data set of one label per image, whose parts are lists, or COCO files."""

    published: ClassVar[KnownDataSet]

    train: str
    """List of the training images: a path and a class number per line; or a COCO file (.json)."""
    validation: OrFraction[str] | None = None
    """List of images to watch training on and to choose the best epoch by, or the fraction to cut
    out for them; null watches the test images."""
    test: OrFraction[str] | None = None
    """List of the images that the results are of, or the fraction of the training images to cut out
    for them."""
    images: Files = "."
    """Folder that the listed paths start from, or several in which they are looked for."""
    class_labels: str | None = None
    """Text file with the names of the classes of lists, one per line, in the order of their
    numbers; null takes the folders of the training images, or the numbers."""

    @model_validator(mode="after")
    def _check_class_labels(self) -> ClassListData:
        if self.class_labels is not None and self.train.endswith(".json"):
            raise ValueError(f"class_labels are for the numbers of lists; {self.train} has names")
        return self

    def source(self, cache: Path | None = None) -> ClassListSource:
        """What reads this data."""
        return ClassListSource(self, cache)


class ClassListSource(DataSource[ClassListData]):
    """Reads the lists that a configuration names, and compares their sizes with the published."""

    def part_file(self, part: Part) -> Path:
        """The list of a part."""
        return self.root / getattr(self.settings, part)

    def files(self) -> list[Path]:
        """The list of the training images."""
        return [self.part_file("train")]

    def image_folders(self) -> Sequence[str]:
        """The folders that images are looked for in."""
        return as_names(self.settings.images)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the class numbers of lists, all of them."""
        from mlt.data.formats.class_list import names_of_numbers, read_class_names

        labels = self.settings.class_labels
        if labels is not None:
            return read_class_names(self.root / labels)
        return names_of_numbers(self.part_file("train"))

    def read(self, part: Part, class_names: Sequence[str] | None) -> LabelTable:
        """Read a part; says what to download if its list is not there."""
        settings, file = self.settings, self.part_file(part)
        for needed in (self.part_file("train"), file):
            settings.published.require(needed, self.root)
        names = [] if file.suffix == ".json" else [*self.names]
        table = self._through_cache(
            f"{settings.name}_{part}",  # type: ignore[attr-defined]
            [file],
            {"root": str(self.root), "images": self.image_folders(), "names": names},
            partial(self._read, file, names),
            folders=self._folders_of_images,
        )
        return settings.published.compared(table, part)

    def _read(self, file: Path, names: Sequence[str]) -> LabelTable:
        from mlt.data.formats.class_list import read_class_list
        from mlt.data.formats.coco import read_coco
        from mlt.data.image_search import find_images

        if file.suffix == ".json":
            table = read_coco(file, self.root)
        else:
            table = read_class_list(file, self.root, names)
        assert table.paths is not None
        return replace(table, paths=find_images(table.paths, self.root, self.image_folders()))

    def _folders_of_images(self, table: LabelTable) -> list[Path] | None:
        """The folders in which the images were found or may be next time; None if one is absent."""
        from mlt.data.image_files import absent_rows
        from mlt.data.image_search import searched_folders

        if len(absent_rows(table)):
            return None
        assert table.paths is not None
        return searched_folders(table.paths, self.root, self.image_folders())
