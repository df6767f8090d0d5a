"""CXR-LT 2024: MIMIC-CXR with 40 long-tailed classes, as in the challenge's first task."""

from __future__ import annotations

from typing import ClassVar, Literal

from mlt.data.sources.csv import Files
from mlt.data.sources.cut_settings import OrFraction
from mlt.data.sources.known import KnownCsvData, KnownDataSet
from mlt.settings import UserPath

__all__ = ["MimicCxrLtData"]


class MimicCxrLtData(KnownCsvData):
    """MIMIC-CXR-JPG with the labels of CXR-LT 2024, task 1."""

    published: ClassVar[KnownDataSet] = KnownDataSet(
        archives=(
            "files/ of MIMIC-CXR-JPG 2.0.0 (https://physionet.org/content/mimic-cxr-jpg)",
            "cxr-lt-2024/ of CXR-LT 2.0.0 "
            "(https://physionet.org/content/cxr-lt-iccv-workshop-cvamd/2.0.0)",
        ),
        layout="files/ with the images, and cxr-lt-2024/ with the tables",
        images={"train": 258_871, "validation": 39_293, "test": 78_946},
        classes=40,
    )

    name: Literal["mimic_cxr_lt"]  # type: ignore[assignment]
    root: UserPath = "data/mimic-cxr-jpg"
    """Folder that holds files/ and cxr-lt-2024/."""
    train: Files = "cxr-lt-2024/train_labeled.csv"
    """Table of the training images."""
    validation: OrFraction[Files] | None = "cxr-lt-2024/development_labeled_task1.csv"
    """Table of the images to choose the best epoch by, or the fraction to cut out for them."""
    test: OrFraction[Files] | None = "cxr-lt-2024/test_labeled_task1.csv"
    """Table of the test images, or the fraction of the training images to cut out for them."""
    path_column: str = "fpath"
    """Column with the image paths."""
    labels_column: str | None = None
    """Null: every class has a column of its own."""
    class_names: tuple[str, ...] | None = (
        "Adenopathy",
        "Atelectasis",
        "Azygos Lobe",
        "Calcification of the Aorta",
        "Cardiomegaly",
        "Clavicle Fracture",
        "Consolidation",
        "Edema",
        "Emphysema",
        "Enlarged Cardiomediastinum",
        "Fibrosis",
        "Fissure",
        "Fracture",
        "Granuloma",
        "Hernia",
        "Hydropneumothorax",
        "Infarction",
        "Infiltration",
        "Kyphosis",
        "Lobar Atelectasis",
        "Lung Lesion",
        "Lung Opacity",
        "Mass",
        "Nodule",
        "Normal",
        "Pleural Effusion",
        "Pleural Other",
        "Pleural Thickening",
        "Pneumomediastinum",
        "Pneumonia",
        "Pneumoperitoneum",
        "Pneumothorax",
        "Pulmonary Embolism",
        "Pulmonary Hypertension",
        "Rib Fracture",
        "Round(ed) Atelectasis",
        "Subcutaneous Emphysema",
        "Support Devices",
        "Tortuous Aorta",
        "Tuberculosis",
    )
    """The classes and their order; others are left out, and counted."""
