"""Places-LT: a long-tailed subset of Places-365 by published lists."""

from __future__ import annotations

from typing import ClassVar, Literal

from mlt.data.sources.class_list import ClassListData
from mlt.data.sources.cut_settings import OrFraction
from mlt.data.sources.known import KnownDataSet
from mlt.settings import UserPath

__all__ = ["PlacesLtData"]


class PlacesLtData(ClassListData):
    """Places-LT: 365 kinds of scenes with 4,980 to 5 training images, tested on Places-365's 36,500
    validation images.
    """

    published: ClassVar[KnownDataSet] = KnownDataSet(
        archives=(
            "the images of Places365-Standard (256 x 256)",
            "Places_LT_train.txt, Places_LT_val.txt and Places_LT_test.txt",
        ),
        layout=(
            "the lists, and the folders that they name, such as data_256/ "
            "(http://places2.csail.mit.edu/download.html, "
            "lists: https://liuziwei7.github.io/projects/LongTail.html)"
        ),
        images={"train": 62_500, "validation": 7_300, "test": 36_500},
        classes=365,
    )

    name: Literal["places_lt"]
    root: UserPath = "data/places"
    """Folder that holds the lists and the folders that they name."""
    train: str = "Places_LT_train.txt"
    """List of the training images: a path and a class number per line."""
    validation: OrFraction[str] | None = "Places_LT_val.txt"
    """List of the images to choose the best epoch by, or the fraction to cut out for them; null
    watches the test images."""
    test: OrFraction[str] | None = "Places_LT_test.txt"
    """List of the test images, or the fraction of the training images to cut out for them."""
