"""WebDataset's shards to a label table whose images stay in the shards.

https://github.com/webdataset/webdataset: a sample is the members of a tar file whose names differ
only in what follows the first dot, ``0001.jpg`` and ``0001.json``.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mlt.data.columns import StringColumn
from mlt.data.formats.label_values import labels_of_lists
from mlt.data.formats.tar_shards import Member, ShardImages, list_members
from mlt.data.image_suffixes import IMAGE_SUFFIXES
from mlt.data.labels import LabelTable
from mlt.errors import DataError

if TYPE_CHECKING:
    from mlt.data.formats.table_format import LabelValue

__all__ = ["read_webdataset"]

_LABEL_EXTENSIONS = ("json", "txt", "cls")


@dataclass
class _Sample:
    """The members of a sample, by what follows the first dot of their names in lower case."""

    file: Path
    shard: str
    key: str
    members: dict[str, Member] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.file}, sample {self.key!r}"


def read_webdataset(
    root: Path,
    shards: Sequence[str],
    *,
    image_extension: str | None = None,
    labels_extension: str | None = None,
    labels_key: str = "labels",
    class_names: Sequence[str] | None = None,
    number_names: Sequence[str] | None = None,
    multi_hot: bool = False,
    separator: str | None = None,
    blank: LabelValue = "unknown",
    uncertain: LabelValue = "unknown",
) -> LabelTable:
    """Read which labels the samples of some shards have, and where their images lie.

    Ids are the keys of the samples; ``shard/key`` where two shards have the same key. A sample
    without an image is left out and counted.

    Args:
        root: The folder of the shards.
        shards: Their names, see :func:`mlt.data.formats.tar_shards.find_shards`.
        image_extension: What follows the first dot of an image's name; None: that of any image.
        labels_extension: The same of the labels; None: ``json``, ``txt`` or ``cls``, whichever
            there is. JSON holds the labels, or an object with ``labels_key``; ``cls`` class
            numbers; anything else a name per line, or names between ``separator``.
        labels_key: Key of the labels in JSON.
        class_names: The classes of names; further ones that occur come after them. None takes
            those that occur, sorted.
        number_names: What class numbers mean.
        multi_hot: Whether lists of integers are 0 and 1 for every class.
        separator: What separates the names in one string.
        blank: What it means that a sample has no labels member, or null.
        uncertain: What -1 means in 0 and 1 for every class.

    Raises:
        DataError: If a shard is not a tar file or is cut off, or labels are damaged; names the
            shard and the sample.
    """
    samples = [sample for shard in shards for sample in _samples(root, shard)]
    images = [_image(sample, image_extension) for sample in samples]
    found = [(sample, image) for sample, image in zip(samples, images) if image is not None]
    labelled = _Labels(labels_extension, labels_key)
    values = [labelled.of(sample) for sample, _ in found]

    def where(row: int) -> str:
        return str(found[row][0]) if found else str(root)

    read = labels_of_lists(
        _column(values, where, separator),
        where,
        class_names=class_names,
        number_names=number_names,
        multi_hot=multi_hot,
        separator=separator,
        blank=blank,
        uncertain=uncertain,
    )
    imageless = len(samples) - len(found)
    left_out = f"samples without an image, left out: {imageless} of {len(samples)}"
    return LabelTable(
        image_ids=StringColumn.from_iterable(_ids([sample for sample, _ in found])),
        paths=StringColumn.from_iterable(image.path(sample.shard) for sample, image in found),
        class_names=read.class_names,
        labels=read.labels,
        known=read.known,
        root=root,
        soft=read.soft,
        notes=(*read.notes, left_out) if imageless else read.notes,
        images=ShardImages(root),
    )


def _samples(root: Path, shard: str) -> Iterable[_Sample]:
    """The samples of a shard, in the order of their first members."""
    samples: dict[str, _Sample] = {}
    for member in list_members(root / shard):
        folder, name = posixpath.split(member.name.removeprefix("./"))
        stem, _, extension = name.partition(".")
        if not stem or (name.startswith("__") and name.endswith("__")):
            continue  # hidden files; the format's own notes
        key = f"{folder}/{stem}" if folder else stem
        members = samples.setdefault(key, _Sample(root / shard, shard, key)).members
        if members.setdefault(extension.lower(), member) is not member:
            raise DataError(f"{samples[key]} has {member.name!r} twice")
    return samples.values()


def _image(sample: _Sample, extension: str | None) -> Member | None:
    if extension is not None:
        return sample.members.get(extension.lower())
    found = [name for name in sample.members if f".{name}" in IMAGE_SUFFIXES]
    if len(found) > 1:
        raise DataError(
            f"{sample} has several images: {', '.join(found)}. Set data.image_extension to the one "
            "to take"
        )
    return sample.members[found[0]] if found else None


def _ids(samples: Sequence[_Sample]) -> list[str]:
    keys = [sample.key for sample in samples]
    if len(set(keys)) == len(keys):
        return keys
    return [f"{sample.shard.removesuffix('.tar')}/{sample.key}" for sample in samples]


@dataclass(frozen=True)
class _Labels:
    """Reads the labels of samples, as they are written there."""

    extension: str | None
    key: str

    def of(self, sample: _Sample) -> Any:
        """Names, numbers, or a list of either; None where there is nothing."""
        extension = self._extension(sample)
        if extension is None:
            return None
        member = sample.members[extension]
        with sample.file.open("rb") as stream:
            stream.seek(member.offset)
            content = stream.read(member.size)
        try:
            text = content.decode("utf-8-sig")
            if extension.rpartition(".")[2] == "json":
                return self._of_json(json.loads(text))
            if extension.rpartition(".")[2] == "cls":
                return [int(number) for number in text.replace(",", " ").split()]
        except (ValueError, RecursionError) as error:
            raise DataError(f"{sample}: {member.name!r} cannot be read: {error}") from None
        return [line.strip() for line in text.splitlines() if line.strip()]

    def _extension(self, sample: _Sample) -> str | None:
        wanted = [self.extension.lower()] if self.extension else _LABEL_EXTENSIONS
        found = [name for name in wanted if name in sample.members]
        if len(found) > 1:
            raise DataError(
                f"{sample} may have its labels in {' or in '.join(found)}. Set "
                "data.labels_extension to the one to take"
            )
        return found[0] if found else None

    def _of_json(self, content: Any) -> Any:
        if not isinstance(content, dict):
            return content
        if self.key not in content:
            raise ValueError(
                f"it has no key {self.key!r}; its keys are {', '.join(map(str, content))}. Set "
                "data.labels_key"
            )
        return content[self.key]


def _column(values: list[Any], where: Callable[[int], str], separator: str | None) -> pa.Array:
    """The values, each of them a list now, as one Arrow array."""
    lists = [value if isinstance(value, list) or value is None else [value] for value in values]
    kinds: dict[str, int] = {}  # to the first row that has one
    for row, entries in enumerate(lists):
        for entry in entries or ():
            if entry is not None:
                number = isinstance(entry, (bool, int, float))
                kinds.setdefault("number" if number else type(entry).__name__, row)
    if kinds.keys() - {"str"} and kinds.keys() - {"number"}:
        kind, row = list(kinds.items())[-1]
        raise DataError(
            f"{where(row)}: its labels have a {kind}; expected a list of names, of class numbers, "
            "or of 0 and 1 for every class, and the same in all samples"
        )
    if separator is not None and "str" in kinds:
        lists = [
            None if entries is None else [part for e in entries for part in e.split(separator)]
            for entries in lists
        ]
    try:
        return pa.array(lists)
    except (pa.ArrowException, OverflowError) as error:  # booleans among numbers, 2**64
        raise DataError(
            f"{where(0)} and others: their labels do not go together: {error}"
        ) from None
