"""What every data source has: parts to read, a split to cut, files to check."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypeVar

from pydantic import Field, model_validator

from mlt.errors import DataError
from mlt.settings import Settings, UserPath

if TYPE_CHECKING:
    from mlt.data.labels import LabelTable
    from mlt.data.split import Split

__all__ = ["DataSettings", "DataSource", "LongTailConfig", "OwnDataSettings", "Part"]

Part: TypeAlias = Literal["train", "validation", "test"]


class LongTailConfig(Settings):
    """Cut a long-tailed training split with the Pareto recipe."""

    b: float = Field(6.0, ge=0.01)
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


class DataSettings(Settings):
    """What every data source shares; each also has a ``name`` of its own."""

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

    def source(self, cache: Path | None = None) -> DataSource[Any]:
        """What reads this data.

        Args:
            cache: Folder for label tables, so that the next start is instant; None: no cache.
        """
        raise NotImplementedError


class OwnDataSettings(DataSettings):
    """What sources of one's own data share."""

    class_names: tuple[str, ...] | None = None
    """The classes and their order; others are left out, and counted. Null takes those of the
    training data."""
    longtail: LongTailConfig | None = None
    """Cut a long-tailed subset out of the training images; null keeps them all."""


S = TypeVar("S", bound=DataSettings)


class DataSource(ABC, Generic[S]):
    """Reads the parts of a data set; a subclass for each format or published data set.

    Args:
        settings: Where the data is and how it is labelled.
        cache: Folder for label tables; None: no cache.
    """

    def __init__(self, settings: S, cache: Path | None = None) -> None:
        self.settings = settings
        self.cache = cache
        self.root = Path(settings.root)

    @abstractmethod
    def read(self, part: Part, class_names: Sequence[str] | None) -> LabelTable:
        """Read the labels of a part that the settings name.

        Args:
            part: Which.
            class_names: The classes of the training data, for formats whose files do not name
                them all; None where they are not known yet.

        Raises:
            MissingFileError: If annotations are absent; says what to put where.
            DataError: If they are damaged.
        """

    @abstractmethod
    def files(self) -> list[Path]:
        """The files or folders that the training labels are read from."""

    def part_file(self, part: Part) -> Path:
        """What lists the images of a part, for messages; the root where settings name no file."""
        return self.root

    def declared_classes(self) -> Sequence[str] | None:
        """The classes, for formats whose test files do not name them all; None for the others."""
        return None

    def train(self) -> LabelTable:
        """Read the labels of all images that the training split may be cut from.

        Raises:
            MissingFileError: If they are absent; says what to put where.
        """
        table = self.read("train", None)
        if not (class_names := getattr(self.settings, "class_names", None)):
            return table
        from mlt.data.class_alignment import with_classes

        return with_classes(table, class_names)

    def validation(self, class_names: Sequence[str] | None = None) -> LabelTable | None:
        """Read the labels of the validation images; None where the settings name none.

        Args:
            class_names: As of :meth:`test`.

        Raises:
            MissingFileError: If they are absent.
            DataError: If the validation data has none of the classes.
        """
        if not self.settings.has_validation:
            return None
        return self._with_classes_of_training("validation", class_names)

    def test(self, class_names: Sequence[str] | None = None) -> LabelTable:
        """Read the labels of the test images.

        Args:
            class_names: The classes of the training data, by which the test data is ordered; None
                reads the training data to learn them where the test data does not name its own.

        Raises:
            MissingFileError: If they are absent; says what to put where.
            DataError: If the test data has none of the classes.
        """
        return self._with_classes_of_training("test", class_names)

    def build_split(self, table: LabelTable, sources: Sequence[Path] = ()) -> Split:
        """Cut the training split out of all training images; here, take them all.

        Args:
            table: What :meth:`train` read.
            sources: Annotation files to note in the split with their SHA-256, see :meth:`files`;
                reading them again takes a moment.
        """
        from mlt.data.split_builders import build_pareto_split, full_split

        name = self.settings.name  # type: ignore[attr-defined]
        longtail = getattr(self.settings, "longtail", None)
        if longtail is None:
            return full_split(table, name, sources=sources)
        return build_pareto_split(table, name, **longtail.model_dump(), sources=sources)

    def check(self, table: LabelTable, part: str) -> None:
        """Refuse a part without images, or whose image files are not all there.

        Args:
            table: The images.
            part: What they are: training, validation or test.

        Raises:
            DataError: If there is no image; names the part and its file.
            MissingFileError: If files are absent; names how many, the first, and the folder.
        """
        from mlt.data.image_files import check_images

        if not len(table):
            file = self.part_file("train" if part == "training" else part)  # type: ignore[arg-type]
            raise DataError(f"data: there is no {part} image: {file} lists none. Is it complete?")
        check_images(table, part)

    def _with_classes_of_training(
        self, part: Part, class_names: Sequence[str] | None
    ) -> LabelTable:
        class_names = class_names or self.declared_classes()
        table = self.read(part, class_names)
        if class_names is None:
            return table
        from mlt.data.class_alignment import with_classes

        try:
            return with_classes(table, class_names, of="training")
        except DataError as error:
            raise DataError(f"data.{part}: {error}") from None

    def _through_cache(
        self,
        name: str,
        sources: Sequence[Path],
        arguments: Mapping[str, Any],
        read: Callable[[], LabelTable],
    ) -> LabelTable:
        """Read, or take what the cache has of the same sources and arguments.

        Args:
            name: Of the cached file, which is the data's own by the digest of its ``root``.
            sources: What is read.
            arguments: What else the table depends on; ``root`` is the folder of the images.
            read: Reads it.
        """
        if self.cache is None:
            return read()
        from mlt.data.cache import cached_table

        key = hashlib.sha256(arguments["root"].encode()).hexdigest()[:8]
        table, _ = cached_table(self.cache / f"{name}-{key}.npz", sources, arguments, read)
        return table
