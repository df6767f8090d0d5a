"""Planet: satellite chips of the Amazon with tags for weather, land cover and land use."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from mlt.data.sources.base import Fraction
from mlt.data.sources.csv import Files
from mlt.data.sources.cut_settings import OrFraction
from mlt.data.sources.known import KnownCsvData, KnownDataSet
from mlt.settings import UserPath

__all__ = ["PlanetData"]


class PlanetData(KnownCsvData):
    """Planet: Understanding the Amazon from Space; the test images are cut out of the labelled."""

    published: ClassVar[KnownDataSet] = KnownDataSet(
        archives=("train-jpg.tar.7z", "train_v2.csv.zip"),
        layout=(
            "train-jpg/ and train_v2.csv "
            "(https://www.kaggle.com/c/planet-understanding-the-amazon-from-space)"
        ),
        images={"train": 40_479},
        classes=17,
    )

    name: Literal["planet"]  # type: ignore[assignment]
    root: UserPath = "data/planet"
    """Folder that holds train-jpg/ and train_v2.csv."""
    train: Files = "train_v2.csv"
    """Table of all labelled images."""
    test: OrFraction[Files] | None = Fraction(fraction=0.2)
    """The fraction of the images to test on, or a table of its own."""
    images: Files = "train-jpg"
    """Folder of the images."""
    path_column: str = "image_name"
    """Column with the names of the image files without extension."""
    labels_column: str | None = "tags"
    """Column that lists an image's tags."""
    separator: str | None = Field(" ", min_length=1)
    """What separates the tags."""
