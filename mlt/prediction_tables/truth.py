"""The truth that scores are evaluated against: a table, a data set, or other predictions."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlt.class_counts import ClassCounts
from mlt.data.formats.csv import read_csv
from mlt.data.formats.table import Table
from mlt.data.formats.table_format import TableFormat
from mlt.data.labels import LabelTable
from mlt.errors import ConfigError, DataError
from mlt.prediction_tables.scores import find_id_column, open_table
from mlt.predictions import Predictions
from mlt.problems import did_you_mean

__all__ = ["Truth", "TruthTable", "alike", "named"]

log = logging.getLogger(__name__)


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
        groups: (N,) the patient or the like of each image, or None.
    """

    source: str
    image_ids: tuple[str, ...] | tuple[int, ...]
    class_names: tuple[str, ...]
    targets: NDArray[np.bool_]
    known: NDArray[np.bool_] | None = None
    class_counts: ClassCounts | None = None
    open_classes: bool = False
    groups: Sequence[str] | Sequence[int] | None = None

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
            groups=table.groups,
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
            groups=None if p.groups is None else p.groups.tolist(),
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
        form: How the tables are written, by the keys of a configuration's ``data`` section
            (``labels_column``, ``negatives``, ``uncertain``, ...). Without ``labels_column`` the
            column is "labels" where there is one, else every class has a column of its own.
    """

    file: str | Path
    train: str | Path | None = None
    id_column: str | None = None
    form: Mapping[str, Any] = field(default_factory=dict)

    def read(self, class_names: Sequence[str], *, chosen: bool = False) -> Truth:
        """Read the labels.

        Args:
            class_names: The classes that there are scores of.
            chosen: Whether these are the classes to be evaluated, whatever else the table has.

        Raises:
            MissingFileError: If there is no such file.
            DataError: If a table cannot be read, or has a class that there are no scores of, or
                lacks one.
            ConfigError: If the form has an unknown key, or a value that is not allowed.
        """
        labels, lists_names = self._labels(Path(self.file), class_names, chosen)
        truth = replace(Truth.of_table(labels, str(self.file)), open_classes=lists_names)
        if self.train is None:
            return truth
        training, _ = self._labels(Path(self.train), class_names, chosen)
        counts = dict(zip(training.class_names, training.class_counts().counts.tolist()))
        return replace(
            truth,
            class_counts=ClassCounts.from_counts(
                [counts.get(name, 0) for name in truth.class_names],
                len(training),
                names=truth.class_names,
            ),
        )

    def _labels(
        self, file: Path, class_names: Sequence[str], chosen: bool
    ) -> tuple[LabelTable, bool]:
        """The labels, and whether the table lists names, so that others have no positive image."""
        for key in self.form:
            if key not in TableFormat.model_fields:
                close = did_you_mean(key, TableFormat.model_fields)
                raise ConfigError(f"--targets-set: there is no key {key!r} of tables{close}")
        table = open_table(file)
        id_column = self.id_column if self.id_column in table.header else None
        form = {"path_column": find_id_column(table, id_column), **self.form}
        if "labels_column" not in form:
            form["labels_column"] = "labels" if "labels" in table.header else None
        names = None
        if form["labels_column"] is None:
            names = _class_columns(table, class_names, [*_not_classes(form)], chosen)
        labels = read_csv(file, ".", class_names=names, **form)
        for note in labels.notes:
            log.info("%s: %s", file, note)
        return labels, names is None and form.get("layout") != "long"


def _not_classes(form: Mapping[str, Any]) -> Iterator[str]:
    group = form.get("group")
    column = group.get("column") if isinstance(group, Mapping) else group
    yield from (name for name in (form.get("path_column"), form.get("id_column"), column) if name)
    yield from form.get("negatives", ())


def _class_columns(
    table: Table, class_names: Sequence[str], others: Sequence[str], chosen: bool
) -> list[str]:
    """The columns that are classes: those with scores, and what looks like further ones."""
    columns = [name for name in table.header if name not in others]
    missing = [name for name in class_names if name not in columns]
    if missing:
        raise DataError(
            f"{table.source} has no column for {named(missing, 'class', len(class_names))}; its "
            f"columns are {', '.join(map(repr, table.header[:20]))}{alike(missing, columns)}. "
            "Where one column lists the names of an image's classes, say so: "
            "--targets-set labels_column=NAME"
        )
    wanted = set(class_names)
    if not chosen:
        wanted |= {name for name in columns if name not in wanted and _like_labels(table, name)}
    return [name for name in columns if name in wanted]


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


def alike(missing: Sequence[str], names: Sequence[str]) -> str:
    """A question for the missing classes that are there under a similar name.

    Example:
        >>> alike(["Cat", "emu"], ["cat", "dog"])
        "; did you mean 'cat' for 'Cat'?"
    """
    lowered = {name.lower(): name for name in names}
    close = {
        name: lowered[found[0]]
        for name in missing
        if (found := get_close_matches(name.lower(), lowered, n=1, cutoff=0.8))
    }
    pairs = ", ".join(f"{there!r} for {name!r}" for name, there in list(close.items())[:5])
    return f"; did you mean {pairs}?" if pairs else ""


def _like_labels(table: Table, column: str) -> bool:
    """Whether a column could be a class: whether it holds 1, 0, -1 and nothing alone."""
    if table.header.count(column) > 1 or not column:
        return False
    (cells,) = table.columns([column])
    found = {cell.strip() for cell in cells.unique().to_pylist()}
    return found <= {"", "0", "1", "-1", "0.0", "1.0", "-1.0"} and not found <= {""}
