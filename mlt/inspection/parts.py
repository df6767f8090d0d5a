"""The parts of the data, each read by itself, so that what one lacks does not hide the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlt.data.labels import LabelTable
from mlt.data.run_data import fit_together, split_of
from mlt.data.settings import DataConfig
from mlt.errors import UserError

__all__ = ["Parts", "read_parts"]


@dataclass(frozen=True)
class Parts:
    """What could be read.

    Attributes:
        tables: ``"train"``, ``"validation"`` and ``"test"``, those that there are.
        errors: Why a part could not be read.
        notes: What the readers have to say.
    """

    tables: Mapping[str, LabelTable]
    errors: Mapping[str, str]
    notes: tuple[str, ...]


def read_parts(data: DataConfig, cache: Path | None = None) -> Parts:
    """Read the labels of every part; whether the images are there does not matter here.

    Args:
        data: Where the data is.
        cache: Folder for label tables; None: no cache.
    """
    tables: dict[str, LabelTable] = {}
    errors: dict[str, str] = {}
    split = None
    source = data.source(cache)
    try:
        split, tables["train"] = split_of(source)
    except UserError as error:
        errors["train"] = str(error)
    names = tables["train"].class_names if "train" in tables else None
    for name, read in (("validation", source.validation), ("test", source.test)):
        try:
            if (table := read(names)) is not None:
                tables[name] = table
        except UserError as error:  # noqa: PERF203 - two parts
            same = str(error) == errors.get("train")
            errors[name] = "not read without the training part" if same else str(error)
    if split is not None and "test" in tables:
        notes = fit_together(tables["train"], tables["test"], tables.get("validation"), split).notes
    else:
        notes = tuple(f"{name}: {note}" for name, table in tables.items() for note in table.notes)
    return Parts(tables, errors, notes)
