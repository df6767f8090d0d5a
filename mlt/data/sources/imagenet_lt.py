"""ImageNet-LT: a long-tailed subset of ImageNet-1k by published lists."""

from __future__ import annotations

from typing import ClassVar, Literal

from mlt.data.sources.class_list import ClassListData
from mlt.data.sources.cut_settings import OrFraction
from mlt.data.sources.known import KnownDataSet
from mlt.settings import UserPath

__all__ = ["ImageNetLtData"]


class ImageNetLtData(ClassListData):
    """ImageNet-LT: 1,000 classes with 1,280 to 5 training images, tested on ImageNet's 50,000
    validation images.
    """

    published: ClassVar[KnownDataSet] = KnownDataSet(
        archives=(
            "ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar",
            "ImageNet_LT_train.txt, ImageNet_LT_val.txt and ImageNet_LT_test.txt",
        ),
        layout=(
            "the lists, train/<synset>/ and val/ as the lists have it (https://image-net.org, "
            "lists: https://liuziwei7.github.io/projects/LongTail.html)"
        ),
        images={"train": 115_846, "validation": 20_000, "test": 50_000},
        classes=1_000,
    )

    name: Literal["imagenet_lt"]
    root: UserPath = "data/imagenet"
    """Folder that holds the lists, train/ and val/."""
    train: str = "ImageNet_LT_train.txt"
    """List of the training images: a path and a class number per line."""
    validation: OrFraction[str] | None = "ImageNet_LT_val.txt"
    """List of the images to choose the best epoch by, or the fraction to cut out for them; null
    watches the test images."""
    test: OrFraction[str] | None = "ImageNet_LT_test.txt"
    """List of the test images, or the fraction of the training images to cut out for them."""
