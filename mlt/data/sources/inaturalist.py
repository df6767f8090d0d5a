"""iNaturalist 2017 and 2018: photographs of species, long-tailed by nature."""

from __future__ import annotations

from typing import ClassVar, Literal

from mlt.data.sources.class_list import ClassListData
from mlt.data.sources.cut_settings import OrFraction
from mlt.data.sources.known import KnownDataSet
from mlt.settings import UserPath

__all__ = ["Inat2017Data", "Inat2018Data"]


class Inat2017Data(ClassListData):
    """iNaturalist 2017: 5,089 species, tested on the official validation images."""

    published: ClassVar[KnownDataSet] = KnownDataSet(
        archives=("train_val_images.tar.gz", "train_val2017.zip, with both JSON files"),
        layout=(
            "train2017.json, val2017.json and train_val_images/ "
            "(https://github.com/visipedia/inat_comp/tree/master/2017)"
        ),
        images={"train": 579_184, "test": 95_986},
        classes=5_089,
    )

    name: Literal["inat2017"]
    root: UserPath = "data/inat2017"
    """Folder that holds both JSON files and train_val_images/."""
    train: str = "train2017.json"
    """COCO file of the training images, or a list: a path and a class number per line."""
    test: OrFraction[str] | None = "val2017.json"
    """COCO file or list of the test images, or the fraction of the training images to cut out for
    them."""


class Inat2018Data(ClassListData):
    """iNaturalist 2018: 8,142 species, tested on the official validation images."""

    published: ClassVar[KnownDataSet] = KnownDataSet(
        archives=(
            "train_val2018.tar.gz",
            "train2018.json.tar.gz and val2018.json.tar.gz (or iNaturalist18_train.txt and "
            "iNaturalist18_val.txt: --set data.train=iNaturalist18_train.txt "
            "data.test=iNaturalist18_val.txt)",
        ),
        layout=(
            "train2018.json, val2018.json and train_val2018/ "
            "(https://github.com/visipedia/inat_comp/tree/master/2018)"
        ),
        images={"train": 437_513, "test": 24_426},
        classes=8_142,
    )

    name: Literal["inat2018"]
    root: UserPath = "data/inat2018"
    """Folder that holds both JSON files and train_val2018/."""
    train: str = "train2018.json"
    """COCO file of the training images, or a list: a path and a class number per line."""
    test: OrFraction[str] | None = "val2018.json"
    """COCO file or list of the test images, or the fraction of the training images to cut out for
    them."""
