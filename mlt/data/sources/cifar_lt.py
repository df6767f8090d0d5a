"""Long-tailed CIFAR-10 and CIFAR-100, cut out of the balanced data sets."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from mlt.data.sources.base import DataSettings, DataSource, Fraction, Part
from mlt.data.sources.known import KnownDataSet
from mlt.data.sources.published import how_to_get
from mlt.errors import DataError, MissingFileError
from mlt.settings import UserPath

if TYPE_CHECKING:
    import numpy as np

    from mlt.data.formats.cifar import CifarArchive, CifarData
    from mlt.data.formats.zip_images import ZipImages
    from mlt.data.labels import LabelTable
    from mlt.data.splits.split import Split

__all__ = ["Cifar10LtData", "Cifar100LtData", "CifarLtData", "CifarLtSource"]


class CifarLtData(DataSettings):
    """What both data sets share."""

    imbalance: float = Field(10.0, ge=1)
    """How many times as many training images the first class has as the last; 1 keeps them all."""
    profile: Literal["exponential", "step"] = "exponential"
    """How the numbers fall: exponentially from the first class to the last, or at once, so that the
    second half of the classes has the fewest."""
    seed: int | None = Field(0, ge=0, lt=2**32)
    """Seed of the draw of the training images of each class; null takes the first ones. 0 is the
    draw of the published code (docs/one_label_data.md)."""
    validation: Fraction | None = None
    """The fraction of the training images to cut out, every class by its share, before the long
    tail is cut out of the others: to watch training on and to choose the best epoch by. Null
    watches the test images."""

    @property
    def has_validation(self) -> bool:
        """Whether validation images are cut out."""
        return self.validation is not None

    def cuts(self, part: Part) -> bool:
        """Whether a part is cut out of the training images, rather than read from its own files."""
        return part == "validation" and self.has_validation

    def source(self, cache: Path | None = None) -> CifarLtSource:
        """What reads this data."""
        return CifarLtSource(self, cache)


class Cifar10LtData(CifarLtData):
    """CIFAR-10-LT: a long-tailed subset of CIFAR-10's training images, and all test images."""

    name: Literal["cifar10_lt"]
    root: UserPath = "data/cifar10"
    """Folder that holds an official archive, packed or unpacked, or `train/<class>/` and
    `test/<class>/`, or a ZIP file of these; or the archive or ZIP file itself."""


class Cifar100LtData(CifarLtData):
    """CIFAR-100-LT: a long-tailed subset of CIFAR-100's training images, and all test images."""

    name: Literal["cifar100_lt"]
    root: UserPath = "data/cifar100"
    """Folder that holds an official archive, packed or unpacked, or `train/<class>/` and
    `test/<class>/`, or a ZIP file of these; or the archive or ZIP file itself."""


class CifarLtSource(DataSource[CifarLtData]):
    """Reads archives or class folders, and cuts the long tail out of the training images."""

    @property
    def data(self) -> CifarData:
        """What is known of the data set."""
        from mlt.data.formats.cifar import CIFAR

        return CIFAR[self.settings.name]  # type: ignore[attr-defined]

    @cached_property
    def place(self) -> CifarArchive | ZipImages | Path:
        """Where the images are; a folder of class folders where it is a path.

        Raises:
            MissingFileError: If there are none; says what to download and where to put it.
        """
        from mlt.data.formats.cifar import find_archive
        from mlt.data.formats.class_folders import has_part
        from mlt.data.formats.zip_images import list_images

        if (archive := find_archive(self.root, self.data)) is not None:
            return archive
        if (self.root / "train").is_dir():
            return self.root
        packed = [self.root] if self.root.suffix == ".zip" else sorted(self.root.glob("*.zip"))
        for images in map(list_images, packed):
            if has_part(images, "train"):
                return images
        archives = [form.archive for form in self.data.forms]
        raise MissingFileError(
            how_to_get(
                [" or ".join(archives)],
                "the archive, or what is in it (https://www.cs.toronto.edu/~kriz/cifar.html); "
                "train/<class>/ and test/<class>/ with images, or a ZIP file of these, will do",
                self.root,
                f"{archives[0]}, {archives[1]} or train/",
                "--set data.root=FOLDER",
            )
        )

    def files(self) -> list[Path]:
        """The archive, or the folder of the training images."""
        from mlt.data.formats.cifar import CifarArchive

        place = self.place
        if isinstance(place, Path):
            return [place / "train"]
        return [place.path if isinstance(place, CifarArchive) else place.file]

    def read(self, part: Part, class_names: Sequence[str] | None) -> LabelTable:
        """Read all images of a part."""
        from mlt.data.formats.cifar import CifarArchive, read_cifar
        from mlt.data.formats.class_folders import read_class_folders

        data = self.data
        try:
            if isinstance(self.place, CifarArchive):
                table = read_cifar(self.place, part, data.class_names)
            else:
                table = read_class_folders(self.place, part, class_names)
        except (DataError, MissingFileError) as error:
            raise type(error)(f"{error} (data.root: {self.root})") from None
        whole = KnownDataSet((), "", images=data.images, classes=len(data.class_names))  # type: ignore[arg-type]
        return whole.compared(table, part)

    def part_rows(self, table: LabelTable) -> tuple[dict[str, np.ndarray], str] | None:
        """The rows for validation and for training; None where no image is for validation."""
        from mlt.data.splits.parts import part_rows

        cut = self.settings.validation
        if cut is None:
            return None
        fractions = {"validation": cut.fraction}
        return part_rows(table, None, None, fractions, order=cut.order, seed=cut.seed)

    def build_split(self, table: LabelTable, sources: Sequence[Path] = ()) -> Split:
        """Cut the long tail out of the training images."""
        from mlt.data.formats.cifar import CifarArchive
        from mlt.data.splits.build import build_imbalanced_split

        settings, data = self.settings, self.data
        num_classes = len(data.class_names)
        return build_imbalanced_split(
            table,
            settings.name,  # type: ignore[attr-defined]
            imbalance=settings.imbalance,
            profile=settings.profile,
            seed=settings.seed,
            published=[data.images["train"] // num_classes] * num_classes,
            published_order=isinstance(self.place, CifarArchive),
            sources=sources,
        )
