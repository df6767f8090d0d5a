"""VOC-MLT: the published long-tailed subset of VOC2012."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mlt.data.sources.base import Part
from mlt.data.sources.published import PublishedSettings, PublishedSource
from mlt.data.sources.voc import ImageSetSource
from mlt.settings import UserPath

if TYPE_CHECKING:
    from mlt.data.labels import LabelTable

__all__ = ["VocMltData", "VocMltSource"]


class VocMltData(PublishedSettings):
    """VOC-MLT: 1,142 long-tailed images of VOC2012 trainval, tested on VOC2007 test."""

    name: Literal["voc_mlt"]
    root: UserPath = "data/VOCdevkit"
    """Folder that holds VOC2012/ and VOC2007/."""
    image_ids: UserPath | None = None
    """A list of training ids, one per line, instead of the split built by the published recipe."""

    def source(self, cache: Path | None = None) -> VocMltSource:
        """What reads this data."""
        return VocMltSource(self, cache)


class VocMltSource(PublishedSource[VocMltData], ImageSetSource[VocMltData]):
    """Reads VOC2012 trainval and VOC2007 test, with VOC's twenty classes."""

    archives = ("VOCtrainval_11-May-2012.tar (training)", "VOCtest_06-Nov-2007.tar (test)")
    layout = "VOC2012/ and VOC2007/ (http://host.robots.ox.ac.uk/pascal/VOC/)"

    def image_set(self, part: Part) -> tuple[str, str]:
        """The folder and the image set of a part, as VOC names them."""
        return {"train": ("VOC2012", "trainval"), "test": ("VOC2007", "test")}[part]

    def read(self, part: Part, class_names: Sequence[str] | None) -> LabelTable:
        """Read a part; says what to download if it is not there."""
        from mlt.data.published import VOC_CLASSES

        name, image_set = self.image_set(part)
        folder = self.folder(name)
        self.require(folder / "Annotations")
        listed = folder / "ImageSets" / "Main" / f"{image_set}.txt"
        if part == "test" and listed.parent.is_dir():
            self.require(listed)  # VOC2007's training archive alone has no test set
        return super().read(part, VOC_CLASSES)
