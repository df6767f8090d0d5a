"""Data of one's own, or of the hub, that the Hugging Face library ``datasets`` reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from mlt.data.formats.table_format import LabelValue
from mlt.data.sources.base import (
    DataSource,
    OrFraction,
    OwnDataSettings,
    Part,
)
from mlt.errors import DataError
from mlt.settings import UserPath

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlt.data.labels import LabelTable

__all__ = ["HfData", "HfSource"]


class HfData(OwnDataSettings):
    """A Hugging Face data set, of a folder or of the hub; its code is never run."""

    name: Literal["hf"]
    path: UserPath
    """A folder: of parquet files, or that `save_to_disk` wrote, or that `load_dataset` reads; or
    the hub's owner/name."""
    root: UserPath = "."
    """Folder that `path` starts from, where it is a folder."""
    config: str | None = None
    """Configuration (subset) of the data set, where it has several."""
    revision: str | None = None
    """Commit or tag of a data set of the hub; null takes the newest."""
    train: str = "train"
    """Split to train on."""
    test: OrFraction[str] | None = "test"
    """Split that the results are of, or the fraction of the training images to cut out for it."""
    validation: OrFraction[str] | None = None
    """Split to watch training on and to choose the best epoch by, or the fraction to cut out for
    it; null watches the test images."""
    image_column: str = "image"
    """Column of images: encoded, or paths that start from `path`."""
    labels_column: str | None = "labels"
    """Column of an image's labels: class names, class numbers, or 0 and 1 for every class;
    `objects.category` is a field of a column. Null: every class has a column of its own."""
    id_column: str | None = None
    """Column with the image ids; null takes the numbers of the rows."""
    group: str | None = None
    """Column of what images belong to, such as their patient; fractions keep a group together."""
    multi_hot: bool = False
    """Whether lists of whole numbers are 0 and 1 for every class, rather than class numbers."""
    separator: str | None = Field(None, min_length=1)
    """What separates class names where the labels are one string; null: a string is one name."""
    blank: LabelValue = "unknown"
    """What null means."""
    uncertain: LabelValue = "unknown"
    """What -1 means among 0 and 1."""

    def source(self, cache: Path | None = None) -> HfSource:
        """What reads this data."""
        return HfSource(self, cache)


class HfSource(DataSource[HfData]):
    """Reads the splits that a configuration names. The library has a cache of its own."""

    @cached_property
    def splits(self) -> Mapping[str, Any]:
        """The splits of the data set by name."""
        from mlt.data.formats.hugging_face import load_splits

        settings = self.settings
        return load_splits(settings.path, self.root, settings.config, settings.revision)

    def part_file(self, part: Part) -> Path:
        """The data set."""
        return self.root / self.settings.path

    def files(self) -> list[Path]:
        """The folder or file, where the data set is not of the hub."""
        local = self.root / self.settings.path
        return [local] if local.exists() else []

    def declared_classes(self) -> Sequence[str]:
        """Those of the configuration, or those of the training images."""
        return self.settings.class_names or self.train().class_names

    def read(self, part: Part, class_names: Sequence[str] | None) -> LabelTable:
        """Read a part; without class names those that the data set names, or that occur."""
        from mlt.data.formats.hugging_face import read_hf

        settings, split = self.settings, getattr(self.settings, part)
        if split not in self.splits:
            raise DataError(
                f"data.{part}: {settings.path} has no split {split!r}; it has "
                f"{', '.join(self.splits)}. Set data.{part} to the one to take"
                + (f", or cut it out: {part}: {{fraction: 0.2}}" if part != "train" else "")
            )
        local = self.root / settings.path
        table = read_hf(
            self.splits[split],
            split,
            local.parent if local.is_file() else local,
            image_column=settings.image_column,
            labels_column=settings.labels_column,
            id_column=settings.id_column,
            group=settings.group,
            class_names=class_names or settings.class_names,
            number_names=settings.class_names,
            multi_hot=settings.multi_hot,
            separator=settings.separator,
            blank=settings.blank,
            uncertain=settings.uncertain,
        )
        if part != "train" or settings.has_validation or "validation" not in self.splits:
            return table
        unused = "its split 'validation' is not used; data.validation: validation watches it"
        return replace(table, notes=(*table.notes, unused))
