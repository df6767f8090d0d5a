"""COCO-MLT: the published long-tailed subset of COCO's train2017."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mlt.data.sources.base import Part
from mlt.data.sources.coco import CocoPart, InstancesSource
from mlt.data.sources.published import PublishedSettings, PublishedSource
from mlt.settings import UserPath

if TYPE_CHECKING:
    from mlt.data.labels import LabelTable

__all__ = ["CocoMltData", "CocoMltSource"]


class CocoMltData(PublishedSettings):
    """COCO-MLT: 1,909 long-tailed images of train2017, tested on val2017."""

    name: Literal["coco_mlt"]
    root: UserPath = "data/coco"
    """Folder that holds annotations/, train2017/ and val2017/."""
    image_ids: UserPath | None = None
    """The published list of training ids, one per line; exactly these images are then used."""

    def source(self, cache: Path | None = None) -> CocoMltSource:
        """What reads this data."""
        return CocoMltSource(self, cache)


class CocoMltSource(PublishedSource[CocoMltData], InstancesSource[CocoMltData]):
    """Reads train2017 and val2017; images with a side under 32 pixels do not train."""

    archives = ("annotations_trainval2017.zip", "train2017.zip (training)", "val2017.zip (test)")
    layout = "annotations/, train2017/ and val2017/ (https://cocodataset.org/#download)"
    min_image_size = 32

    def coco_part(self, part: Part) -> CocoPart:
        """The file and the folder of a part, as COCO names them."""
        name = {"train": "train2017", "test": "val2017"}[part]
        return CocoPart(annotations=f"annotations/instances_{name}.json", images=name)

    def read(self, part: Part, class_names: Sequence[str] | None) -> LabelTable:
        """Read a part; says what to download if it is not there."""
        self.require(self.part_file(part))
        return super().read(part, class_names)
