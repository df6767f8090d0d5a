"""Open Images: labels that people verified, of the classes that have boxes."""

from __future__ import annotations

from typing import ClassVar, Literal

from mlt.data.sources.csv import Files
from mlt.data.sources.cut_settings import OrFraction
from mlt.data.sources.known import KnownCsvData, KnownDataSet
from mlt.settings import UserPath

__all__ = ["OpenImagesData"]

_LABELS = "{}-annotations-human-imagelabels-boxable.csv"


class OpenImagesData(KnownCsvData):
    """Open Images V4 to V7, boxable classes; what nobody verified is unknown."""

    published: ClassVar[KnownDataSet] = KnownDataSet(
        archives=(
            "the images of train, validation and test",
            *map(_LABELS.format, ("train", "validation", "test")),
            "class-descriptions-boxable.csv",
        ),
        layout=(
            "train/, validation/, test/ and the four tables "
            "(https://storage.googleapis.com/openimages/web/download.html)"
        ),
        images={"train": 1_743_042, "validation": 41_620, "test": 125_436},
    )

    name: Literal["open_images"]  # type: ignore[assignment]
    root: UserPath = "data/open_images"
    """Folder that holds train/, validation/, test/ and the tables."""
    layout: Literal["long"] | None = "long"
    """`long`: a line per image and class."""
    train: Files = _LABELS.format("train")
    """Table of the training images."""
    validation: OrFraction[Files] | None = _LABELS.format("validation")
    """Table of the images to choose the best epoch by, or the fraction to cut out for them."""
    test: OrFraction[Files] | None = _LABELS.format("test")
    """Table of the test images, or the fraction of the training images to cut out for them."""
    images: Files = ("train", "validation", "test")
    """Folders in which the images are looked for."""
    path_column: str = "ImageID"
    """Column with the ids of the images, the names of their files without extension."""
    labels_column: str | None = "LabelName"
    """Column with the id of the class of each line."""
    value_column: str | None = "Confidence"
    """Column that says whether the image has the class: 1 verified present, 0 verified absent."""
    class_labels: str | None = "class-descriptions-boxable.csv"
    """Table with the names of the classes."""
