"""The images of a run: its training split, its test images, and whether they fit together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from mlt.data.labels import LabelTable
from mlt.data.partition import saved_parts
from mlt.data.same_files import count_shared
from mlt.data.settings import DataConfig
from mlt.data.sources.base import DataSource
from mlt.data.split import Split
from mlt.errors import ConfigError, MissingFileError

__all__ = ["Data", "fit_together", "load_data", "split_of", "training_split"]


@dataclass(frozen=True)
class Data:
    """The images of a run.

    Attributes:
        train: The training split.
        test: The test images, with the same classes.
        validation: Images to watch training on, with the same classes; None where there are none.
        split: How the training split came about.
        notes: What a user should know about the data.
    """

    train: LabelTable
    test: LabelTable
    validation: LabelTable | None
    split: Split
    notes: tuple[str, ...]


def load_data(config: DataConfig, cache: Path | None = None) -> Data:
    """Read the annotations, make or load the split, and check that it all fits together.

    Args:
        config: Where the data is.
        cache: Folder for label tables, so that the next start is instant; None: no cache.

    Raises:
        MissingFileError: If annotations or images are absent; says what to put where.
        DataError: If training and test data have no class in common, or a part has no image.
    """
    source = config.source(cache)
    split, train = split_of(source)
    test = source.test(train.class_names)
    validation = source.validation(train.class_names)
    missing = []
    for name, part in (("training", train), ("validation", validation), ("test", test)):
        if part is not None:
            try:
                source.check(part, name)
            except MissingFileError as error:
                missing.append(str(error))
    if missing:
        raise MissingFileError("\n  ".join(missing))
    return fit_together(train, test, validation, split)


def fit_together(
    train: LabelTable, test: LabelTable, validation: LabelTable | None, split: Split
) -> Data:
    """Put the parts together, with notes on what a user should know about them.

    Args:
        train: The training split.
        test: The test images, with the same classes.
        validation: Images to watch training on; None where there are none.
        split: How the training split came about.
    """
    parts = {"training": train, "validation": validation, "test": test}
    present = {name: table for name, table in parts.items() if table is not None}
    read = (f"{name}: {note}" for name, table in present.items() for note in table.notes)
    return Data(train, test, validation, split, (*read, *_notes(split, train), *_shared(present)))


def training_split(config: DataConfig, cache: Path | None = None) -> tuple[Split, LabelTable]:
    """Read the training annotations, make or load the split, and cut it out of them.

    Args:
        config: Where the data is.
        cache: Folder for label tables.
    """
    return split_of(config.source(cache))


def split_of(source: DataSource[Any]) -> tuple[Split, LabelTable]:
    """Do what :func:`training_split` does for a source that goes on to read the other parts.

    Args:
        source: Reads the data.
    """
    table = source.train()
    saved = source.settings.split
    if saved is None or source.settings.cuts("train"):
        split = source.build_split(table)
    elif saved_parts(saved):
        name = source.settings.name
        raise ConfigError(
            f"data.split: {saved} holds parts of your own data (`mlt split`), but {name} has a "
            "published split; a file of `mlt build-split` may choose its training images"
        )
    else:
        split = Split.load(saved)
    return split, split.apply(table)


def _shared(parts: Mapping[str, LabelTable]) -> Iterator[str]:
    """A warning for each two parts, in the order of training and testing, that share images."""
    for earlier, later in combinations(parts, 2):
        both = count_shared(parts[earlier], parts[later])
        if both:
            yield (
                f"warning: {both} of {len(parts[later])} {later} images are {earlier} images too; "
                "results on them look better than they are"
            )


def _notes(split: Split, train: LabelTable) -> tuple[str, ...]:
    notes = []
    if split.matches_published is True:
        notes.append(f"{split.name}: the training split is the published one")
    elif split.matches_published is False:
        notes.append(
            f"{split.name}: the training split is NOT the published one: "
            f"{'; '.join(split.mismatches)}"
        )
    counts = np.bincount(train.labels.indices, minlength=train.num_classes)
    without = [train.class_names[c] for c in np.flatnonzero(counts == 0)]
    if without:
        notes.append(f"classes without a training image: {', '.join(without)}")
    return tuple(notes)
