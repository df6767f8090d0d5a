"""LVIS v1: COCO's photographs with 1,203 classes, each verified on some of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from mlt.data.sources.base import Part
from mlt.data.sources.coco import CocoData, CocoPart, CocoSource
from mlt.data.sources.cut_settings import OrFraction
from mlt.data.sources.known import KnownDataSet
from mlt.settings import UserPath

if TYPE_CHECKING:
    from mlt.data.labels import LabelTable

__all__ = ["LvisData", "LvisSource"]


class LvisData(CocoData):
    """LVIS v1; what was not checked on an image is unknown."""

    published: ClassVar[KnownDataSet] = KnownDataSet(
        archives=(
            "lvis_v1_train.json.zip and lvis_v1_val.json.zip",
            "train2017.zip and val2017.zip of COCO",
        ),
        layout=(
            "both JSON files, train2017/ and val2017/ (https://www.lvisdataset.org/dataset, "
            "https://cocodataset.org/#download)"
        ),
        images={"train": 100_170, "test": 19_809},
        classes=1_203,
    )

    name: Literal["lvis"]  # type: ignore[assignment]
    root: UserPath = "data/lvis"
    """Folder that holds both JSON files, train2017/ and val2017/."""
    train: CocoPart = CocoPart(annotations="lvis_v1_train.json")
    """Images to train on."""
    test: OrFraction[CocoPart] | None = CocoPart(annotations="lvis_v1_val.json")
    """Images that the results are of, or the fraction of the training images to cut out for
    them."""

    def source(self, cache: Path | None = None) -> LvisSource:
        """What reads this data."""
        return LvisSource(self, cache)


class LvisSource(CocoSource):
    """Reads LVIS, and compares its size with the published one."""

    settings: LvisData

    def read(self, part: Part, class_names: Sequence[str] | None) -> LabelTable:
        """Read a part; says what to download if its file is not there."""
        published = self.settings.published
        published.require(self.part_file(part), self.root)
        return published.compared(super().read(part, class_names), part)
