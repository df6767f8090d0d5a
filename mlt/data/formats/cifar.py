"""CIFAR-10 and CIFAR-100 in their official archives, packed or unpacked: pixels and classes.

A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009,
https://www.cs.toronto.edu/~kriz/cifar.html. The archives hold the images in the same order.
"""

from __future__ import annotations

import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from mlt.data.formats.pickled_arrays import read_pickled_arrays
from mlt.data.labels import LabelTable
from mlt.errors import DataError, MissingFileError

__all__ = ["CIFAR", "CifarArchive", "CifarData", "CifarForm", "find_archive", "read_cifar"]

_SIDE = 32
_PIXELS = 3 * _SIDE * _SIDE


@dataclass(frozen=True)
class CifarForm:
    """One of the official forms of a data set.

    Attributes:
        archive: The packed file.
        folder: The folder in it.
        files: Part to its files in that folder, in order.
        labels: Key of the class numbers in a pickled dictionary; in the binary form, the number of
            bytes in front of the pixels of an image, the last of which is its class.
    """

    archive: str
    folder: str
    files: Mapping[str, Sequence[str]]
    labels: str | int


@dataclass(frozen=True)
class CifarData:
    """What is known of a data set.

    Attributes:
        class_names: C names, in the order of the class numbers.
        forms: The official forms.
        images: Part to its number of images; there are as many of each class.
    """

    class_names: tuple[str, ...]
    forms: tuple[CifarForm, ...]
    images: Mapping[str, int]


# fmt: off
_CIFAR10_CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)
_CIFAR100_CLASSES = (
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle",
    "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle",
    "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch", "crab", "crocodile", "cup",
    "dinosaur", "dolphin", "elephant", "flatfish", "forest", "fox", "girl", "hamster", "house",
    "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion", "lizard", "lobster", "man",
    "maple_tree", "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange", "orchid",
    "otter", "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate", "poppy",
    "porcupine", "possum", "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal",
    "shark", "shrew", "skunk", "skyscraper", "snail", "snake", "spider", "squirrel", "streetcar",
    "sunflower", "sweet_pepper", "table", "tank", "telephone", "television", "tiger", "tractor",
    "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf", "woman",
    "worm",
)
# fmt: on

_BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))

CIFAR = {
    "cifar10_lt": CifarData(
        _CIFAR10_CLASSES,
        (
            CifarForm(
                "cifar-10-binary.tar.gz",
                "cifar-10-batches-bin",
                {"train": [f"{name}.bin" for name in _BATCHES], "test": ["test_batch.bin"]},
                1,
            ),
            CifarForm(
                "cifar-10-python.tar.gz",
                "cifar-10-batches-py",
                {"train": _BATCHES, "test": ["test_batch"]},
                "labels",
            ),
        ),
        {"train": 50_000, "test": 10_000},
    ),
    "cifar100_lt": CifarData(
        _CIFAR100_CLASSES,
        (
            CifarForm(
                "cifar-100-binary.tar.gz",
                "cifar-100-binary",
                {"train": ["train.bin"], "test": ["test.bin"]},
                2,
            ),
            CifarForm(
                "cifar-100-python.tar.gz",
                "cifar-100-python",
                {"train": ["train"], "test": ["test"]},
                "fine_labels",
            ),
        ),
        {"train": 50_000, "test": 10_000},
    ),
}
"""What is known of CIFAR-10 and CIFAR-100, by the names of their long-tailed subsets."""


class Images(NamedTuple):
    """The images of a part: pixels (N, 3, 32, 32) uint8, and class numbers (N,) int64."""

    pixels: np.ndarray
    classes: np.ndarray


@dataclass(frozen=True)
class CifarArchive:
    """A data set in one of its official forms, on disk.

    Attributes:
        path: The packed archive, or the folder of its files.
        form: Its form.
    """

    path: Path
    form: CifarForm

    def read(self, part: str) -> Images:
        """Read all images of a part.

        Raises:
            MissingFileError: If a file of the part is absent.
            DataError: If one is damaged, or is not of this form.
        """
        contents = self._contents(self.form.files[part])
        read = [_images(content, self.form, source) for source, content in contents.items()]
        return Images(
            np.concatenate([images.pixels for images in read]),
            np.concatenate([images.classes for images in read]),
        )

    def _contents(self, names: Sequence[str]) -> dict[str, bytes]:
        """The content of each file, by what messages call it."""
        if self.path.is_dir():
            found = {name: self.path / name for name in names if (self.path / name).is_file()}
            contents = {name: file.read_bytes() for name, file in found.items()}
        else:
            contents = _members(self.path, {f"{self.form.folder}/{name}": name for name in names})
        if absent := [name for name in names if name not in contents]:
            raise MissingFileError(
                f"data.root: {self.path} has no {' nor '.join(absent)}. Is it complete?"
            )
        return {str(self.path / name): contents[name] for name in names}


class CifarImages:
    """Reads images by paths such as ``train/00017``: the part, and the place in it.

    A part is read as a whole, and stays in memory (1 GB for every 325,000 images). A process that
    is forked shares it; one that is spawned reads it again when the first image is asked for.
    """

    def __init__(self, archive: CifarArchive, part: str, pixels: np.ndarray | None = None) -> None:
        self.archive = archive
        self.part = part
        self._pixels = pixels

    def read(self, path: str) -> Image.Image:
        """The image of a path."""
        if self._pixels is None:
            self._pixels = self.archive.read(self.part).pixels
        return Image.fromarray(self._pixels[int(path.rpartition("/")[2])].transpose(1, 2, 0))

    def __getstate__(self) -> dict[str, Any]:
        return {"archive": self.archive, "part": self.part, "_pixels": None}


def find_archive(root: Path, data: CifarData) -> CifarArchive | None:
    """The first official form of a data set that there is, unpacked or packed.

    Args:
        root: A folder that holds an archive or its unpacked folder, or is either itself.
        data: Which data set.

    Returns:
        None if there is none.
    """
    for form in data.forms:
        first = form.files["train"][0]
        for folder in (root / form.folder, root):
            if (folder / first).is_file():
                return CifarArchive(folder, form)
    for form in data.forms:
        for file in (root / form.archive, root):
            if file.name == form.archive and file.is_file():
                return CifarArchive(file, form)
    return None


def read_cifar(archive: CifarArchive, part: str, class_names: Sequence[str]) -> LabelTable:
    """Read a part as a label table, whose images come from the archive.

    Args:
        archive: Where the data set is.
        part: ``"train"`` or ``"test"``.
        class_names: C names, in the order of the class numbers.

    Returns:
        A table with one label per image, in the order of the archive; its ids are ``train/00000``
        and so on.

    Raises:
        MissingFileError: If a file of the part is absent.
        DataError: If one is damaged, or has a class number without a name.
    """
    pixels, classes = archive.read(part)
    if len(wrong := classes[(classes < 0) | (classes >= len(class_names))]):
        raise DataError(
            f"{archive.path}: the {part} images have the class number {wrong[0]}, but there are "
            f"{len(class_names)} classes, 0 to {len(class_names) - 1}"
        )
    ids = [f"{part}/{place:05}" for place in range(len(classes))]
    images = CifarImages(archive, part, pixels)
    return LabelTable.from_lists(
        ids, ids, class_names, classes[:, None], archive.path, images=images
    )


def _members(file: Path, names: Mapping[str, str]) -> dict[str, bytes]:
    """The content of some members of a packed tar file, under other names."""
    contents = {}
    try:
        with tarfile.open(file, "r|*") as archive:
            for member in archive:
                name = names.get(member.name.removeprefix("./"))
                stream = archive.extractfile(member) if name and member.isreg() else None
                if name and stream:
                    contents[name] = stream.read()
    # Damage of what is packed raises zlib.error, odd headers ValueError and OverflowError.
    except Exception as error:
        raise DataError(f"{file} cannot be unpacked: {error}. Fetch it again") from error
    return contents


def _images(content: bytes, form: CifarForm, source: str) -> Images:
    if isinstance(form.labels, int):
        return _binary_images(content, form.labels, source)
    return _pickled_images(content, form.labels, source)


def _binary_images(content: bytes, bytes_before: int, source: str) -> Images:
    length = bytes_before + _PIXELS
    if not content or len(content) % length:
        raise DataError(
            f"{source} has {len(content):,} bytes, which is not a number of images of {length:,} "
            "bytes each. Is the download complete?"
        )
    rows = np.frombuffer(content, np.uint8).reshape(-1, length)
    pixels = rows[:, bytes_before:].reshape(-1, 3, _SIDE, _SIDE)
    return Images(pixels, rows[:, bytes_before - 1].astype(np.int64))


def _pickled_images(content: bytes, key: str, source: str) -> Images:
    batch = read_pickled_arrays(content, source)
    if absent := {"data", key} - batch.keys():
        raise DataError(f"{source} has no {min(absent)!r}; it has {', '.join(sorted(batch))}")
    data, labels = batch["data"], batch[key]
    if not (isinstance(data, np.ndarray) and data.dtype == np.uint8 and data.ndim == 2):
        raise DataError(f"{source}: 'data' is not an array with a row of 8-bit pixels per image")
    if data.shape[1] != _PIXELS:
        raise DataError(f"{source}: images have {data.shape[1]} values, expected 3 x 32 x 32")
    if isinstance(labels, np.ndarray) and labels.dtype.kind in "iu" and labels.ndim == 1:
        labels = labels.tolist()
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise DataError(f"{source}: {key!r} is not a list of class numbers")
    if len(labels) != len(data):
        raise DataError(f"{source}: {len(data)} images but {len(labels)} {key}")
    return Images(data.reshape(-1, 3, _SIDE, _SIDE), np.array(labels, np.int64))
