"""Data of one's own, given from Python: label tables, or data sets that load their own images."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from scipy.sparse import csr_array
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from mlt.data.columns import Column, as_column
from mlt.data.dataset import Decoding, ImageDataset, ItemDataset, OnError, SampleDataset
from mlt.data.image_files import check_images
from mlt.data.items import check_item, known_array, one_hot, target_array
from mlt.data.labels import LabelTable
from mlt.data.loader import default_workers
from mlt.data.names import name_difference
from mlt.data.picture_items import with_pictures
from mlt.data.run_data import Data, fit_together
from mlt.data.splits.build import full_split
from mlt.data.transforms import Transform
from mlt.data.worker_signals import WorkerSignals, iterate
from mlt.errors import ConfigError, DataError, UserError

__all__ = ["Given", "OwnPart", "check_mapping", "own_data", "own_parts"]

log = logging.getLogger(__name__)

Given: TypeAlias = "LabelTable | Dataset[tuple[Tensor, ...]]"
"""A part of the data: a label table, whose image files go through the configured transforms; or a
map-style data set with ``class_names``, or torchvision's ``classes``, that yields ``(image,
target)`` or ``(image, target, known)``. Images of Pillow go through the configured transforms,
tensors are used as they come."""

_PARTS = ("train", "validation", "test")

_RECIPES = {
    "CocoDetection": "mlt.read_coco(annotation_file, folder_of_images)",
    "VOCDetection": "mlt.read_voc(root, 'VOC2012', 'trainval')",
    "SampleCollection": "a LabelTable of its values, see 'FiftyOne' in docs/your_own_data.md",
    "DatasetInfoMixin": "mlt.data.read_hf(dataset)",
}
"""What to give in place of data sets of other libraries, by the names of their classes."""


@dataclass(frozen=True)
class OwnPart:
    """A part of the data, ready for counts, samplers and the loader.

    Attributes:
        name: ``"train"``, ``"validation"`` or ``"test"``.
        table: Its labels; ``paths`` is None for a data set.
        items: The data set that yields tensors; None for a table, which reads its images itself.
    """

    name: str
    table: LabelTable
    items: Dataset[tuple[Tensor, ...]] | None = None

    def dataset(
        self, transform: Transform, on_error: OnError = "raise", decoding: Decoding = "exact"
    ) -> SampleDataset:
        """What the loader goes through.

        Args:
            transform: For the image files of a label table; a data set's tensors stay as they are.
            on_error: What the loader does about an image that cannot be read.
            decoding: How the image files of a label table are decoded.
        """
        if self.items is None:
            return ImageDataset(self.table, transform, on_error, decoding)
        return ItemDataset(self.table, self.items, self.name, on_error)


def own_data(parts: Mapping[str, OwnPart]) -> Data:
    """Put the parts of a training run together, as :func:`mlt.data.run_data.load_data` does.

    Args:
        parts: From :func:`own_parts`.

    Raises:
        ConfigError: If ``train`` or ``test`` is absent.
    """
    for name, use in {"train": "to train on", "test": "that the results are of"}.items():
        if name not in parts:
            raise ConfigError(
                f"data has no part {name!r}, the images {use}; its parts are "
                f"{', '.join(parts) or 'none'}"
            )
    tables = {name: part.table for name, part in parts.items()}
    split = full_split(tables["train"], "own")
    return fit_together(tables["train"], tables["test"], tables.get("validation"), split)


def own_parts(given: Mapping[str, Given], workers: int | None = 0) -> dict[str, OwnPart]:
    """Check data of one's own, and learn the labels of data sets.

    The labels of a data set are its attribute ``targets``, (N, C) numbers in [0, 1] or N class
    indices, with the optional ``known``, (N, C) True where a label was annotated. Without
    ``targets``, or with torchvision's ``target_transform``, every item is read once; the first one
    is, in any case. Ids are its attribute ``image_ids`` or ``ids``, else the row numbers. Targets
    between 0 and 1 count as labels from 0.5 on in class counts, samplers and results; the loss
    takes them as they come.

    Args:
        given: ``train``, ``validation`` or ``test`` to what the part is.
        workers: Processes that read items where there are no ``targets``; 0 reads in this process,
            None decides by the number of cores.

    Returns:
        The parts, in the order train, validation, test.

    Raises:
        ConfigError: If a part has another name, or is not a table nor a map-style data set.
        DataError: If a part is empty, a target is not what it must be, or the classes of two parts
            differ.
        MissingFileError: If an image of a label table is absent.

    Example:
        >>> import torch
        >>> class Digits(Dataset):
        ...     class_names, targets = ("even", "small"), [[1, 1], [0, 1], [0, 0]]
        ...     def __len__(self):
        ...         return 3
        ...     def __getitem__(self, row):
        ...         return torch.zeros(3, 8, 8), torch.tensor(self.targets[row])
        >>> part = own_parts({"train": Digits()})["train"]
        >>> part.table.targets([0, 1]).tolist(), part.table.image_ids.tolist()
        ([[1.0, 1.0], [0.0, 1.0]], [0, 1, 2])
    """
    check_mapping(given)
    if unknown := [name for name in given if name not in _PARTS]:
        raise ConfigError(f"data has a part {unknown[0]!r}; parts are {', '.join(_PARTS)}")
    parts = [_own_part(name, given[name], workers) for name in _PARTS if name in given]
    for part in parts[1:]:
        difference = name_difference(
            parts[0].table.class_names, part.table.class_names, parts[0].name, part.name
        )
        if difference:
            raise DataError(
                f"data: {parts[0].name} and {part.name} data have different classes: {difference}"
            )
    return {part.name: part for part in parts}


def check_mapping(given: object) -> None:
    """Refuse data that are not in parts.

    Raises:
        ConfigError: Saying what they are.
    """
    if not isinstance(given, Mapping):
        raise ConfigError(
            f"data must be a mapping such as {{'train': ..., 'test': ...}}, got "
            f"{type(given).__name__}"
        )


def _own_part(name: str, given: Given, workers: int | None) -> OwnPart:
    where = f"data[{name!r}]"
    if isinstance(given, LabelTable):
        part = OwnPart(name, given)
    else:
        table = _table_of(given, where, workers)
        pictured = with_pictures(table, given, name)
        part = OwnPart(name, table, given) if pictured is None else OwnPart(name, pictured)
    if not len(part.table):
        raise DataError(f"{where} is empty: it has no image")
    if part.items is None:
        check_images(part.table, name)
    return part


def _table_of(dataset: Any, where: str, workers: int | None) -> LabelTable:
    """The labels of a data set."""
    _check_map_style(dataset, where)
    names = _class_names(dataset, where)
    shape = (len(dataset), len(names))
    known = None
    # What torchvision's target_transform makes of targets is seen in the items alone.
    transformed = getattr(dataset, "target_transform", None) is not None
    if getattr(dataset, "targets", None) is not None and not transformed:
        targets = one_hot(dataset.targets, names, f"{where}: one of the targets")
        if targets is None or len(targets) != len(dataset):
            targets = target_array(dataset.targets, shape, names, f"{where}: targets")
        if getattr(dataset, "known", None) is not None:
            known = known_array(dataset.known, shape, f"{where}: known")
    else:
        log.info(
            "%s has no attribute targets: reading its %d items once to learn their labels",
            where,
            len(dataset),
        )
        targets, known = _read_labels(dataset, names, where, workers)
    if bool(((targets > 0) & (targets < 1)).any()):
        log.info("%s has targets between 0 and 1; from 0.5 on they count as labels", where)
    labels = targets >= 0.5
    if known is not None and bool((wrong := np.argwhere(labels & ~known)).size):
        row, column = wrong[0]
        raise DataError(
            f"{where}, item {row} has the label {names[column]!r}, which is marked as not known"
        )
    return LabelTable(
        image_ids=_ids(dataset, where),
        paths=None,
        class_names=names,
        labels=csr_array(labels),
        known=None if known is None or bool(known.all()) else csr_array(known),
    )


def _check_map_style(dataset: Any, where: str) -> None:
    for kind in type(dataset).__mro__:
        if kind.__name__ in _RECIPES and getattr(dataset, "class_names", None) is None:
            raise ConfigError(
                f"{where} is a {kind.__name__}, whose items have no target per class; give "
                f"{_RECIPES[kind.__name__]}"
            )
    if isinstance(dataset, DataLoader):
        raise ConfigError(
            f"{where} is a DataLoader; give its data set (.dataset), because batches are made as "
            "the configuration says"
        )
    missing = [name for name in ("__len__", "__getitem__") if not hasattr(dataset, name)]
    if isinstance(dataset, IterableDataset) or missing:
        raise ConfigError(
            f"{where} is a {type(dataset).__name__}, which cannot be asked for item 7; expected a "
            "LabelTable or a map-style data set, with __len__ and __getitem__, so that samplers "
            "can choose images"
        )


def _class_names(dataset: Any, where: str) -> tuple[str, ...]:
    names = getattr(dataset, "class_names", None)
    names = getattr(dataset, "classes", None) if names is None else names
    kind = type(dataset).__name__
    if names is None or isinstance(names, str):
        raise ConfigError(
            f"{where}, a {kind}, has no class_names; set them: dataset.class_names = ['cat', "
            "'dog', ...], in the order of the target's columns"
            + ("; a list has no attributes: make it a Dataset" if kind in ("list", "tuple") else "")
        )
    names = names.tolist() if hasattr(names, "tolist") else names
    if not isinstance(names, Sequence) or not names:  # a set has no order, a mapping another one
        raise ConfigError(
            f"{where}: class_names is {str(names)[:60]}, a {type(names).__name__}; expected a list "
            "of at least one name, in the order of the target's columns"
        )
    return tuple(names)


def _ids(dataset: Any, where: str) -> Column:
    given = getattr(dataset, "image_ids", None)
    given = getattr(dataset, "ids", None) if given is None else given
    if given is None:
        return np.arange(len(dataset))
    ids = given.tolist() if hasattr(given, "tolist") else list(given)
    if len(ids) != len(dataset):
        raise DataError(f"{where} has {len(dataset)} items but {len(ids)} image ids")
    return as_column(ids)


class _Labels(Dataset["tuple[Tensor, Tensor | None] | DataError"]):
    """The targets and masks of a data set; an error is returned, as in the loader."""

    def __init__(self, items: Any, class_names: tuple[str, ...], where: str) -> None:
        self.items = items
        self.class_names = class_names
        self.where = where

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor | None] | DataError:
        where = f"{self.where}, item {row}"
        try:
            item = self.items[row]
        except (OSError, UserError) as error:
            return DataError(
                f"{where} cannot be read: {error} Nor can its labels, therefore; an attribute "
                "`targets` of the data set would tell them"
            )
        try:
            _, target, known = check_item(item, self.class_names, where)
        except DataError as error:
            return error
        return target, known


def _read_labels(
    dataset: Any, names: tuple[str, ...], where: str, workers: int | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Read every item once; targets (N, C), and masks (N, C) if any item has one."""
    reader: DataLoader[Any] = DataLoader(
        _Labels(dataset, names, where),
        batch_size=None,
        num_workers=default_workers(len(dataset), 64) if workers is None else workers,
        worker_init_fn=WorkerSignals(),
    )
    targets = np.empty((len(dataset), len(names)), np.float32)
    known = np.ones(targets.shape, bool)
    for row, answer in enumerate(iterate(reader)):
        if isinstance(answer, DataError):
            raise answer
        targets[row] = answer[0]
        if answer[1] is not None:
            known[row] = answer[1]
    return targets, known
