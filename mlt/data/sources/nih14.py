"""NIH ChestX-ray14: 14 findings that were mined from reports."""

from __future__ import annotations

from typing import ClassVar, Literal

from mlt.data.formats.table_format import Group
from mlt.data.sources.csv import Files
from mlt.data.sources.known import KnownCsvData, KnownDataSet
from mlt.settings import UserPath

__all__ = ["Nih14Data"]


class Nih14Data(KnownCsvData):
    """NIH ChestX-ray14, with its official lists of training and test images."""

    published: ClassVar[KnownDataSet] = KnownDataSet(
        archives=(
            "images_001.tar.gz to images_012.tar.gz",
            "Data_Entry_2017.csv",
            "train_val_list.txt and test_list.txt",
        ),
        layout=(
            "images/ (or images_001/images/ and so on), the table and both lists "
            "(https://nihcc.app.box.com/v/ChestXray-NIHCC)"
        ),
        images={"train": 86_524, "test": 25_596},
        classes=14,
    )

    name: Literal["nih14"]  # type: ignore[assignment]
    root: UserPath = "data/nih14"
    """Folder that holds the table, both lists and the images."""
    train: Files = "Data_Entry_2017.csv"
    """Table of all images."""
    train_list: str | None = "train_val_list.txt"
    """File with a training image per line."""
    test_list: str | None = "test_list.txt"
    """File with a test image per line."""
    images: Files = ("images", "images_*/images")
    """Folders in which the images are looked for."""
    path_column: str = "Image Index"
    """Column with the names of the image files."""
    labels_column: str | None = "Finding Labels"
    """Column that lists an image's findings."""
    negatives: tuple[str, ...] = ("No Finding",)
    """Names that mean that an image has none of the classes."""
    group: Group | None = "Patient ID"
    """Column with the patient, whose images stay in one part."""
    class_names: tuple[str, ...] | None = (
        "Atelectasis",
        "Cardiomegaly",
        "Consolidation",
        "Edema",
        "Effusion",
        "Emphysema",
        "Fibrosis",
        "Hernia",
        "Infiltration",
        "Mass",
        "Nodule",
        "Pleural_Thickening",
        "Pneumonia",
        "Pneumothorax",
    )
    """The classes and their order; others are left out, and counted."""
