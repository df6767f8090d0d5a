"""Decode the images of a data set once, for as long as there is room."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import PIL
import torch
import torchvision
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

import mlt
from mlt.data.dataset import ImageDataset
from mlt.data.decoded.images import DecodedImages
from mlt.data.decoded.stores import FolderStore, MemoryStore, Store
from mlt.data.image_transform import ImageTransform
from mlt.data.labels import LabelTable
from mlt.data.row_images import image_digests
from mlt.data.worker_signals import WorkerSignals, iterate
from mlt.errors import ConfigError, UserError
from mlt.keyed_files import KEY

__all__ = [
    "decode_once",
    "decode_rows",
    "estimated_size",
    "image_keys",
    "keys_for",
    "preparation_digest",
]

logger = logging.getLogger(__name__)

BLOCK_SIZE = 1 << 28
"""Bytes of pixels that are decoded before they are written as a block."""


def decode_once(
    dataset: ImageDataset,
    folder: str | Path | None = None,
    *,
    limit: int = 4 * 10**9,
    workers: int = 0,
) -> None:
    """Have a data set read its images decoded: the same samples, sooner from the second epoch on.

    Call it before the workers of a loader start.

    Args:
        dataset: Its transform is an :class:`mlt.data.image_transform.ImageTransform`, as those of
            :mod:`mlt.data.transforms` are.
        folder: Where to keep them for the next time; None: in memory.
        limit: Bytes that may be kept; what has no room is read as before.
        workers: Processes that decode.

    Raises:
        ConfigError: If the transform is another one.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> from mlt.data.transforms import Preprocessing, eval_transform
        >>> root = Path(tempfile.mkdtemp())
        >>> Image.new("RGB", (6, 4), "white").save(root / "a.jpg")
        >>> table = LabelTable.from_lists([1], ["a.jpg"], ["x"], [[0]], root)
        >>> dataset = ImageDataset(table, eval_transform(Preprocessing(4, (0.5,) * 3, (0.5,) * 3)))
        >>> decode_once(dataset)
        >>> (root / "a.jpg").unlink()
        >>> dataset[0].image.shape
        torch.Size([3, 4, 4])
    """
    if not isinstance(dataset.transform, ImageTransform):
        raise ConfigError(
            f"decode_once: the transform is a {type(dataset.transform).__name__}, of which is not "
            "known what it does the same every time; give one of mlt.data.transforms"
        )
    store: Store = MemoryStore(limit)
    if folder is not None:
        store = FolderStore(Path(folder) / preparation_digest(dataset)[:32], limit)
    keys = keys_for(store, dataset.table)
    there = DecodedImages(store.paths(), keys, store.checks)
    rows = np.flatnonzero(there.missing & (keys != b""))
    decode_rows(dataset, rows.tolist(), keys, store, workers=workers)
    dataset.decoded = DecodedImages(store.paths(), keys, store.checks, keeps=store)


def keys_for(store: Store, table: LabelTable) -> NDArray[np.bytes_]:
    """The keys of a table's images in a store: those of files are found again by later runs.

    Returns:
        (N,) of :data:`mlt.keyed_files.KEY`; empty for an image that cannot be read.
    """
    if isinstance(store, FolderStore):
        return image_keys(table)
    return np.arange(len(table)).astype(KEY)


def preparation_digest(dataset: ImageDataset) -> str:
    """SHA-256 of all that decides about the pixels which are kept, but for the images.

    Args:
        dataset: Its transform is an :class:`mlt.data.image_transform.ImageTransform`.
    """
    transform = dataset.transform
    assert isinstance(transform, ImageTransform)
    steps = [
        [type(step).__qualname__, {k: str(v) for k, v in vars(step).items() if k[0] != "_"}]
        for step in transform.fixed
    ]
    versions = [mlt.__version__, torch.__version__, torchvision.__version__, PIL.__version__]
    about = [versions, steps, dataset.shorter_side]
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def image_keys(table: LabelTable) -> NDArray[np.bytes_]:
    """Keys by which the images of a table are known again, without reading their files.

    A file is known by its path, size and time of modification, what comes from elsewhere by the
    SHA-256 of its content.

    Args:
        table: N images.

    Returns:
        (N,) of :data:`mlt.keyed_files.KEY`; empty for an image that cannot be read.
    """
    if table.images is not None:
        return image_digests(table)

    def key(row: int) -> bytes:
        try:
            path = table.image_path(row)
            stat = path.stat()
        except (OSError, UserError):
            return b""
        about = f"{path.absolute()}\0{stat.st_size}\0{stat.st_mtime_ns}"
        return hashlib.sha256(about.encode("utf-8", "surrogatepass")).digest()

    return np.array([key(row) for row in range(len(table))], KEY)


def estimated_size(dataset: ImageDataset, images: int = 8) -> int:
    """Bytes that the prepared pixels of all images take, judged by a few of them.

    Args:
        dataset: The images.
        images: How many to read, at even distances.
    """
    rows = np.unique(np.linspace(0, len(dataset) - 1, images).round().astype(int))
    read = [pixels for row in rows.tolist() if (pixels := _prepared(dataset, row)) is not None]
    return round(len(dataset) * sum(p.nbytes for p in read) / len(read)) if read else 0


def decode_rows(
    dataset: ImageDataset,
    rows: Sequence[int],
    keys: NDArray[np.bytes_],
    store: Store,
    *,
    workers: int = 0,
    writers: int = 1,
    step: Callable[[], None] = lambda: None,
) -> None:
    """Decode images into a store, in this order, as long as it has room.

    An image that cannot be read is left to the loader. A store that cannot be written to is
    full, with a warning.

    Args:
        dataset: The images.
        rows: Which of them.
        keys: (N,) of :data:`mlt.keyed_files.KEY`, those of all images.
        store: Where they are kept.
        workers: Processes that decode.
        writers: How many processes fill the store at once, each up to a share of its room.
        step: Called after each image.
    """
    room = store.room() // writers
    try:
        for block in _blocks(_decoded(dataset, rows, workers, step), room):
            store.write([keys[row] for row, _ in block], [pixels for _, pixels in block])
    except OSError as error:
        logger.warning("no more decoded images can be kept: %s", error)


def _blocks(
    images: Iterator[tuple[int, NDArray[np.uint8]]], room: int
) -> Iterator[list[tuple[int, NDArray[np.uint8]]]]:
    """The images in blocks, until the next one has no room."""
    block: list[tuple[int, NDArray[np.uint8]]] = []
    size = 0
    for row, pixels in images:
        if pixels.nbytes > room:
            break
        if block and size + pixels.nbytes > BLOCK_SIZE:
            yield block
            block, size = [], 0
        block.append((row, pixels))
        size += pixels.nbytes
        room -= pixels.nbytes
    if block:
        yield block


def _decoded(
    dataset: ImageDataset, rows: Sequence[int], workers: int, step: Callable[[], None]
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Rows and copies of their prepared pixels, laid out in memory as they came."""
    loader = DataLoader(
        _Prepared(dataset),
        batch_size=None,
        sampler=rows,
        num_workers=workers if len(rows) > 1 else 0,
        worker_init_fn=WorkerSignals(),
        generator=torch.Generator().manual_seed(0),
    )
    for row, pixels in zip(rows, iterate(loader)):
        step()
        if pixels is not None:
            # What a worker sent is a file of its own as long as it is in use.
            yield row, pixels.numpy().copy(order="K")


class _Prepared(Dataset["torch.Tensor | None"]):
    """The prepared pixels of a row; None if it cannot be read."""

    def __init__(self, dataset: ImageDataset) -> None:
        self.dataset = dataset

    def __getitem__(self, row: int) -> torch.Tensor | None:
        return _prepared(self.dataset, row)


def _prepared(dataset: ImageDataset, row: int) -> torch.Tensor | None:
    try:
        return dataset.prepare(row)
    except UserError:  # training says what is wrong with it, or skips it
        return None
