"""Splits of Hugging Face data sets to label tables whose images stay in the data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlt.data.columns import Column, StringColumn, integer_column
from mlt.data.formats.group_cells import without_blanks
from mlt.data.formats.label_values import labels_of_columns, labels_of_lists
from mlt.data.labels import LabelTable
from mlt.errors import ConfigError, DataError, MissingFileError

if TYPE_CHECKING:
    from datasets import Dataset

    from mlt.data.formats.table_format import LabelValue

__all__ = ["RowImages", "load_splits", "read_hf"]

_INSTALL = "pip install 'mlt[hf]' (or pip install 'datasets>=4')"


def load_splits(
    path: str, root: Path, config: str | None = None, revision: str | None = None
) -> Mapping[str, Dataset]:
    """Open a data set; no code of it is run.

    Args:
        path: A folder, from ``root`` on, that ``save_to_disk`` wrote or that the library reads
            (parquet, image folders, ...), one such file, or the hub's ``owner/name``.
        root: Where a relative path starts.
        config: Its configuration (subset), where it has several.
        revision: A commit or tag of the hub.

    Returns:
        Its splits by name.

    Raises:
        ConfigError: If the library ``datasets`` is absent.
        MissingFileError: If there is no such folder, nor could it be a name of the hub.
        DataError: If the library cannot read it.
    """
    try:
        import datasets
    except ImportError as error:
        raise ConfigError(f"data.name hf needs the library datasets: {_INSTALL}") from error
    local = root / path
    if not local.exists() and (path.count("/") != 1 or path.startswith((".", "/", "~"))):
        raise MissingFileError(
            f"data.path: there is no folder {local}, and {path} is no name of a data set on the "
            "hub, which is owner/name"
        )
    try:
        if (local / "state.json").is_file() or (local / "dataset_dict.json").is_file():
            opened = datasets.load_from_disk(str(local))
        elif local.is_file():
            kind = "json" if local.suffix == ".jsonl" else local.suffix[1:]
            if kind not in ("parquet", "arrow", "json", "csv"):
                raise DataError("a single file must be .parquet, .arrow, .json, .jsonl or .csv")
            opened = datasets.load_dataset(kind, data_files=str(local))
        elif local.exists():
            opened = datasets.load_dataset(str(local.resolve()), config)
        else:
            opened = datasets.load_dataset(path, config, revision=revision)
    except MemoryError:
        raise
    except Exception as error:  # The library raises errors of its own, of its parsers, of the web.
        reason = " ".join(str(error.__cause__ or error).split()) or type(error).__name__
        raise DataError(
            f"data.path: {local if local.exists() else path} cannot be opened by the library "
            f"datasets: {reason[:500]}"
        ) from error
    if isinstance(opened, datasets.Dataset):
        return {str(opened.split or "train"): opened}
    return dict(opened)


@dataclass(frozen=True)
class RowImages:
    """Reads the images of one split; goes to workers as the names of the files that it maps.

    Attributes:
        column: The split, with the column of images alone, in Arrow's format.
        root: The folder that paths in it start from.
    """

    column: Dataset
    root: Path

    def read(self, path: str) -> bytes:
        """The encoded image of ``split/row``.

        Raises:
            DataError: If the row has none, or it is not stored here.
            MissingFileError: If it is the path of a file that does not exist.
        """
        value = self.column[int(path.rpartition("/")[2])].column(0)[0].as_py()
        content, file = value, None
        if isinstance(value, str):
            content, file = None, value
        elif isinstance(value, dict):
            content, file = value.get("bytes"), value.get("path")
        if content is not None:
            return content
        if not file:
            raise DataError(f"The image {path} cannot be read: the data set has none in this row.")
        if "://" in file:
            raise DataError(
                f"The image {path} cannot be read: it is the address {file}, which is not fetched; "
                "store the images in the data set."
            )
        try:
            return (self.root / file).read_bytes()
        except FileNotFoundError:
            raise MissingFileError(
                f"The image {self.root / file} of {path} does not exist."
            ) from None
        except (OSError, ValueError) as error:  # a folder, no permission; a null byte in the name
            raise DataError(f"The image {self.root / file} cannot be read: {error}.") from error


def read_hf(
    dataset: Dataset,
    split: str | None = None,
    root: str | Path = ".",
    *,
    image_column: str = "image",
    labels_column: str | None = "labels",
    id_column: str | None = None,
    group: str | None = None,
    class_names: Sequence[str] | None = None,
    number_names: Sequence[str] | None = None,
    multi_hot: bool = False,
    separator: str | None = None,
    blank: LabelValue = "unknown",
    uncertain: LabelValue = "unknown",
) -> LabelTable:
    """Read the labels of a split of a Hugging Face data set as a label table.

    Its images stay where they are, and are read when they are needed.

    Args:
        dataset: The split, a ``datasets.Dataset``.
        split: Its name; None takes the one that it knows.
        root: Where paths of images start.
        image_column: Column of images: of the library's ``Image``, encoded bytes, or paths.
        labels_column: Column of labels, see
            :func:`mlt.data.formats.label_values.labels_of_lists`; with a dot, a field of it, as
            ``objects.category``. None: every class has a column of its own.
        id_column: Column of ids; None takes the numbers of the rows.
        group: Column of what images belong to, such as their patient.
        class_names: The classes of lists of names, or the class columns; None takes those that
            occur, or all further columns.
        number_names: What class numbers mean where the data set does not say.
        multi_hot: Whether lists of integers are 0 and 1 for every class.
        separator: What separates names in a string.
        blank: What null means.
        uncertain: What -1 means in 0 and 1 for every class.

    Raises:
        DataError: If a column is absent, or holds something else.
    """
    root, split = Path(root), split or str(dataset.split or "data")
    where = partial("{}, row {}".format, f"data set {root.name}, split {split}".replace(" ,", ","))
    image_type = _column_type(dataset, image_column, "image_column", where)
    if not _holds_images(image_type):
        raise DataError(
            f"{where(0)}: the column {image_column!r} is of the type {image_type}, expected images"
            f" (Image, bytes or paths); set data.image_column. {_columns(dataset)}"
        )
    if labels_column is None:
        others = [n for n in dataset.column_names if n not in (image_column, id_column, group)]
        names = [n for n in class_names or others if n in others] or list(class_names or ())
        read = labels_of_columns(
            {name: _values(dataset, name, "class_names", where) for name in names},
            where,
            blank=blank,
            uncertain=uncertain,
        )
    else:
        read = labels_of_lists(
            _values(dataset, labels_column, "labels_column", where),
            where,
            class_names=class_names,
            number_names=_names_of_numbers(dataset, labels_column) or number_names,
            multi_hot=multi_hot,
            separator=separator,
            blank=blank,
            uncertain=uncertain,
        )
    groups, notes = None, list[str]()
    if group is not None:
        # As text; null and words for it are an image of its own.
        cells = _values(dataset, group, "group", where).cast(pa.large_string()).fill_null("")
        groups, notes = without_blanks(cells, group)
    return LabelTable(
        image_ids=_ids(dataset, id_column, where),
        paths=StringColumn.from_iterable(f"{split}/{row}" for row in range(len(dataset))),
        class_names=read.class_names,
        labels=read.labels,
        known=read.known,
        root=root,
        soft=read.soft,
        groups=groups,
        notes=(*read.notes, *notes),
        images=RowImages(dataset.select_columns([image_column]).with_format("arrow"), root),
    )


def _ids(dataset: Dataset, id_column: str | None, where: Callable[[int], str]) -> Column:
    if id_column is None:
        return np.arange(len(dataset))
    ids = _values(dataset, id_column, "id_column", where)
    if ids.null_count:
        raise DataError(f"{where(int(np.argmax(ids.is_null())))} has no id in {id_column!r}")
    return integer_column(ids.to_numpy()) if pa.types.is_integer(ids.type) else StringColumn(ids)


def _values(dataset: Dataset, name: str, key: str, where: Callable[[int], str]) -> pa.Array:
    """A column, or a field of one, as one Arrow array."""
    _column_type(dataset, name, key, where)
    column, *fields = _path(dataset, name)
    table = dataset.select_columns([column]).with_format("arrow")[:]
    values = table.column(0).combine_chunks()
    for field in fields:
        values = _field(values, field)
    return values


def _field(values: pa.Array, field: str) -> pa.Array:
    """A field of structs, or of lists of structs."""
    if pa.types.is_struct(values.type):
        return pc.struct_field(values, field)
    lists = values.cast(pa.large_list(values.type.value_type))
    inner = pc.struct_field(lists.flatten(), field)
    lengths = np.asarray(pc.list_value_length(lists).fill_null(0))
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int64())
    return pa.LargeListArray.from_arrays(offsets, inner, mask=lists.is_null())


def _path(dataset: Dataset, name: str) -> list[str]:
    return [name] if name in dataset.column_names else name.split(".")


def _column_type(dataset: Dataset, name: str, key: str, where: Callable[[int], str]) -> pa.DataType:
    """The Arrow type of a column, or of a field of one."""
    column, *fields = _path(dataset, name)
    schema = dataset.features.arrow_schema
    if column not in schema.names:
        raise DataError(f"data.{key}: there is no column {name!r}. {_columns(dataset)}")
    kind = schema.field(column).type
    for field in fields:
        inner: Any = kind if pa.types.is_struct(kind) else getattr(kind, "value_type", kind)
        if not pa.types.is_struct(inner) or inner.get_field_index(field) < 0:
            raise DataError(
                f"data.{key}: {column!r} has no field {field!r}; it is {kind}. {_columns(dataset)}"
            )
        kind = inner.field(field).type
    return kind


def _holds_images(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0
    return any(
        test(kind)
        for test in (
            pa.types.is_binary,
            pa.types.is_large_binary,
            pa.types.is_string,
            pa.types.is_large_string,
        )
    )


def _names_of_numbers(dataset: Dataset, name: str) -> Sequence[str] | None:
    """The names that the data set gives to class numbers (ClassLabel); None where it does not."""
    column, *fields = _path(dataset, name)
    feature: Any = dataset.features[column]
    for field in [*fields, None]:
        while not isinstance(feature, dict) and getattr(feature, "feature", None) is not None:
            feature = feature.feature
        if field is not None:
            feature = feature[field]
    return getattr(feature, "names", None)


def _columns(dataset: Dataset) -> str:
    shown = [f"{name} ({kind})" for name, kind in list(dataset.features.items())[:20]]
    return f"The columns are {', '.join(' '.join(s.split())[:100] for s in shown)}"
