"""What every data source has: parts to read, a split to cut, files to check."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from mlt.data.sources.cut_settings import Fraction, LongTailConfig, OrFraction
from mlt.data.sources.data_settings import DataSettings, OwnDataSettings, Part
from mlt.errors import ConfigError, DataError

if TYPE_CHECKING:
    import numpy as np

    from mlt.data.labels import LabelTable
    from mlt.data.splits.split import Split

__all__ = [
    "DataSettings",
    "DataSource",
    "Fraction",
    "LongTailConfig",
    "OrFraction",
    "OwnDataSettings",
    "Part",
]

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

    def image_folders(self) -> Sequence[str]:
        """The folders that images are looked for in, for messages."""
        return ()

    def declared_classes(self) -> Sequence[str] | None:
        """The classes, for formats whose test files do not name them all; None for the others."""
        return None

    def read_all(self) -> LabelTable:
        """Read the labels of all images that the settings name for training, in parts or not.

        Raises:
            MissingFileError: If they are absent; says what to put where.
            ConfigError: If no image has a class of ``class_names`` whose name is nearly another's.
        """
        return self._with_chosen_classes(self.read("train", None))

    def part_rows(self, table: LabelTable) -> tuple[dict[str, np.ndarray], str] | None:
        """Which rows of a table are in which part; None where each part has files of its own.

        Args:
            table: What :meth:`read_all` read.

        Returns:
            The rows of ``train`` and of the other parts that are cut out of this table, and a
            sentence on how they were cut.

        Raises:
            ConfigError: If a part is named twice, or none is left.
            DataError: If the saved split does not fit the table.
        """
        settings = self.settings
        if not isinstance(settings, OwnDataSettings):
            return None
        from mlt.data.splits.parts import part_rows

        how = next(iter(settings.fractions.values()), Fraction(fraction=0.5))
        fractions = {part: cut.fraction for part, cut in settings.fractions.items()}
        cut = part_rows(
            table, settings.split, settings.fold, fractions, order=how.order, seed=how.seed
        )
        if cut is not None and "test" not in cut[0] and not settings.keys_of("test"):
            raise ConfigError(
                f"data.test is missing: {settings.split} has no test images; name them, or cut "
                "them out of the training images with test: {fraction: 0.2}"
            )
        return cut

    def train(self) -> LabelTable:
        """Read the labels of all images that the training split may be cut from.

        Raises:
            MissingFileError: If they are absent; says what to put where.
        """
        return self._cut["train"]

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
        from mlt.data.splits.build import build_pareto_split, full_split

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
            name: Part = "train" if part == "training" else part  # type: ignore[assignment]
            file = self.part_file("train" if self.settings.cuts(name) else name)
            raise DataError(f"data: there is no {part} image: {file} lists none. Is it complete?")
        check_images(table, part, self.image_folders())

    @cached_property
    def _cut(self) -> dict[str, LabelTable]:
        """The parts that the training images are cut into: ``train``, and others if there are."""
        table = self.read_all()
        cut = self.part_rows(table)
        if cut is None:
            return {"train": table}
        from mlt.data.splits.parts import tables_of_parts

        return tables_of_parts(table, *cut)

    def _with_chosen_classes(self, table: LabelTable) -> LabelTable:
        """The training images with the classes of the settings, where these choose them."""
        class_names = getattr(self.settings, "class_names", None)
        if class_names is None:
            return table
        from mlt.data.class_alignment import with_classes

        self._refuse_misspelt(table, class_names)
        return with_classes(table, class_names)

    def _refuse_misspelt(self, table: LabelTable, class_names: Sequence[str]) -> None:
        """Refuse names that no part has a label of where one that is left out is nearly the same.

        Where files declare their classes, such as COCO's categories, to be declared is enough.
        """
        from mlt.data.class_alignment import labelled_classes, near_names

        declared = set(table.class_names) if self.declared_classes() is None else set()
        unseen = [n for n in class_names if n not in declared | labelled_classes(table)]
        near = near_names(unseen, set(table.class_names).difference(class_names))
        for part in self._read_apart() if near else ():
            seen = labelled_classes(self.read(part, class_names))
            near = {name: close for name, close in near.items() if name not in seen}
        if near:
            said = (f"{name!r} (did you mean {close!r}?)" for name, close in near.items())
            raise ConfigError(f"data.class_names: no image has {', '.join(said)}")

    def _read_apart(self) -> list[Part]:
        """The parts besides training that are not cut out of the training images."""
        settings = self.settings
        named = {
            "validation": settings.has_validation,
            "test": isinstance(settings, OwnDataSettings) and bool(settings.keys_of("test")),
        }
        parts: tuple[Part, ...] = ("validation", "test")
        return [part for part in parts if named[part] and not settings.cuts(part)]

    def _with_classes_of_training(
        self, part: Part, class_names: Sequence[str] | None
    ) -> LabelTable:
        if self.settings.cuts(part):
            table = self._cut[part]
        else:
            class_names = class_names or self.declared_classes()
            table = self.read(part, class_names)
        if class_names is None:
            return table
        from mlt.data.class_alignment import with_classes

        chosen = getattr(self.settings, "class_names", None)
        of = "class_names" if chosen and tuple(class_names) == chosen else "training"
        try:
            return with_classes(table, class_names, of=of)
        except DataError as error:
            raise DataError(f"data.{part}: {error}") from None

    def _through_cache(
        self,
        name: str,
        sources: Sequence[Path],
        arguments: Mapping[str, Any],
        read: Callable[[], LabelTable],
        digest: Callable[[Path], str] | None = None,
        folders: Callable[[LabelTable], Sequence[Path] | None] = lambda _: (),
    ) -> LabelTable:
        """Read, or take what the cache has of the same sources and arguments.

        Args:
            name: Of the cached file, which is the data's own by the digest of its ``root``.
            sources: What is read.
            arguments: What else the table depends on; ``root`` is the folder of the images.
            read: Reads it.
            digest: Fingerprint of a source; None: its SHA-256.
            folders: As of :func:`mlt.data.cache.cached_table`.
        """
        if self.cache is None:
            return read()
        from mlt.data.cache import cached_table
        from mlt.data.digests import source_digest

        key = hashlib.sha256(arguments["root"].encode()).hexdigest()[:8]
        file = self.cache / f"{name}-{key}.npz"
        table, _ = cached_table(file, sources, arguments, read, digest or source_digest, folders)
        return table
