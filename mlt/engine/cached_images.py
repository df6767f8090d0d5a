"""Decode the images of a run once, where `data.cache` says so."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mlt.data.dataset import ImageDataset
from mlt.data.decode_once import decode_rows, keys_for, preparation_digest
from mlt.data.decoded.images import DecodedImages
from mlt.data.decoded.stores import FolderStore, MemoryStore, Store
from mlt.data.image_transform import ImageTransform
from mlt.data.loader import default_workers
from mlt.engine.cached_features import with_cached_features
from mlt.engine.setup import Setup
from mlt.runtime.processes import Processes
from mlt.runtime.progress import Progress

__all__ = ["images_to_keep", "keep_images", "with_cached_inputs"]

logger = logging.getLogger(__name__)


def with_cached_inputs(setup: Setup, cache: Path) -> Setup:
    """The run on cached features, or else on images that are decoded once.

    Args:
        setup: The run on images.
        cache: Folder in which features, or decoded images, have a folder.

    Raises:
        UserError: See :func:`mlt.engine.cached_features.with_cached_features`.
    """
    setup = with_cached_features(setup, cache)
    if setup.on_images is None:
        keep_images(setup, cache)
    return setup


def keep_images(setup: Setup, cache: Path) -> None:
    """Have the loaders of a run read images that are decoded once, as `data.cache` says.

    Nothing changes but the time it takes. Images are decoded in the order of training, validation
    and test images, as long as `data.cache_size` allows.

    Args:
        setup: The run on images; the data sets of its loaders are changed.
        cache: Folder in which files of decoded images have a folder.
    """
    data, decoded = setup.config.data, setup.batches.decoded
    images = dict(images_to_keep(setup))
    limit = int(data.cache_size * 1e9)
    root = cache / "images"
    folders = {part: root / preparation_digest(of)[:32] for part, of in images.items()}
    for part, dataset in images.items():
        if part not in decoded:
            store: Store
            if data.cache == "ram":
                used = sum(kept.size for kept in decoded.values())
                store = MemoryStore(limit - used)
            else:
                store = FolderStore(folders[part], limit, folders.values())
            decoded[part] = _decode(part, dataset, store, setup)
        dataset.decoded = decoded[part]


def images_to_keep(setup: Setup) -> Iterator[tuple[str, ImageDataset]]:
    """What `data.cache` decodes once, by the names of the parts."""
    if setup.config.data.cache == "none":
        return
    loaders = {
        "train": setup.train_loader,
        "validation": setup.validation_loader,
        "test": setup.test_loader,
    }
    for part, loader in loaders.items():
        dataset = None if loader is None else loader.dataset
        if isinstance(dataset, ImageDataset) and isinstance(dataset.transform, ImageTransform):
            yield part, dataset


def _decode(part: str, dataset: ImageDataset, store: Store, setup: Setup) -> DecodedImages:
    """Decode what a store lacks of a part; each process of a machine does its share."""
    processes = setup.processes
    keys = keys_for(store, dataset.table)
    there = DecodedImages(store.paths(), keys, store.checks)
    rows = np.flatnonzero(there.missing & (keys != b""))
    if processes.any(len(rows) > 0):  # each waits until all have looked
        rows = rows[processes.local_rank :: processes.local_count]
        workers = setup.config.training.workers
        if workers is None:
            workers = default_workers(len(rows), setup.config.training.batch_size)
        with (
            processes.together(),
            Progress(f"decoding: {part}", len(rows), shown=processes.is_main) as progress,
        ):
            decode_rows(
                dataset,
                rows.tolist(),
                keys,
                store,
                workers=workers,
                writers=processes.local_count,
                step=lambda: progress.step(1),
            )
    decoded = DecodedImages(_paths(store, processes), keys, store.checks, keeps=store)
    logger.info(
        "%s: %s of %s images are decoded once, %s MB in %s",
        part,
        f"{int((~decoded.missing).sum()):,}",
        f"{len(dataset):,}",
        f"{decoded.size / 1e6:,.1f}",
        store.folder if isinstance(store, FolderStore) else "memory",
    )
    return decoded


def _paths(store: Store, processes: Processes) -> list[Path]:
    """The blocks of all processes of this machine."""
    first = processes.rank - processes.local_rank
    here = processes.gather(store.paths())[first : first + processes.local_count]
    return sorted({path for paths in here for path in paths})
