"""Tables to a label table: class names in one column, a column per class, or a line per label."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlt.data.class_alignment import with_classes
from mlt.data.columns import StringColumn, duplicates
from mlt.data.formats.cells import check_policies
from mlt.data.formats.class_columns import class_columns, read_class_columns
from mlt.data.formats.group_cells import (
    group_like_columns,
    groups_by_pattern,
    ungrouped_note,
    without_blanks,
)
from mlt.data.formats.long_form import read_long_form
from mlt.data.formats.name_lists import read_name_lists
from mlt.data.formats.nested import names_in_objects
from mlt.data.formats.open_table import open_tables
from mlt.data.formats.read_labels import ReadLabels, amount
from mlt.data.formats.repeated_rows import check_agreement, without_repeats
from mlt.data.formats.table import Table
from mlt.data.labels import LabelTable
from mlt.errors import ConfigError, DataError

if TYPE_CHECKING:
    from mlt.data.formats.table_format import TableFormat

__all__ = ["read_class_labels", "read_csv", "read_tables"]

log = logging.getLogger(__name__)


def read_csv(
    file: str | Path | Sequence[str | Path],
    image_root: str | Path,
    *,
    class_names: Sequence[str] | None = None,
    **form: Any,
) -> LabelTable:
    """Read a CSV, TSV, JSON-lines or Parquet file as a label table.

    There are three layouts. In the first, the column ``labels_column`` lists names of classes, with
    a separator or as a Python or JSON list::

        path,labels
        a.jpg,cat|dog

    In the second, with ``labels_column=None``, there is one column per class, holding 1 (has the
    class), 0 (does not have it), -1 (uncertain) or nothing; ``1.0``, ``True``, ``yes`` are fine::

        path,cat,dog
        a.jpg,1,-1

    In the third, with ``layout="long"``, there is a line per image and class::

        path,labels
        a.jpg,cat
        a.jpg,dog

    What was left out, suspected or taken for something is in the ``notes`` of the table.

    Args:
        file: The file, or several to be read as one.
        image_root: The folder that the paths start from.
        class_names: C names, in the order of the label columns; others are left out. None takes, in
            the first and third layout, the names that occur, sorted; in the second, every column
            that has a name and is not something else.
        form: How the table is written: ``path_column``, ``labels_column``, ``separator`` and the
            other fields of :class:`~mlt.data.formats.table_format.TableFormat`, which are the keys
            of the ``data`` section, too.

    Returns:
        A table with string ids, of N images and C classes; ``known`` is None if nothing is unknown.

    Raises:
        MissingFileError: If a file does not exist.
        DataError: If a column is absent, an entry is not a label, a row is too short or repeats an
            image; the message gives the line.
        ConfigError: If ``form`` has an unknown key, or a value that is not allowed.

    Example:
        >>> import tempfile
        >>> table = Path(tempfile.mkdtemp()) / "labels.csv"
        >>> _ = table.write_text("path,cat,dog\\na.jpg,1,\\nb.jpg,0,-1.0\\n")
        >>> read = read_csv(table, "photos", labels_column=None)
        >>> read.targets([0, 1]).tolist(), read.known_mask([0, 1]).tolist()
        ([[1.0, 0.0], [0.0, 0.0]], [[True, True], [True, False]])
    """
    # Here, so that other data needs no pydantic.
    from pydantic import ValidationError

    from mlt.data.formats.table_format import TableFormat
    from mlt.problems import problems_of

    if class_names is not None:
        named = [isinstance(name, str) and name != "" for name in class_names]
        if isinstance(class_names, str) or not named or not all(named):
            raise ConfigError(f"read_csv: class_names must be a list of names, got {class_names!r}")
    try:
        checked = TableFormat(**form)
    except ValidationError as error:
        problems = problems_of(error, TableFormat)
        said = "; ".join(f"{key}: {sentence}" if key else sentence for key, sentence in problems)
        raise ConfigError(f"read_csv: {said}") from None
    names_of = read_class_labels(Path(checked.class_labels)) if checked.class_labels else None
    files = [Path(f) for f in ([file] if isinstance(file, (str, Path)) else file)]
    table, _ = read_tables(files, image_root, checked, class_names=class_names, names_of=names_of)
    return table if class_names is None else with_classes(table, class_names)


def read_tables(
    files: Sequence[Path],
    image_root: str | Path,
    form: TableFormat,
    *,
    class_names: Sequence[str] | None = None,
    names_of: Mapping[str, str] | None = None,
    may_lack: bool = False,
    part_column: str | None = None,
    warn_ungrouped: bool = False,
) -> tuple[LabelTable, StringColumn | None]:
    """Read one or several files as one label table.

    Args:
        files: At least one file.
        image_root: The folder that the paths start from.
        form: How they are written.
        class_names: The first classes of the table. What else occurs as a name follows them; with a
            column per class, no other column is read.
        names_of: Names for the ids in the labels column, as of :func:`read_class_labels`.
        may_lack: Whether columns of some ``class_names``, but not all, may be absent.
        part_column: A column that says to which part an image belongs.
        warn_ungrouped: Whether parts may be cut out of the table, so that a column or paths that
            name patients are noted where the format has no group.

    Returns:
        The table, and the cells of ``part_column``.

    Raises:
        MissingFileError: If a file does not exist.
        DataError: As of :func:`read_csv`.
        ConfigError: If there are policies for what is not a class.
    """
    table = open_tables(files, form)
    others = [*form.named_columns, *([part_column] if part_column else [])]
    for name in others:
        table.require(name)
    classes: list[str] = []
    notes: list[str] = []
    if form.labels_column is None:
        columns = {*table.header} - {*others}
        check_policies(form, class_names or columns, columns)
        classes, notes = class_columns(table, form, others, class_names, may_lack=may_lack)
        wanted = [*classes, *form.negatives]
    else:
        remedy = "; for one column per class, set labels_column to null"
        table.require(form.labels_column, remedy)
        wanted = [form.labels_column, *([form.value_column] if form.value_column else [])]
    suspected = []
    if warn_ungrouped and form.group is None and len(files) == 1:
        suspected = group_like_columns(table.header, {*others, *wanted})
    needed = list(dict.fromkeys([*others, *wanted, *suspected]))
    cells = dict(zip(needed, table.columns(needed)))
    if (listed := form.labels_column) is not None:
        cells[listed], of_objects = names_in_objects(cells[listed], listed, table.line)
        notes = [*of_objects]
    lists = [] if form.labels_column is None or form.layout == "long" else [form.labels_column]
    for name in {*cells} - {*suspected} - ({*lists} - {*others}):
        _refuse_lists(table, name, cells[name])
    paths = StringColumn(cells[form.path_column])
    ids = paths if form.id_column is None else StringColumn(cells[form.id_column])
    groups = None
    if form.group_column is not None:
        groups = cells[form.group_column]
        if form.group_pattern is not None:
            groups = groups_by_pattern(groups, form.group_pattern, form.group_column)
    read = _read_labels(table, form, cells, classes, class_names, names_of, ids.array)
    if form.layout == "long":
        said = {name: cells[name] for name in others}
        if groups is not None and form.group_column != form.path_column:
            said[str(form.group_column)] = groups
        del said[form.id_column or form.path_column]
        check_agreement(table, ids, said)
    if read.rows is None:
        read = without_repeats(read, ids, [cells[name] for name in others])
    if read.rows is not None:
        one = ids is paths
        paths = paths[read.rows]
        ids = paths if one else ids[read.rows]
    place = _Places(table, read.rows, form)
    if len(empty := np.flatnonzero(pc.equal(paths.array, "").to_numpy(zero_copy_only=False))):
        raise DataError(f"{place.line(empty[0])}: the path is empty")
    if form.id_column is not None:
        place.check_distinct("image id", ids)
        place.check_distinct("path", paths)

    def of_images(values: pa.Array) -> StringColumn:
        return StringColumn(values if read.rows is None else values.take(pa.array(read.rows)))

    if groups is not None:
        groups, ungrouped = without_blanks(of_images(groups).array, str(form.group_column))
        notes += ungrouped
    elif warn_ungrouped:
        texts = [name for name in suspected if pa.types.is_large_string(cells[name].type)]
        notes += ungrouped_note({name: of_images(cells[name]).array for name in texts}, paths.array)
    try:
        labels = LabelTable(
            image_ids=ids,
            paths=paths,
            class_names=read.class_names,
            labels=read.labels,
            known=read.known,
            root=Path(image_root),
            soft=read.soft,
            groups=groups,
            notes=(*table.notes, *notes, *read.notes),
        )
    except DataError:
        place.check_distinct("path", ids)
        raise
    log.debug("%s: %r", table.source, labels)
    return labels, None if part_column is None else of_images(cells[part_column])


def read_class_labels(file: Path) -> dict[str, str]:
    """Read a table of two columns, the id of a class and its name; a header does no harm.

    Names that several ids share get the id behind them.

    Raises:
        MissingFileError: If it does not exist.
        DataError: If it has not two columns, or an id has two names.
    """
    from mlt.data.formats.table_format import TableFormat

    table = open_tables([file], TableFormat(header=False))
    if len(table.header) != 2:
        raise DataError(
            f"{file} has {len(table.header)} columns; a table of class names has two, the id and "
            "the name"
        )
    ids, names = (
        [text.strip() for text in column.to_pylist()] for column in table.columns(table.header)
    )
    names_of: dict[str, str] = {}
    for row, (key, name) in enumerate(zip(ids, names)):
        if names_of.setdefault(key, name) != name:
            both = f"{names_of[key]!r} and {name!r}"
            raise DataError(f"{table.line(row)}: {key!r} has two names, {both}")
    ids_of = Counter(names_of.values())
    return {key: name if ids_of[name] == 1 else f"{name} ({key})" for key, name in names_of.items()}


def _read_labels(
    table: Table,
    form: TableFormat,
    cells: Mapping[str, pa.Array],
    classes: Sequence[str],
    class_names: Sequence[str] | None,
    names_of: Mapping[str, str] | None,
    ids: pa.Array,
) -> ReadLabels:
    if form.labels_column is None:
        wanted = {name: cells[name] for name in (*classes, *form.negatives)}
        return read_class_columns(table, wanted, classes, form)
    names = cells[form.labels_column]
    if form.layout == "long":
        values = cells[form.value_column] if form.value_column else None
        return read_long_form(table, ids, names, values, form, class_names, names_of)
    return read_name_lists(table, names, form, class_names, names_of)


def _refuse_lists(table: Table, name: str, cells: pa.Array) -> None:
    if not pa.types.is_large_string(cells.type):
        raise DataError(
            f"{table.source}: the column {name!r} holds lists; if it lists names of classes, set "
            f"labels_column: {name}, without layout"
        )


class _Places:
    """Where the images of a table are in its files, for messages."""

    def __init__(self, table: Table, rows: np.ndarray | None, form: TableFormat) -> None:
        self.table, self.rows, self.form = table, rows, form

    def line(self, image: int) -> str:
        return self.table.line(image if self.rows is None else self.rows[image])

    def check_distinct(self, kind: str, column: StringColumn) -> None:
        """Refuse an image that is listed twice; says in which lines."""
        if not (twice := duplicates(column)):
            return
        same = np.flatnonzero(pc.equal(column.array, twice[0]).to_numpy(zero_copy_only=False))[:5]
        places = self.table.lines((same if self.rows is None else self.rows[same]).tolist())
        differ, hint = " and differ in labels, group or part", "; keep one line of each image"
        if self.form.layout or (kind == "path" and self.form.id_column is not None):
            differ = hint = ""
        elif self.form.labels_column is not None:
            hint = "; for a line per image and class, set layout: long"
        raise DataError(
            f"{self.table.source}: {amount(len(twice), f'{kind} occurs', f'{kind}s occur')} more "
            f"than once{differ}, {twice[0]!r} in {places}{hint}"
        )
