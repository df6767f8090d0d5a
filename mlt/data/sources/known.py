"""What the presets of well-known data sets share: how to get them, and their published numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from mlt.data.sources.base import Part
from mlt.data.sources.csv import CsvData, CsvSource
from mlt.data.sources.published import how_to_get
from mlt.errors import MissingFileError

if TYPE_CHECKING:
    from mlt.data.labels import LabelTable

__all__ = ["KnownCsvData", "KnownCsvSource", "KnownDataSet"]

LISTS = ("train_list", "validation_list", "test_list", "class_labels")
"""Keys of further files that come with a data set."""


@dataclass(frozen=True)
class KnownDataSet:
    """What is published of a data set.

    Attributes:
        archives: What to download.
        layout: What the root then holds, and where the archives are.
        images: Images of the parts whose number is published.
        classes: Classes, where their number is published.
    """

    archives: tuple[str, ...]
    layout: str
    images: Mapping[Part, int] = field(default_factory=dict)
    classes: int | None = None

    def require(self, file: Path, root: Path) -> None:
        """Refuse to go on without a file.

        Raises:
            MissingFileError: If it does not exist; says what to download and where to put it.
        """
        if not file.is_file():
            missing = file.relative_to(root).as_posix() if file.is_relative_to(root) else str(file)
            elsewhere = "--set data.root=FOLDER"
            raise MissingFileError(how_to_get(self.archives, self.layout, root, missing, elsewhere))

    def compared(self, table: LabelTable, part: Part, *, whole: bool = True) -> LabelTable:
        """Return the table with notes on how its numbers compare with the published ones.

        Args:
            table: The images of a part, before other parts are cut out of it.
            part: Which.
            whole: Whether the classes are those of the data set, rather than chosen by a user.
        """
        notes = []
        if (published := self.images.get(part)) is not None:
            notes.append(_comparison(len(table), published, "images read"))
        if self.classes is not None and whole and part == "train":
            notes.append(_comparison(table.num_classes, self.classes, "classes"))
        return replace(table, notes=(*table.notes, *notes))


def _comparison(found: int, published: int, what: str) -> str:
    if found == published:
        return f"{found:,} {what}, as published"
    return f"{found:,} {what}, but the published data has {published:,}"


class KnownCsvData(CsvData):
    """A data set whose labels are in a table, with the keys of `csv` set for it."""

    published: ClassVar[KnownDataSet]

    def source(self, cache: Path | None = None) -> KnownCsvSource:
        """What reads this data."""
        return KnownCsvSource(self, cache)


class KnownCsvSource(CsvSource):
    """Reads the tables of a well-known data set, and compares its size with the published one."""

    settings: KnownCsvData

    def read(self, part: Part, class_names: Sequence[str] | None) -> LabelTable:
        """Read a part; says what to download if its table is not there."""
        settings = self.settings
        lists = [getattr(settings, key) for key in LISTS if self._is_preset(key)]
        for name in (*settings.files_of(part), *lists):
            settings.published.require(self.root / name, self.root)
        whole = "class_names" not in settings.model_fields_set
        return settings.published.compared(super().read(part, class_names), part, whole=whole)

    def _is_preset(self, key: str) -> bool:
        """Whether a key names a file of the data set, rather than none or a user's own."""
        default = type(self.settings).model_fields[key].default
        return default is not None and getattr(self.settings, key) == default
