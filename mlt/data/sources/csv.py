"""Data of one's own in CSV tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from mlt.data.sources.base import DataSource, OwnDataSettings, Part
from mlt.errors import MissingFileError

if TYPE_CHECKING:
    from mlt.data.labels import LabelTable

__all__ = ["CsvData", "CsvSource"]

LabelValue = Literal["unknown", "negative", "positive"]


class CsvData(OwnDataSettings):
    """Your own data in CSV tables: `path,labels`, or a path and one column per class."""

    name: Literal["csv"]
    train: str
    """Table of the training images."""
    test: str
    """Table of the test images."""
    validation: str | None = None
    """Table of images to watch training on and to choose the best epoch by; null watches the test
    images."""
    images: str = "."
    """Folder the image paths start from."""
    path_column: str = "path"
    """Column with the image paths."""
    id_column: str | None = None
    """Column with the image ids; null takes the paths as ids."""
    labels_column: str | None = "labels"
    """Column that lists an image's class names; null: every class has a column of its own."""
    separator: str = Field("|", min_length=1)
    """What separates the class names in the labels column."""
    delimiter: str = Field(",", min_length=1, max_length=1)
    """What separates the columns."""
    blank: LabelValue = "negative"
    """What an empty cell of a class column means."""
    uncertain: LabelValue = "unknown"
    """What -1 in a class column means."""

    @property
    def has_validation(self) -> bool:
        """Whether validation images are named."""
        return self.validation is not None

    def source(self, cache: Path | None = None) -> CsvSource:
        """What reads this data."""
        return CsvSource(self, cache)


class CsvSource(DataSource[CsvData]):
    """Reads the tables that a configuration names."""

    def part_file(self, part: Part) -> Path:
        """The table of a part."""
        return self.root / getattr(self.settings, part)

    def files(self) -> list[Path]:
        """The table of the training part."""
        return [self.part_file("train")]

    def declared_classes(self) -> Sequence[str]:
        """Those of the configuration, or those of the training images."""
        return self.settings.class_names or self.train().class_names

    def train(self) -> LabelTable:
        """Read the labels of all training images."""
        return self.read("train", self.settings.class_names)

    def read(self, part: Part, class_names: Sequence[str] | None) -> LabelTable:
        """Read a part; without class names the columns, or the names that occur."""
        from mlt.data.formats.csv import read_csv

        settings, file = self.settings, self.part_file(part)
        if not file.is_file():
            raise MissingFileError(
                f"data.{part}: there is no table {file} (data.root: {self.root})"
            )
        return read_csv(
            file,
            self.root / settings.images,
            path_column=settings.path_column,
            labels_column=settings.labels_column,
            separator=settings.separator,
            id_column=settings.id_column,
            class_names=class_names,
            blank=settings.blank,
            uncertain=settings.uncertain,
            delimiter=settings.delimiter,
        )
