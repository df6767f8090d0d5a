"""CheXpert: 14 observations with uncertainty, one of which says that there is no finding."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import field_validator

from mlt.data.formats.table_format import Group, GroupPattern
from mlt.data.sources.csv import Files
from mlt.data.sources.cut_settings import OrFraction
from mlt.data.sources.known import KnownCsvData, KnownCsvSource, KnownDataSet
from mlt.settings import UserPath

if TYPE_CHECKING:
    from mlt.data.labels import LabelTable

__all__ = ["ChexpertData", "ChexpertSource"]


class ChexpertData(KnownCsvData):
    """CheXpert, small or full size; patients stay together where parts are cut."""

    published: ClassVar[KnownDataSet] = KnownDataSet(
        archives=("CheXpert-v1.0-small.zip (or the full size)",),
        layout=(
            "train.csv, valid.csv, train/ and valid/; that is the folder CheXpert-v1.0-small "
            "itself (https://stanfordmlgroup.github.io/competitions/chexpert)"
        ),
        images={"train": 223_414, "test": 234},
        classes=13,
    )

    name: Literal["chexpert"]  # type: ignore[assignment]
    root: UserPath = "data/CheXpert-v1.0-small"
    """Folder that holds train.csv, valid.csv, train/ and valid/."""
    train: Files = "train.csv"
    """Table of the training images."""
    test: OrFraction[Files] | None = "valid.csv"
    """Table of the test images: the 234 that radiologists labelled; or the fraction of the training
    images to cut out for them."""
    path_column: str = "Path"
    """Column with the image paths."""
    labels_column: str | None = None
    """Null: every class has a column of its own."""
    group: Group | None = GroupPattern(pattern=r"patient\d+")
    """What says the patient, whose images stay in one part: by default the path."""
    negatives: tuple[str, ...] = ("No Finding",)
    """Columns that mean that an image has none of the classes."""
    class_names: tuple[str, ...] | None = (
        "Enlarged Cardiomediastinum",
        "Cardiomegaly",
        "Lung Opacity",
        "Lung Lesion",
        "Edema",
        "Consolidation",
        "Pneumonia",
        "Atelectasis",
        "Pneumothorax",
        "Pleural Effusion",
        "Pleural Other",
        "Fracture",
        "Support Devices",
    )
    """The classes and their order; others are left out, and counted."""

    @field_validator("group", mode="before")
    @classmethod
    def _always_by_patient(cls, given: Any) -> Any:
        """Null, which configurations of earlier versions hold, is the default."""
        return cls.model_fields["group"].default if given is None else given

    def source(self, cache: Path | None = None) -> ChexpertSource:
        """What reads this data."""
        return ChexpertSource(self, cache)


class ChexpertSource(KnownCsvSource):
    """Reads the tables, whose paths start above the root."""

    def _with_images(self, table: LabelTable) -> LabelTable:
        import pyarrow.compute as pc

        from mlt.data.columns import StringColumn

        assert table.paths is not None
        paths = pc.replace_substring_regex(table.paths.array, r"^CheXpert-[^/]*/", "")
        return super()._with_images(replace(table, paths=StringColumn(paths)))
