"""Data of one's own in tables."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import Field, model_validator

from mlt.data.digests import source_stamp
from mlt.data.formats.table_format import TableFormat
from mlt.data.sources.base import (
    DataSource,
    Fraction,
    OrFraction,
    OwnDataSettings,
    Part,
)
from mlt.data.sources.folder_below import hint_of_folder_below
from mlt.errors import MissingFileError
from mlt.settings import Settings

if TYPE_CHECKING:
    import numpy as np

    from mlt.data.columns import StringColumn
    from mlt.data.labels import LabelTable

__all__ = ["CsvData", "CsvSource", "Files", "SplitValues", "as_names"]

Files: TypeAlias = str | Annotated[tuple[str, ...], Field(min_length=1)]
"""A file, several that are read as one, or a pattern such as `labels/*.csv`."""


def as_names(files: Files) -> tuple[str, ...]:
    """The names in a key that takes one or several."""
    return (files,) if isinstance(files, str) else files


PARTS: tuple[Part, ...] = ("train", "validation", "test")


class SplitValues(Settings):
    """Which values of the split column are which part."""

    train: tuple[str | int, ...] | None = None
    """Values of the training images; null: those of no other part."""
    validation: tuple[str | int, ...] = ()
    """Values of the validation images."""
    test: tuple[str | int, ...] = ()
    """Values of the test images."""


class CsvData(TableFormat, OwnDataSettings):
    """Your own data in tables (.csv, .csv.gz, .tsv, .json, .jsonl, .parquet): `path,labels`, a path
    and one column per class, or a line per image and class.
    """

    name: Literal["csv"]
    train: Files
    """Table of the training images, a list of tables, or a pattern such as `labels/*.csv`."""
    test: OrFraction[Files] | None = None
    """Table of the test images, or a list of tables, or the fraction of the training images to cut
    out for them; null with `test_list` or `split_column`, which choose them from the training
    table."""
    validation: OrFraction[Files] | None = None
    """Table of images to watch training on and to choose the best epoch by, or a list of tables, or
    the fraction to cut out for them; null without `validation_list` and `split_column` watches the
    test images."""
    train_list: str | None = None
    """File with a training image per line: its id, path, file name, or that without extension;
    null takes what the lists of other parts of the same table leave."""
    validation_list: str | None = None
    """File with a validation image per line."""
    test_list: str | None = None
    """File with a test image per line."""
    split_column: str | None = None
    """Column that says which part an image belongs to."""
    split_values: SplitValues | None = None
    """Which values of the split column are which part; null takes the usual names (train, val,
    test)."""
    images: Files = "."
    """Folder the image paths start from, or a list of folders in which they are looked for."""
    extension: str | None = None
    """What is appended to image names without extension, such as .jpg, or a pattern such as
    `{id}_rgb.png`; null finds them by name."""

    @model_validator(mode="after")
    def _check_columns_and_lists(self) -> CsvData:
        lists = [key for part in PARTS if getattr(self, key := f"{part}_list") is not None]
        if self.split_column is not None and lists:
            raise ValueError(f"give split_column or {' and '.join(lists)}, not both")
        if self.split_values is not None and self.split_column is None:
            raise ValueError("split_values need split_column")
        if both := set(self.negatives) & set(self.class_names or ()):
            raise ValueError(
                f"{min(both)!r} is in class_names and in negatives; it can be only one"
            )
        return self

    def files_of(self, part: Part) -> tuple[str, ...]:
        """The tables of a part; those of the training part where it names none of its own."""
        given = getattr(self, part)
        files: Files = self.train if given is None or isinstance(given, Fraction) else given
        return as_names(files)

    def keys_of(self, part: str) -> list[str]:
        """The keys that say which images a part has, of those that are not null."""
        keys = super().keys_of(part)
        return keys or (["split_column"] if part == "test" and self.split_column else [])

    @property
    def has_validation(self) -> bool:
        """Whether validation images are named; looks into the split column if there is one."""
        return super().has_validation or self.source().has_part("validation")

    def source(self, cache: Path | None = None) -> CsvSource:
        """What reads this data."""
        return CsvSource(self, cache)


class CsvSource(DataSource[CsvData]):
    """Reads the tables that a configuration names."""

    def part_file(self, part: Part) -> Path:
        """The first table of a part."""
        return self.root / self.settings.files_of(part)[0]

    def files(self) -> list[Path]:
        """The tables of the training part."""
        return self._files("train")

    def image_folders(self) -> Sequence[str]:
        """The folders that images are looked for in."""
        return as_names(self.settings.images)

    def declared_classes(self) -> Sequence[str]:
        """Those of the configuration, or those of the training images."""
        return self.settings.class_names or self.train().class_names

    def read_all(self) -> LabelTable:
        """Read the labels of all images that the settings name for training, in parts or not."""
        return self._with_chosen_classes(self.read("train", self.settings.class_names))

    def read(self, part: Part, class_names: Sequence[str] | None) -> LabelTable:
        """Read a part; without class names the columns, or the names that occur."""
        settings = self.settings
        others = [settings.class_labels, *(getattr(settings, f"{p}_list") for p in PARTS)]
        return self._through_cache(
            f"{settings.name}_{part}",
            [*self._files(part), *(self.root / name for name in others if name)],
            {
                "root": str(self.root),
                "settings": settings.model_dump(mode="json"),
                "class_names": None if class_names is None else list(class_names),
            },
            lambda: self._with_images(self._read(part, class_names)),
            source_stamp,  # to read a table again is not much slower than its SHA-256
            self._folders_of_images,
        )

    def _read(self, part: Part, class_names: Sequence[str] | None) -> LabelTable:
        """The images of a part, by the paths that are written in its tables."""
        from mlt.data.formats.csv import read_class_labels, read_tables

        settings, files = self.settings, self._files(part)
        labels = settings.class_labels
        table, values = read_tables(
            files,
            self.root,
            settings,
            class_names=class_names,
            names_of=read_class_labels(self.root / labels) if labels else None,
            may_lack=part != "train",
            part_column=self._split_column(part),
            # A split that was saved has been warned of when it was made.
            warn_ungrouped=part == "train" and settings.split is None,
        )
        rows, notes = self._rows(part, table, values)
        if rows is None:
            return table
        # What holds for a table with several parts is said once, with the training images.
        said = () if part != "train" and files == self._files("train") else table.notes
        whole = (f"in all of {files[0].name}, {note}" for note in said)
        return replace(table.take(rows), notes=(*whole, *notes))

    def has_part(self, part: Part) -> bool:
        """Whether values of the split column are given for a part, or its cells have one."""
        from mlt.data.formats.open_table import open_tables
        from mlt.data.splits.selection import values_of_part

        column = self._split_column(part)
        if column is None:
            return False
        if given := self._split_values():
            return bool(given.get(part))
        [cells] = open_tables(self._files(part), self.settings).columns([column])
        return bool(values_of_part(cells.unique().to_pylist(), part, {}))

    def _files(self, part: Part) -> list[Path]:
        from mlt.data.image_suffixes import IMAGE_SUFFIXES

        files = [file for name in self.settings.files_of(part) for file in self._fitting(name)]
        for file in files:
            if not file.is_file():
                suffixes = sorted({f.suffix for f in file.glob("*.*")} - IMAGE_SUFFIXES)
                suffix = suffixes[0] if suffixes else ".csv"
                given = file.relative_to(self.root) if file.is_relative_to(self.root) else file
                inside = (given / f"*{suffix}").as_posix()
                folder = f"; it is a folder: {inside} names all of its files"
                raise MissingFileError(
                    f"data.{part}: there is no table {file} (data.root: {self.root})"
                    f"{folder * file.is_dir()}"
                    f"{hint_of_folder_below(self.root, given)}"
                )
        return files

    def _fitting(self, name: str) -> list[Path]:
        """The files that a name or a pattern fits; itself, if there is none."""
        file = self.root / name
        if file.is_file() or not glob.has_magic(name):
            return [file]
        found = sorted(glob.glob(name, root_dir=self.root, recursive=True))  # noqa: PTH207
        return [self.root / name for name in found] or [file]

    def _split_column(self, part: Part) -> str | None:
        """The column that chooses the images of a part; None where it has a table of its own."""
        own = part != "train" and getattr(self.settings, part) is not None
        return None if own else self.settings.split_column

    def _split_values(self) -> dict[str, tuple[str, ...]]:
        values = self.settings.split_values
        given = values.model_dump(exclude_none=True) if values else {}
        return {part: tuple(map(str, listed)) for part, listed in given.items()}

    def _rows(
        self, part: Part, table: LabelTable, values: StringColumn | None
    ) -> tuple[np.ndarray | None, tuple[str, ...]]:
        """The rows of a part, None for all, and notes on them."""
        import numpy as np

        from mlt.data.splits.selection import read_image_list, rows_listed, rows_of_part

        if values is not None:
            column = self.settings.split_column or ""
            return rows_of_part(values.tolist(), part, self._split_values(), column)

        def listed(key: str) -> tuple[np.ndarray, tuple[str, ...]]:
            file = self.root / getattr(self.settings, key)
            return rows_listed(table, read_image_list(file), file)

        if getattr(self.settings, f"{part}_list") is not None:
            return listed(f"{part}_list")
        others = [
            f"{other}_list"
            for other in PARTS
            if getattr(self.settings, f"{other}_list") is not None
            and self.settings.files_of(other) == self.settings.files_of(part)
        ]
        if part != "train" or not others:
            return None, ()
        taken = np.concatenate([listed(key)[0] for key in others])
        return np.setdiff1d(np.arange(len(table)), taken), ()

    def _folders_of_images(self, table: LabelTable) -> list[Path] | None:
        """The folders in which the images were found or may be next time; None if one is absent."""
        from mlt.data.image_files import absent_rows
        from mlt.data.image_search import searched_folders

        if len(absent_rows(table)):
            return None
        assert table.paths is not None
        return searched_folders(table.paths, self.root, self.image_folders())

    def _with_images(self, table: LabelTable) -> LabelTable:
        """The table with the files that its paths stand for, each once."""
        from mlt.data.image_search import find_images
        from mlt.data.same_files import one_row_per_file

        folders = self.image_folders()
        assert table.paths is not None
        paths = find_images(table.paths, self.root, folders, self.settings.extension)
        return one_row_per_file(replace(table, paths=paths))
