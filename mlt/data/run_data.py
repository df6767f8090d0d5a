"""The images of a run: its training split, its test images, and whether they fit together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from mlt.data.digits import DIGITS_LONGTAIL
from mlt.data.image_files import check_images, count_shared
from mlt.data.labels import LabelTable
from mlt.data.published import PUBLISHED
from mlt.data.settings import (
    CocoData,
    CocoMltData,
    CsvData,
    DataConfig,
    DigitsMltData,
    VocData,
    VocMltData,
)
from mlt.data.sources import how_to_get, part_source, read_test, read_train, read_validation
from mlt.data.split import Split
from mlt.data.split_builders import (
    build_pareto_split,
    build_published_split,
    full_split,
    read_image_ids,
)
from mlt.errors import DataError, MissingFileError

__all__ = [
    "Data",
    "build_split",
    "check_not_empty",
    "fit_together",
    "load_data",
    "training_split",
]


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
        DataError: If training and test data have different classes, or a part has no image.
    """
    split, train = training_split(config, cache)
    test = read_test(config, cache, train.class_names)
    validation = read_validation(config, cache, train.class_names)
    parts = {"training": train, "validation": validation, "test": test}
    present = {name: table for name, table in parts.items() if table is not None}
    for name, part in present.items():
        check_not_empty(part, name, config)
        folder = part.image_path(0).parent
        if config.name in PUBLISHED and not folder.is_dir():
            root = Path(config.root)
            missing = folder.relative_to(root).as_posix()
            raise MissingFileError(how_to_get(PUBLISHED[config.name], root, missing))
        check_images(part, name)
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
    return Data(train, test, validation, split, (*_notes(split, train), *_shared(present)))


def training_split(config: DataConfig, cache: Path | None = None) -> tuple[Split, LabelTable]:
    """Read the training annotations, make or load the split, and cut it out of them.

    Args:
        config: Where the data is.
        cache: Folder for label tables.
    """
    table = read_train(config, cache)
    split = Split.load(config.split) if config.split else build_split(config, table)
    return split, split.apply(table)


def build_split(config: DataConfig, table: LabelTable, sources: Sequence[Path] = ()) -> Split:
    """Cut the training split of a configuration out of all its training images.

    Args:
        config: Says by which recipe.
        table: What :func:`read_train` read.
        sources: Annotation files to note in the split with their SHA-256; reading them again takes
            a moment, see
            :func:`mlt.data.sources.annotation_files`.
    """
    match config:
        case CocoMltData() | VocMltData():
            ids = read_image_ids(config.image_ids) if config.image_ids else None
            return build_published_split(config.name, table, image_ids=ids, sources=sources)
        case DigitsMltData():
            return build_pareto_split(table, config.name, **DIGITS_LONGTAIL, sources=sources)
        case CocoData() | VocData() | CsvData():
            if config.longtail is None:
                return full_split(table, config.name, sources=sources)
            parameters = config.longtail.model_dump()
            return build_pareto_split(table, config.name, **parameters, sources=sources)


def check_not_empty(table: LabelTable, part: str, config: DataConfig) -> None:
    """Refuse a table without images.

    Args:
        table: The images.
        part: What they are: training, validation or test.
        config: Where they were read from.

    Raises:
        DataError: Naming the part and its file.
    """
    if not len(table):
        raise DataError(
            f"data: there is no {part} image: {part_source(config, part)} lists none. Is it "
            "complete?"
        )


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
