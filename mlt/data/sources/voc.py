"""Data of one's own in VOC's format."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from mlt.data.sources.base import DataSettings, DataSource, Fraction, OwnDataSettings, Part

if TYPE_CHECKING:
    from mlt.data.labels import LabelTable

__all__ = ["ImageSetSource", "VocData", "VocSource"]


class VocData(OwnDataSettings):
    """Your own data in VOC's format: one XML file per image."""

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
    test: Fraction | None = None
    """The fraction of the training images to cut out for testing, in place of a test set."""
    validation: Fraction | None = None
    """The fraction to cut out for validation, in place of a validation set."""

    def source(self, cache: Path | None = None) -> VocSource:
        """What reads this data."""
        return VocSource(self, cache)


S = TypeVar("S", bound=DataSettings)


class ImageSetSource(DataSource[S]):
    """Parts that are an image set of a VOC folder each."""

    def image_set(self, part: Part) -> tuple[str, str]:
        """The folder and the image set of a part."""
        raise NotImplementedError

    def folder(self, name: str) -> Path:
        """The VOC folder, which may also lie in the VOCdevkit/ that the archives unpack to."""
        inside = self.root / "VOCdevkit" / name
        return inside if inside.is_dir() and not (self.root / name).is_dir() else self.root / name

    def files(self) -> list[Path]:
        """The folder of the training annotations."""
        return [self.folder(self.image_set("train")[0]) / "Annotations"]

    def read(self, part: Part, class_names: Sequence[str] | None) -> LabelTable:
        """Read a part; without class names those that occur."""
        from mlt.data.formats.voc import read_voc

        name, image_set = self.image_set(part)
        folder = self.folder(name)
        names = None if class_names is None else list(class_names)
        read = partial(read_voc, self.root, name, image_set, class_names=names)
        if not folder.is_dir():
            return read()
        listed = folder / "ImageSets" / "Main" / f"{image_set}.txt"
        return self._through_cache(
            f"{self.settings.name}_{image_set}",  # type: ignore[attr-defined]
            [folder / "Annotations", *([listed] if listed.is_file() else [])],
            {"root": str(folder), "image_set": image_set, "class_names": names},
            read,
        )


class VocSource(ImageSetSource[VocData]):
    """Reads the image sets that a configuration names."""

    def image_set(self, part: Part) -> tuple[str, str]:
        """The folder and the image set of a part."""
        return getattr(self.settings, f"{part}_folder"), getattr(self.settings, f"{part}_set")

    def declared_classes(self) -> Sequence[str]:
        """Those of the configuration, or those of the training images."""
        return self.settings.class_names or self.train().class_names

    def read_all(self) -> LabelTable:
        """Read the labels of all images that the settings name for training, in parts or not."""
        return self.read("train", self.settings.class_names)
