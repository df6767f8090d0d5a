"""The truth that scores are evaluated against: a table, a data set, or other predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlt.class_counts import ClassCounts
from mlt.data.labels import LabelTable
from mlt.errors import DataError
from mlt.prediction_tables.open_table import find_id_column, open_table, read_labels
from mlt.predictions import Predictions

__all__ = ["Truth", "TruthTable", "named"]


@dataclass(frozen=True, eq=False)
class Truth:
    """Labels of N images and C classes, and how often the classes occur in the training data.

    Attributes:
        source: What it is called in messages.
        image_ids: (N,) integers or strings.
        class_names: (C,) names.
        targets: (N, C) booleans.
        known: (N, C) booleans, or None if all are known.
        class_counts: Training counts, or None.
        open_classes: Whether classes that it does not list have no positive image in it, as in a
            table that lists the names of the classes of each image.
    """

    source: str
    image_ids: tuple[str, ...] | tuple[int, ...]
    class_names: tuple[str, ...]
    targets: NDArray[np.bool_]
    known: NDArray[np.bool_] | None = None
    class_counts: ClassCounts | None = None
    open_classes: bool = False

    @classmethod
    def of_table(cls, table: LabelTable, source: str, training: LabelTable | None = None) -> Truth:
        """The labels of a data set, and the counts of its training part."""
        rows = np.arange(len(table))
        return cls(
            source=source,
            image_ids=tuple(table.image_ids),
            class_names=table.class_names,
            targets=table.targets(rows).astype(bool),
            known=None if table.known is None else table.known_mask(rows),
            class_counts=None if training is None else training.class_counts(),
        )

    @classmethod
    def of_predictions(cls, predictions: Predictions, source: str) -> Truth:
        """The targets and counts of other predictions of the same images."""
        p = predictions
        return cls(
            source=source,
            image_ids=tuple(p.image_ids.tolist()),
            class_names=p.class_names,
            targets=p.targets,
            known=p.known,
            class_counts=None if p.class_counts is None else p.training_counts(),
        )

    def of_classes(self, class_names: Sequence[str]) -> Truth:
        """The truth with these columns; new ones have no positive image (see ``open_classes``)."""
        found = {name: c for c, name in enumerate(self.class_names)}
        shape = (len(self.image_ids), len(class_names))
        targets, known = np.zeros(shape, bool), np.ones(shape, bool)
        counts = np.zeros(len(class_names), np.int64)
        for c, name in enumerate(class_names):
            if name not in found:
                continue
            targets[:, c] = self.targets[:, found[name]]
            if self.known is not None:
                known[:, c] = self.known[:, found[name]]
            if self.class_counts is not None:
                counts[c] = self.class_counts.counts[found[name]]
        training = self.class_counts
        if training is not None:
            training = ClassCounts.from_counts(counts, training.total, names=class_names)
        return replace(
            self,
            class_names=tuple(class_names),
            targets=targets,
            known=None if self.known is None else known,
            class_counts=training,
        )


@dataclass(frozen=True)
class TruthTable:
    """A table of labels of one's own, in one of the layouts of :func:`mlt.data.read_csv`.

    Attributes:
        file: The table of the images that are evaluated on: their ids and a column per class (1, 0,
            -1 for uncertain, or nothing), or their ids and a column that lists names of classes.
        train: The table of the training images in the same layout, which makes head, medium and
            tail; None without.
        id_column: Column of the image ids; None, or a name that the table does not have, is the
            first.
        labels_column: Column that lists names of classes; None is "labels" where there is such a
            column, else every class has a column of its own.
        separator: Between the names in that column.
    """

    file: Path
    train: Path | None = None
    id_column: str | None = None
    labels_column: str | None = None
    separator: str = "|"

    def read(self, class_names: Sequence[str], *, chosen: bool = False) -> Truth:
        """Read the labels.

        Args:
            class_names: The classes that there are scores of.
            chosen: Whether these are the classes to be evaluated, whatever else the table has.

        Raises:
            MissingFileError: If there is no such file.
            DataError: If a table cannot be read, or has a class that there are no scores of, or
                lacks one.
        """
        labels, is_open = self._labels(self.file, class_names, chosen)
        truth = replace(Truth.of_table(labels, str(self.file)), open_classes=is_open)
        if self.train is None:
            return truth
        training, _ = self._labels(self.train, class_names, chosen)
        return replace(
            truth, class_counts=_counts(training, truth.class_names, is_open, self.train)
        )

    def _labels(
        self, file: Path, class_names: Sequence[str], chosen: bool
    ) -> tuple[LabelTable, bool]:
        """The labels, and whether the table lists names of classes."""
        table = open_table(file)
        id_column = self.id_column if self.id_column in table.header else None
        id_column = find_id_column(table, id_column)
        column = self.labels_column or ("labels" if "labels" in table.header else None)
        if column is not None:
            return read_labels(file, id_column, column, None, self.separator), True
        others = [name for name in table.header if name and name != id_column]
        missing = [name for name in class_names if name not in others]
        if missing:
            raise DataError(
                f"{file} has no column for {named(missing, 'class', len(class_names))}; its "
                f"columns are {', '.join(map(repr, table.header[:20]))}. A column that lists the "
                "names of an image's classes is given with --labels-column"
            )
        wanted = set(class_names)
        if not chosen:
            wanted |= {n for n in others if n not in wanted and _like_labels(table, n)}
        names = [name for name in others if name in wanted]
        return read_labels(file, id_column, None, names, self.separator), False


def named(names: Sequence[object], what: str, of: int | None = None) -> str:
    """How many, and the first few, for a message.

    Example:
        >>> named(["cat", "dog"], "class"), named(["a.jpg"], "image", of=7)
        ("2 classes ('cat', 'dog')", "1 of 7 images ('a.jpg')")
    """
    shown = ", ".join(map(repr, names[:5])) + (", ..." if len(names) > 5 else "")
    total = len(names) if of is None else of
    plural = "" if total == 1 else "es" if what.endswith("s") else "s"
    amount = f"{len(names)}" if of is None else f"{len(names)} of {of}"
    return f"{amount} {what}{plural} ({shown})"


def _like_labels(table: object, column: str) -> bool:
    """Whether a column could be a class: whether it holds 1, 0, -1 and nothing alone."""
    (cells,) = table.columns([column])  # type: ignore[attr-defined]
    found = {cell.strip() for cell in cells.unique().to_pylist()}
    return found <= {"", "0", "1", "-1", "0.0", "1.0", "-1.0"} and not found <= {""}


def _counts(
    training: LabelTable, class_names: Sequence[str], is_open: bool, file: Path
) -> ClassCounts:
    """Training counts in the order of the truth's classes."""
    missing = [name for name in class_names if name not in training.class_names]
    if missing and not is_open:
        raise DataError(f"{file} has no column for {named(missing, 'class', len(class_names))}")
    found = dict(zip(training.class_names, training.class_counts().counts.tolist()))
    counts = [found.get(name, 0) for name in class_names]
    return ClassCounts.from_counts(counts, len(training), names=class_names)
