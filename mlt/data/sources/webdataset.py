"""Data of one's own in WebDataset's tar shards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import Field

from mlt.data.formats.table_format import LabelValue
from mlt.data.sources.base import (
    DataSource,
    OrFraction,
    OwnDataSettings,
    Part,
)
from mlt.errors import DataError, MissingFileError

if TYPE_CHECKING:
    from mlt.data.labels import LabelTable

__all__ = ["WebDatasetData", "WebDatasetSource"]

Shards: TypeAlias = str | Annotated[tuple[str, ...], Field(min_length=1)]


class WebDatasetData(OwnDataSettings):
    """Your own data in WebDataset's tar shards: 0001.jpg beside 0001.json, 0001.txt or 0001.cls."""

    name: Literal["webdataset"]
    train: Shards
    """Shards of the training images: `train-{000..003}.tar`, `train-*.tar`, or a list of such."""
    test: OrFraction[Shards] | None = None
    """Shards of the test images, or the fraction of the training images to cut out for them."""
    validation: OrFraction[Shards] | None = None
    """Shards of images to watch training on and to choose the best epoch by, or the fraction to cut
    out for them; null watches the test images."""
    image_extension: str | None = None
    """What follows the first dot of an image's name; null takes the one image of a sample."""
    labels_extension: str | None = None
    """The same of the labels: `json`, `txt` (names), `cls` (class numbers) or one of your own; null
    takes whichever of the three there is."""
    labels_key: str = "labels"
    """Key of the labels in JSON objects."""
    multi_hot: bool = False
    """Whether lists of whole numbers are 0 and 1 for every class, rather than class numbers."""
    separator: str | None = Field(None, min_length=1)
    """What separates class names in one string; null: a line is a name."""
    blank: LabelValue = "unknown"
    """What it means that a sample has no labels, or null."""
    uncertain: LabelValue = "unknown"
    """What -1 means among 0 and 1."""

    def source(self, cache: Path | None = None) -> WebDatasetSource:
        """What reads this data."""
        return WebDatasetSource(self, cache)


class WebDatasetSource(DataSource[WebDatasetData]):
    """Reads the shards that a configuration names, and remembers what lies where in them."""

    def shards(self, part: Part) -> list[str]:
        """The shards of a part, relative to the root."""
        from mlt.data.formats.tar_shards import find_shards

        named = getattr(self.settings, part)
        try:
            return find_shards(self.root, [named] if isinstance(named, str) else named)
        except (DataError, MissingFileError) as error:
            raise type(error)(f"data.{part}: {error} (data.root: {self.root})") from None

    def files(self) -> list[Path]:
        """The shards of the training part."""
        return [self.root / shard for shard in self.shards("train")]

    def declared_classes(self) -> Sequence[str]:
        """Those of the configuration, or those of the training images."""
        return self.settings.class_names or self.train().class_names

    def read(self, part: Part, class_names: Sequence[str] | None) -> LabelTable:
        """Read a part; without class names those that occur."""
        from mlt.data.digests import source_stamp
        from mlt.data.formats.tar_shards import ShardImages
        from mlt.data.formats.webdataset import read_webdataset

        settings, shards = self.settings, self.shards(part)
        options = {
            "image_extension": settings.image_extension,
            "labels_extension": settings.labels_extension,
            "labels_key": settings.labels_key,
            "class_names": class_names or settings.class_names,
            "number_names": settings.class_names,
            "multi_hot": settings.multi_hot,
            "separator": settings.separator,
            "blank": settings.blank,
            "uncertain": settings.uncertain,
        }
        table = self._through_cache(
            f"{settings.name}_{part}",
            [self.root / shard for shard in shards],
            {"root": str(self.root), **options},
            partial(read_webdataset, self.root, shards, **options),  # type: ignore[arg-type]
            digest=source_stamp,
        )
        return replace(table, images=ShardImages(self.root))
