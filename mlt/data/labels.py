"""LabelTable: which image has which labels. The one currency of the data side."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from multiprocessing.context import get_spawning_popen
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array

from mlt.arrays import check_no_nul
from mlt.class_counts import ClassCounts
from mlt.class_groups import GroupLimits
from mlt.data.columns import (
    Column,
    StringColumn,
    as_column,
    duplicates,
    find_ids,
    integer_column,
)
from mlt.data.label_file import map_label_file, read_label_file, table_digest, write_label_file
from mlt.data.mapped_arrays import Stamp
from mlt.data.names import repeated
from mlt.data.sparse import (
    canonical,
    canonical_values,
    column_counts,
    csr_from_lists,
    dense_rows,
    dense_values,
)
from mlt.errors import DataError

if TYPE_CHECKING:
    from mlt.data.images import ImageReader

__all__ = ["LabelTable"]


@dataclass(frozen=True, eq=False)
class LabelTable:
    """Images, their files and their labels. Frozen; checks itself when it is made.

    N images, C classes. Labels are stored sparse, so that Open Images (9 million images, 20,000
    classes, 70 million labels) fits in less than 1 GB.

    Attributes:
        image_ids: N distinct ids; an int64 array, or a :class:`StringColumn`.
        paths: N image files relative to ``root``, with forward slashes; None for a data set of
            one's own, which loads its images itself.
        class_names: C distinct names; their order is the order of the columns.
        labels: (N, C) boolean CSR array; the stored entries are the labels, sorted within a row.
        known: (N, C) boolean CSR array of the entries that were annotated at all, or None if all
            were. Every label must be known.
        root: The folder that ``paths`` start from.
        soft: (N, C) float32 CSR array of soft targets in (0, 1], which the loss is given instead of
            labels; None where all targets are 0 or 1. An entry is a label, for counts, samplers and
            results, from 0.5 on.
        groups: N names of what images belong to that must not be torn apart by a split, such as
            their patient or video; None where every image stands for itself.
        notes: What a user should know about how the table was read, in sentences.
        images: What reads the images where ``paths`` are not files, but for example rows of a data
            set or members of an archive; None for files. It is not saved. Images are loaded by
            :func:`mlt.data.row_images.row_image`, whatever they are.

    Raises:
        DataError: If the parts contradict each other; the message says which and where.

    Example:
        >>> table = LabelTable.from_lists([7, 9], ["7.jpg", "9.jpg"], ["cat", "dog"], [[1], [0, 1]])
        >>> len(table), table.num_classes, table.targets([1, 0]).tolist()
        (2, 2, [[1.0, 1.0], [0.0, 1.0]])
        >>> table.find([9]).tolist()
        [1]
    """

    image_ids: Column
    paths: StringColumn | None
    class_names: tuple[str, ...]
    labels: csr_array
    known: csr_array | None = None
    root: Path = field(default_factory=Path)
    soft: csr_array | None = None
    groups: StringColumn | None = None
    notes: tuple[str, ...] = ()
    images: ImageReader | None = None

    def __post_init__(self) -> None:
        ids = self.image_ids
        if not isinstance(ids, StringColumn):
            ids = integer_column(ids)
        names = tuple(self.class_names)
        shape = (len(ids), len(names))
        _check_names(names)
        if isinstance(ids, StringColumn) and ids.has_nul:
            check_no_nul(ids, "image id")
        if twice := duplicates(ids):
            shown = ", ".join(map(repr, twice[:5]))
            raise DataError(f"{len(twice)} image ids occur more than once: {shown}")
        if self.paths is not None:
            _check_paths(self.paths, ids)
        elif self.images is not None:
            raise DataError("what reads the images needs paths to know them by")
        labels = canonical(self.labels, shape, "labels")
        known = None if self.known is None else canonical(self.known, shape, "known")
        if known is not None and labels.multiply(known).nnz != labels.nnz:
            row, column = (part[0] for part in (labels > known).nonzero())
            raise DataError(
                f"image {ids[row]} has the label {names[column]!r}, which is marked as not known"
            )
        soft = None if self.soft is None else canonical_values(self.soft, shape, "soft targets")
        if soft is not None:
            _check_soft(soft, labels, known)
        if self.groups is not None and len(self.groups) != len(ids):
            raise DataError(f"{len(ids)} image ids but {len(self.groups)} groups")
        self._set(
            image_ids=ids,
            class_names=names,
            labels=labels,
            known=known,
            root=Path(self.root),
            soft=soft,
            notes=tuple(self.notes),
        )

    @classmethod
    def from_lists(
        cls,
        image_ids: Iterable[int] | Iterable[str],
        paths: Iterable[str],
        class_names: Iterable[str],
        label_indices: Iterable[Sequence[int]],
        root: str | Path = ".",
        known_indices: Iterable[Sequence[int]] | None = None,
        images: ImageReader | None = None,
    ) -> LabelTable:
        """Build a table from plain lists.

        Args:
            image_ids: N integers or N strings.
            paths: N paths relative to ``root``.
            class_names: C names.
            label_indices: For each image the indices of its classes, in any order; repetitions
                count once.
            root: The folder of the images.
            known_indices: For each image the indices of the classes that were annotated, or None
                if all were.
            images: What reads the images where the paths are not files.

        Raises:
            DataError: If lengths differ, an index is out of range or ids are of mixed types.
        """
        names = tuple(class_names)
        ids = as_column(image_ids)
        shape = (len(ids), len(names))
        return cls(
            image_ids=ids,
            paths=StringColumn.from_iterable(paths),
            class_names=names,
            labels=csr_from_lists(label_indices, shape),
            known=None if known_indices is None else csr_from_lists(known_indices, shape),
            root=Path(root),
            images=images,
        )

    def __len__(self) -> int:
        return len(self.image_ids)

    def __repr__(self) -> str:
        known = "all known" if self.known is None else f"{self.known.nnz} known"
        return (
            f"LabelTable({len(self)} images, {self.num_classes} classes, "
            f"{self.labels.nnz} labels, {known}, root={str(self.root)!r})"
        )

    @property
    def num_classes(self) -> int:
        """C, the number of classes."""
        return len(self.class_names)

    @property
    def has_string_ids(self) -> bool:
        """Whether image ids are strings (VOC, CSV) rather than integers (COCO)."""
        return isinstance(self.image_ids, StringColumn)

    def image_path(self, row: int) -> Path:
        """The file of the image in this row; its name where ``images`` reads it.

        Raises:
            DataError: If the images do not come from files.
        """
        if self.paths is None:
            raise DataError("these images come from a data set of one's own, not from files")
        return self.root / self.paths[row]

    def targets(self, rows: np.ndarray | Sequence[int]) -> np.ndarray:
        """Labels of these rows as a dense (len(rows), C) float32 array of 0 and 1."""
        return dense_rows(self.labels, rows, np.float32)

    def soft_targets(self, rows: np.ndarray | Sequence[int]) -> np.ndarray:
        """What the loss is given for these rows: the labels, or soft targets where there are any.

        Returns:
            Dense (len(rows), C) float32 array in [0, 1].
        """
        return self.targets(rows) if self.soft is None else dense_values(self.soft, rows)

    def known_mask(self, rows: np.ndarray | Sequence[int]) -> np.ndarray:
        """Which entries of these rows are known, as a dense (len(rows), C) boolean array."""
        if self.known is None:
            return np.ones((len(rows), self.num_classes), np.bool_)
        return dense_rows(self.known, rows, np.bool_)

    def class_counts(self, limits: GroupLimits | None = None) -> ClassCounts:
        """Count the images of each class.

        Args:
            limits: Where head, medium and tail begin; the published 100 and 20 if None.
        """
        return ClassCounts.from_counts(
            column_counts(self.labels),
            len(self),
            known=None if self.known is None else column_counts(self.known),
            names=self.class_names,
            unit="images",
            limits=limits,
        )

    def cooccurrence(self) -> csr_array:
        """Count the images that have both of two classes: (C, C) int64 CSR array, C^2 at most."""
        # A product of boolean or 8-bit arrays would saturate; N images always fit 32 bits here.
        integers = self.labels.astype(np.int32 if len(self) < 1 << 31 else np.int64)
        pairs = csr_array(integers.T @ integers).astype(np.int64)
        pairs.sort_indices()
        return pairs

    def judged(self) -> csr_array | None:
        """Count the images of class i on which class j is known: (C, C) int64; None: all are."""
        if self.known is None:
            return None
        return csr_array(self.labels.astype(np.int64).T @ self.known.astype(np.int64))

    def take(self, rows: np.ndarray | Sequence[int]) -> LabelTable:
        """The table of these rows, in this order.

        Raises:
            DataError: If a row is taken twice.
            IndexError: If a row does not exist.
        """
        rows = np.asarray(rows, dtype=np.int64)
        if np.array_equal(rows, np.arange(len(self))):
            return self
        return replace(
            self,
            image_ids=self.image_ids[rows],
            paths=None if self.paths is None else self.paths[rows],
            labels=self.labels[rows],
            known=None if self.known is None else self.known[rows],
            soft=None if self.soft is None else self.soft[rows],
            groups=None if self.groups is None else self.groups[rows],
        )

    def find(self, ids: Iterable[int | str]) -> np.ndarray:
        """The rows of these image ids, in the order of ``ids``; (len(ids),) int64.

        Raises:
            DataError: If an id is not in the table, or is of the wrong type; names the first few.
        """
        return find_ids(self.image_ids, ids)

    def digest(self) -> str:
        """SHA-256 of the content, without the root and the notes."""
        return table_digest(self)

    def save(self, path: str | Path) -> Stamp:
        """Write the table as ``.npz`` (no pickle), whole or not at all.

        Returns:
            The stamp of the file, with which :meth:`map` takes it as it was written.
        """
        return write_label_file(path, self)

    @classmethod
    def load(cls, path: str | Path, root: str | Path | None = None) -> LabelTable:
        """Read a table that :meth:`save` wrote.

        Args:
            path: The ``.npz`` file.
            root: The folder of the images, if it is another one than when the table was saved.

        Raises:
            MissingFileError: If there is no such file.
            DataError: If the file is damaged or is not a label table.
        """
        parts = read_label_file(path)
        if root is not None:
            parts["root"] = Path(root)
        try:
            return cls(**parts)
        except DataError as error:
            raise DataError(
                f"{path} is damaged or not a label table ({error}); delete it and build it again"
            ) from error

    @classmethod
    def map(cls, path: str | Path, stamp: Stamp) -> LabelTable:
        """Use a table where it lies in the file that :meth:`save` wrote, memory-mapped.

        Checksums are looked at; what was checked before it was saved is not checked again.

        Args:
            path: The ``.npz`` file.
            stamp: What :meth:`save` returned.

        Raises:
            MissingFileError: If there is no such file.
            DataError: If the file is another one than was written, or is damaged.

        Example:
            >>> import tempfile
            >>> file = Path(tempfile.mkdtemp()) / "table.npz"
            >>> table = LabelTable.from_lists([7], ["7.jpg"], ["cat", "dog"], [[1]])
            >>> LabelTable.map(file, table.save(file)).targets([0]).tolist()
            [[0.0, 1.0]]
        """
        table = object.__new__(cls)
        table._set(images=None, **map_label_file(Path(path), stamp))
        return table

    def __getstate__(self) -> dict[str, Any]:
        """What a copy is made of; for a process that is being spawned, a file to map."""
        if get_spawning_popen() is not None:
            return {"file": self._file, "images": self.images}
        return {part.name: getattr(self, part.name) for part in fields(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        file: _File | None = state.pop("file", None)
        self._set(**state, **({} if file is None else map_label_file(file.path, file.stamp)))

    @cached_property
    def _file(self) -> _File:
        """A file of the table that spawned processes map together; it goes with the table."""
        folder = tempfile.TemporaryDirectory(prefix="mlt-labels-", ignore_cleanup_errors=True)
        weakref.finalize(self, folder.cleanup)
        path = Path(folder.name, "table.npz")
        return _File(path, self.save(path))

    def _set(self, **parts: Any) -> None:
        for name, value in parts.items():
            object.__setattr__(self, name, value)


class _File(NamedTuple):
    path: Path
    stamp: Stamp


def _check_paths(paths: StringColumn, ids: Column) -> None:
    if len(paths) != len(ids):
        raise DataError(f"{len(ids)} image ids but {len(paths)} paths")
    empty = np.flatnonzero(np.diff(paths.to_bytes()[1]) == 0)
    if len(empty):
        raise DataError(f"{len(empty)} images have an empty path, first of id {ids[empty[0]]}")


def _check_names(names: tuple[str, ...]) -> None:
    if wrong := [n for n in names if not isinstance(n, str) or not n]:
        raise DataError(f"class names must be strings and not empty, got {wrong[0]!r}")
    check_no_nul(names, "class name")
    if twice := repeated(names):
        raise DataError(f"class names occur more than once: {', '.join(twice[:5])}")


def _check_soft(soft: csr_array, labels: csr_array, known: csr_array | None) -> None:
    wrong = soft.data[~((soft.data > 0) & (soft.data <= 1))]
    if len(wrong):
        raise DataError(f"soft targets must be in 0..1, got {wrong[0]:g}")
    if (csr_array(soft >= 0.5) != labels).nnz:
        raise DataError("labels must be the soft targets from 0.5 on")
    if known is not None and csr_array(soft > 0).multiply(known).nnz != soft.nnz:
        raise DataError("a soft target is marked as not known")
