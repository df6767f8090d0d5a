"""PadChest: 174 findings and 19 diagnoses in lists, one of which is that all is normal."""

from __future__ import annotations

from typing import ClassVar, Literal

from mlt.data.formats.table_format import Group
from mlt.data.sources.base import Fraction
from mlt.data.sources.csv import Files
from mlt.data.sources.cut_settings import OrFraction
from mlt.data.sources.known import KnownCsvData, KnownDataSet
from mlt.settings import UserPath

__all__ = ["PadchestData"]


class PadchestData(KnownCsvData):
    """PadChest; the test images are cut out by patient, since none are published."""

    published: ClassVar[KnownDataSet] = KnownDataSet(
        archives=(
            "0.zip to 54.zip (or images already made smaller)",
            "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv",
        ),
        layout=(
            "the table, and the images in images/ or in 0/ to 54/ "
            "(https://bimcv.cipf.es/bimcv-projects/padchest)"
        ),
    )

    name: Literal["padchest"]  # type: ignore[assignment]
    root: UserPath = "data/padchest"
    """Folder that holds the table and the images."""
    train: Files = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv"
    """Table of all images."""
    test: OrFraction[Files] | None = Fraction(fraction=0.2)
    """The fraction of the images to test on, or a table of its own."""
    images: Files = ("images", "[0-9]*", ".")
    """Folders in which the images are looked for."""
    path_column: str = "ImageID"
    """Column with the names of the image files."""
    labels_column: str | None = "Labels"
    """Column with the list of an image's labels."""
    negatives: tuple[str, ...] = ("normal",)
    """Names that mean that an image has none of the classes."""
    group: Group | None = "PatientID"
    """Column with the patient, whose images stay in one part."""
