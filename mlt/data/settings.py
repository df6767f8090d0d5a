"""Configuration of the data: where it is, how it is labelled, how it is made long-tailed."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from mlt.settings import Settings, UserPath

__all__ = [
    "CocoData",
    "CocoMltData",
    "CocoPart",
    "CsvData",
    "DataConfig",
    "DigitsMltData",
    "LongTailConfig",
    "VocData",
    "VocMltData",
]

LabelValue = Literal["unknown", "negative", "positive"]


class LongTailConfig(Settings):
    """Cut a long-tailed training split with the Pareto recipe."""

    b: float = Field(6.0, gt=0)
    """Shape of the Pareto distribution; larger is a steeper tail."""
    max: int = Field(800, ge=1)
    """Images the most frequent class aims at."""
    min: int = Field(1, ge=1)
    """Images the rarest class aims at."""
    seed: int = Field(0, ge=0)
    """Seed of the draw."""

    @model_validator(mode="after")
    def _check(self) -> LongTailConfig:
        if self.min > self.max:
            raise ValueError(f"min ({self.min}) must not exceed max ({self.max})")
        return self


class _Data(Settings):
    """What every data source shares."""

    root: UserPath
    """Folder that holds the data. Annotations and images are relative to it; `split` and
    `image_ids` are not."""
    split: UserPath | None = None
    """Split file (JSON) made by tools/build_split.py; without it the split is built when needed."""
    on_image_error: Literal["raise", "skip"] = "raise"
    """An image that cannot be decoded stops the run, or is skipped and counted."""

    @property
    def has_validation(self) -> bool:
        """Whether validation images are named."""
        return False


class CocoMltData(_Data):
    """COCO-MLT: 1,909 long-tailed images of train2017, tested on val2017."""

    name: Literal["coco_mlt"]
    root: UserPath = "data/coco"
    """Folder that holds annotations/, train2017/ and val2017/."""
    image_ids: UserPath | None = None
    """The published list of training ids, one a line; exactly these images are then used."""


class VocMltData(_Data):
    """VOC-MLT: 1,142 long-tailed images of VOC2012 trainval, tested on VOC2007 test."""

    name: Literal["voc_mlt"]
    root: UserPath = "data/VOCdevkit"
    """Folder that holds VOC2012/ and VOC2007/."""
    image_ids: UserPath | None = None
    """A list of training ids, one a line, instead of the split built by the published recipe."""


class DigitsMltData(_Data):
    """The embedded data: long-tailed scenes of handwritten digits, rendered when first needed."""

    name: Literal["digits_mlt"]
    root: UserPath = "data/digits_mlt"
    """Folder the scenes are written to."""


class CocoPart(Settings):
    """One COCO annotation file and the folder of its images, both relative to the root."""

    annotations: str
    images: str


class CocoData(_Data):
    """Your own data in COCO's format."""

    name: Literal["coco"]
    train: CocoPart
    test: CocoPart
    validation: CocoPart | None = None
    """Images to watch training on and to choose the best epoch by; null watches the test images."""
    min_image_size: int = Field(0, ge=0)
    """Training images with a side shorter than this many pixels are left out."""
    longtail: LongTailConfig | None = None
    """Cut a long-tailed subset out of the training images; null keeps them all."""

    @property
    def has_validation(self) -> bool:
        """Whether validation images are named."""
        return self.validation is not None


class VocData(_Data):
    """Your own data in VOC's format: one XML file an image."""

    name: Literal["voc"]
    train_folder: str = "."
    """Folder with Annotations/, ImageSets/Main/ and JPEGImages/ of the training images."""
    train_set: str = "train"
    """Training image set: the file ImageSets/Main/<train_set>.txt."""
    test_folder: str = "."
    """The same for the test images."""
    test_set: str = "test"
    """Test image set."""
    validation_folder: str = "."
    """The same for the validation images."""
    validation_set: str | None = None
    """Image set to watch training on and to choose the best epoch by; null watches the test
    images."""
    class_names: tuple[str, ...] | None = None
    """Class order; null takes the names found in the training annotations, sorted."""
    longtail: LongTailConfig | None = None
    """Cut a long-tailed subset out of the training images; null keeps them all."""

    @property
    def has_validation(self) -> bool:
        """Whether validation images are named."""
        return self.validation_set is not None


class CsvData(_Data):
    """Your own data in CSV tables: `path,labels`, or a path and one column a class."""

    name: Literal["csv"]
    train: str
    """Table of the training images."""
    test: str
    """Table of the test images."""
    validation: str | None = None
    """Table of images to watch training on and to choose the best epoch by; null watches the test
    images."""
    images: str = "."
    """Folder the image paths start from."""
    path_column: str = "path"
    """Column with the image paths."""
    id_column: str | None = None
    """Column with the image ids; null takes the paths as ids."""
    labels_column: str | None = "labels"
    """Column that lists an image's class names; null: every class has a column of its own."""
    separator: str = Field("|", min_length=1)
    """What separates the class names in the labels column."""
    delimiter: str = Field(",", min_length=1, max_length=1)
    """What separates the columns."""
    class_names: tuple[str, ...] | None = None
    """Class order; null takes the training table's columns, or its names, sorted."""
    blank: LabelValue = "negative"
    """What an empty cell of a class column means."""
    uncertain: LabelValue = "unknown"
    """What -1 in a class column means."""
    longtail: LongTailConfig | None = None
    """Cut a long-tailed subset out of the training images; null keeps them all."""

    @property
    def has_validation(self) -> bool:
        """Whether validation images are named."""
        return self.validation is not None


DataConfig = Annotated[
    CocoMltData | VocMltData | DigitsMltData | CocoData | VocData | CsvData,
    Field(discriminator="name"),
]
