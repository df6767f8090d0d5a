"""The loaders of a run, all alike but for augmentation and order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from mlt.config import Config
from mlt.data.dataset import ImageDataset
from mlt.data.decoded.images import DecodedImages
from mlt.data.labels import LabelTable
from mlt.data.loader import Loader, build_loader
from mlt.data.own_data import OwnPart
from mlt.data.samplers import EpochSampler, SequentialSampler
from mlt.data.transforms import Transform, build_transforms, eval_preprocessing
from mlt.data.view_transform import inputs_of
from mlt.runtime.processes import Processes

__all__ = ["Batches"]


@dataclass(frozen=True)
class Batches:
    """Makes the loaders of a run, all alike but for augmentation and order.

    Attributes:
        decoded: The images of parts that have been decoded once, see
            :func:`mlt.engine.cached_images.keep_images`.
    """

    config: Config
    own_parts: Mapping[str, OwnPart]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    device: torch.device
    processes: Processes
    decoded: dict[str, DecodedImages] = field(default_factory=dict)

    def of(self, part: str, table: LabelTable, sampler: EpochSampler | None = None) -> Loader:
        """The loader of a part; without a sampler, of all its images in order, for evaluation."""
        config, training = self.config, sampler is not None
        if training:
            transform: Transform = build_transforms(config.transforms, self.mean, self.std, True)
        else:
            form = eval_preprocessing(config.transforms, self.mean, self.std)
            transform = inputs_of([(form, config.evaluation.shown)]).transform
        own = self.own_parts.get(part, OwnPart(part, table))
        # Results are of whole images, so that they do not depend on how training saved time.
        decoding = config.data.decoding if training else "exact"
        dataset = own.dataset(transform, config.data.on_image_error, decoding)
        if isinstance(dataset, ImageDataset):
            dataset.decoded = self.decoded.get(part)
        return build_loader(
            dataset,
            batch_size=config.training.batch_size if training else config.evaluation.batch_size,
            sampler=sampler
            or SequentialSampler(len(table), self.processes.count, self.processes.rank),
            workers=config.training.workers,
            seed=config.seed,
            device=self.device,
            mix=config.transforms.mix if training else None,
        )
