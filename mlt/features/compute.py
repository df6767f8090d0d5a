"""Compute the features that are not kept yet, and find those that are."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mlt.data.dataset import OnError, Sample, SampleDataset
from mlt.data.labels import LabelTable
from mlt.data.loader import Loader, build_loader
from mlt.data.row_images import image_digests, row_image
from mlt.errors import DataError, UserError
from mlt.features.store import StoredFeatures, add_features, find_features
from mlt.features.views import View
from mlt.models import Classifier
from mlt.models.backbone import num_features
from mlt.runtime.processes import ALONE, Processes
from mlt.runtime.progress import Progress

__all__ = ["FrozenBackbone", "PartFeatures", "features_of"]

logger = logging.getLogger(__name__)

FILE_SIZE = 1 << 28
"""Bytes of float32 features that are computed before they are written to a file of each view."""


@dataclass(frozen=True)
class FrozenBackbone:
    """What computes features, and where they are kept.

    Attributes:
        model: Its backbone is frozen; on the device.
        digest: What :func:`mlt.features.views.backbone_digest` gave.
        device: Where to compute.
        root: Folder of the folders of all views.
        layout: Memory layout of the images.
    """

    model: Classifier
    digest: str
    device: torch.device
    root: Path
    layout: torch.memory_format = torch.preserve_format

    def folder(self, view: View) -> Path:
        """Where the features of a view are kept."""
        return self.root / view.key(self.digest)[:32]

    def feature_shape(self, size: int) -> tuple[int, ...]:
        """Shape of what is kept of an image, (D,) or (D, h, w).

        Args:
            size: Height and width of the images.
        """
        if not self.model.is_spatial:
            return (num_features(self.model.backbone),)
        return self(torch.zeros(1, 3, size, size)).shape[1:]

    def __call__(self, images: torch.Tensor) -> NDArray[np.float32]:
        """Features in float32, (N, D) or maps (N, D, h, w), of images (N, 3, H, W)."""
        with torch.inference_mode():
            images = images.to(self.device, non_blocking=True, memory_format=self.layout)
            return self.model.forward_features(images).float().cpu().numpy()


@dataclass(frozen=True)
class PartFeatures:
    """The features of a part of the data.

    Attributes:
        views: One for each view, in their order.
        problems: For each row whose image could not be read, why.
        computed: How many images had to be shown to the backbone.
    """

    views: tuple[StoredFeatures, ...]
    problems: Mapping[int, str] = field(default_factory=dict)
    computed: int = 0


def features_of(
    backbone: FrozenBackbone,
    table: LabelTable,
    views: Sequence[View],
    *,
    batch_size: int = 64,
    workers: int | None = None,
    on_error: OnError = "raise",
    processes: Processes = ALONE,
) -> PartFeatures:
    """Find the features of all images of a table, and compute what is missing.

    Args:
        backbone: Computes them.
        table: The images.
        views: How each image is shown.
        batch_size: Views that are computed at once.
        workers: Processes that load images; None decides by the number of cores and of images.
        on_error: What to do about an image that cannot be read.
        processes: Those of a machine share what is missing there.

    Raises:
        DataError: If an image cannot be read and is not to be skipped.
        OSError: If the features cannot be written, for example because the disk is full.
    """
    images = image_digests(table)
    folders = [backbone.folder(view) for view in views]
    found = [find_features(folder, images) for folder in folders]
    missing = np.flatnonzero(np.any([stored.missing for stored in found], axis=0))
    if not processes.any(len(missing) > 0):
        return PartFeatures(tuple(found))
    own = missing[processes.local_rank :: processes.local_count]
    problems: dict[int, str] = {}
    with processes.together():
        if len(own):
            loader = build_loader(
                _Views(table.take(own), views, images[own], on_error),
                batch_size=max(1, batch_size // len(views)),
                workers=workers,
                device=backbone.device,
            )
            for places, features in _chunks(backbone, loader, len(views), processes.is_main):
                for k, folder in enumerate(folders):
                    add_features(folder, images[own[places]], features[:, k])
            problems = {int(own[place]): problem for place, problem in loader.problems.items()}
    problems = {row: said for each in processes.gather(problems) for row, said in each.items()}
    found = [find_features(folder, images) for folder in folders]
    for stored, view in zip(found, views):
        lost = set(np.flatnonzero(stored.missing).tolist()) - set(problems)
        if lost:
            raise DataError(
                f"the features of {len(lost)} images ({view.name}) have gone from {backbone.root} "
                "after they were written: does another run drop them to make room? A larger "
                "training.features.cache_size keeps them"
            )
    return PartFeatures(tuple(found), problems, len(missing) - len(problems))


def _chunks(
    backbone: FrozenBackbone, loader: Loader, num_views: int, shown: bool
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Places in the loader's table, and their features (n, views, ...), as much as a file holds."""
    places: list[NDArray[np.int64]] = []
    features: list[NDArray[np.float32]] = []
    with Progress("features", len(loader), shown=shown) as progress:
        for number, batch in enumerate(loader, start=1):
            if len(batch.indices):
                answer = backbone(batch.images.flatten(0, 1))
                features.append(answer.reshape(len(batch.indices), num_views, *answer.shape[1:]))
                places.append(batch.indices.numpy())
            progress.step(len(batch.indices))
            full = sum(array.nbytes for array in features) >= FILE_SIZE
            if features and (full or number == len(loader)):
                yield np.concatenate(places), np.concatenate(features)
                places, features = [], []


class _Views(SampleDataset):
    """All views of each image of a table, (views, 3, H, W)."""

    def __init__(
        self,
        table: LabelTable,
        views: Sequence[View],
        digests: NDArray[np.bytes_],
        on_error: OnError,
    ) -> None:
        super().__init__(table, on_error)
        self.views = views
        self.digests = digests

    def sample(self, row: int, target: torch.Tensor, known: torch.Tensor | None) -> Sample:
        try:
            image = row_image(self.table, row)
        except UserError as error:
            return Sample(row, None, target, known, str(error))
        pixels = [view.pixels(image, self.digests[row]) for view in self.views]
        return Sample(row, torch.stack(pixels), target, known)
