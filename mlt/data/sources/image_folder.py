"""Data of one's own with a folder for each class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mlt.data.sources.base import (
    DataSource,
    OrFraction,
    OwnDataSettings,
    Part,
)
from mlt.errors import DataError, MissingFileError

if TYPE_CHECKING:
    from mlt.data.labels import LabelTable

__all__ = ["ImageFolderData", "ImageFolderSource"]


class ImageFolderData(OwnDataSettings):
    """Your own data in a folder per class, as torchvision's ImageFolder has it."""

    name: Literal["image_folder"]
    train: str = "train"
    """Folder of the class folders of the training images."""
    test: OrFraction[str] | None = "test"
    """The same of the test images, or the fraction of the training images to cut out for them."""
    validation: OrFraction[str] | None = None
    """The same of images to watch training on and to choose the best epoch by, or the fraction to
    cut out for them; null watches the test images."""
    same_image: Literal["content", "name", "never"] = "content"
    """When files in several class folders are one image with several labels: `content`, where they
    are the same byte for byte; `name`, where they have the same name; or `never`."""

    def source(self, cache: Path | None = None) -> ImageFolderSource:
        """What reads this data."""
        return ImageFolderSource(self, cache)


class ImageFolderSource(DataSource[ImageFolderData]):
    """Reads the folders that a configuration names."""

    def part_file(self, part: Part) -> Path:
        """The folder of a part."""
        return self.root / getattr(self.settings, part)

    def files(self) -> list[Path]:
        """The folder of the training images."""
        return [self.part_file("train")]

    def declared_classes(self) -> Sequence[str]:
        """Those of the configuration, or those of the training images."""
        return self.settings.class_names or self.train().class_names

    def read(self, part: Part, class_names: Sequence[str] | None) -> LabelTable:
        """Read a part; without class names its folders."""
        from mlt.data.formats.image_folder import read_image_folder

        try:
            return read_image_folder(
                self.part_file(part),
                class_names=class_names or self.settings.class_names,
                same_image=self.settings.same_image,
            )
        except (DataError, MissingFileError) as error:
            raise type(error)(f"data.{part}: {error} (data.root: {self.root})") from None
