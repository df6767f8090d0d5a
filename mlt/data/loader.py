"""The loader: batches of images, the same for the same seed and epoch whatever loads them."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate, get_worker_info

from mlt.data.dataset import Draw, Sample, SampleDataset
from mlt.data.image_transform import Normalise
from mlt.data.mixing import load_mixed
from mlt.data.samplers.base import EpochSampler, SequentialSampler
from mlt.data.transform_settings import Mix
from mlt.data.worker_signals import WorkerSignals, iterate
from mlt.errors import ConfigError, DataError, UserError

__all__ = [
    "Batch",
    "Loader",
    "build_loader",
    "default_workers",
]

logger = logging.getLogger(__name__)

# Set apart from the samplers' own streams, which are seeded by (seed, epoch) too.
_AUGMENTATION_STREAM = 0xA06
_PARTNER_STREAM = 0x9A12


class Batch(NamedTuple):
    """Images and their labels; N is 0 if every image of the batch had to be skipped.

    Attributes:
        indices: (N,) int64 rows of the table.
        images: (N, 3, H, W) float32, normalised, on the loader's device where it normalises whole
            batches; of a data set of one's own its tensors, stacked.
        targets: (N, C) float32, 0 or 1; between them for soft targets and mixed images.
        known: (N, C) bool, which labels were annotated; None if all were.
    """

    indices: torch.Tensor
    images: torch.Tensor
    targets: torch.Tensor
    known: torch.Tensor | None


class Loader:
    """Goes through an epoch in batches; made by :func:`build_loader`.

    Attributes:
        problems: For each row whose image could not be read, why.
    """

    def __init__(
        self,
        dataset: SampleDataset,
        batches: _EpochBatches,
        loader: DataLoader,
        device: torch.device | str = "cpu",
        normalise: Normalise | None = None,
    ) -> None:
        self.dataset = dataset
        self._device = device
        self._normalise = normalise
        self.problems: dict[int, str] = {}
        self._batches = batches
        self._loader = loader

    @property
    def skipped(self) -> int:
        """Images that could not be read so far."""
        return len(self.problems)

    @property
    def sampler(self) -> EpochSampler:
        """What decides which images an epoch has."""
        return self._batches.sampler

    def set_epoch(self, epoch: int, start_batch: int = 0) -> None:
        """Choose what the next iteration gives.

        Args:
            epoch: The epoch, from 0.
            start_batch: Batches of it that are done already; the iteration goes on after them,
                with the very batches that would have come.
        """
        self._batches.set_epoch(epoch, start_batch)

    def is_shared(self, batch: int) -> bool:
        """Whether each process has only a share of a batch of the epoch; else each has all of it.

        Args:
            batch: Its number in the epoch, from 0.
        """
        return self._batches.is_shared(batch)

    @property
    def full_counts(self) -> tuple[int, ...]:
        """Images of a full batch in each process that shares it; one number if all have all."""
        return self._batches.full_counts

    def __len__(self) -> int:
        """Remaining batches of the epoch."""
        return len(self._batches)

    def __iter__(self) -> Iterator[Batch]:
        try:
            yield from self._checked()
        except Exception:
            # DataLoader keeps its workers for the next epoch. The last reference to them goes here,
            # where they end by themselves, and not when the traceback's frames are collected.
            self._loader._iterator = None
            raise

    def _checked(self) -> Iterator[Batch]:
        """The batches, or the error that a worker sent or that an image is taken for."""
        for answer in iterate(self._loader):
            if isinstance(answer, UserError):
                raise answer
            batch, problems = answer
            for row, problem in problems:
                if self.dataset.on_error == "raise":
                    raise DataError(
                        f"{problem} With data.on_image_error: skip such images are left out"
                    )
                if row not in self.problems:
                    logger.warning("Skipped: %s", problem)
                self.problems[row] = problem
            yield self._normalised(batch)

    def _normalised(self, batch: Batch) -> Batch:
        """The batch as the model takes it: pixels go to the device first, at a byte each."""
        if self._normalise is None:
            return batch
        images = batch.images.to(self._device, non_blocking=True)
        return batch._replace(images=self._normalise(images))


def build_loader(
    dataset: SampleDataset,
    batch_size: int,
    sampler: EpochSampler | None = None,
    workers: int | None = None,
    seed: int = 0,
    drop_last: bool = False,
    device: torch.device | str = "cpu",
    mix: Mix | None = None,
) -> Loader:
    """Make a loader.

    Batches, augmentation included, depend on seed and epoch alone: not on the number of worker
    processes, nor on whether the epoch was begun in the middle. Several processes that train
    together, see :class:`mlt.data.samplers.EpochSampler`, have of each batch a share.

    Args:
        dataset: Images and labels.
        batch_size: Images of a batch, which the processes of the sampler share.
        sampler: Which images, in which order; None for all of them in the order of the table.
        workers: Processes that load images; 0 loads in this process, None decides by the number
            of cores and of images.
        seed: Fixes the augmentation, together with the epoch.
        drop_last: Whether to leave out a last batch that is not full.
        device: Where the batches are going, and are normalised; pinned memory is used for CUDA
            only.
        mix: Mix each image with that of another draw of the epoch; None: do not.

    Raises:
        ConfigError: If batch_size is less than 1, or there is no full batch with ``drop_last``.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> from mlt.data.dataset import ImageDataset
        >>> from mlt.data.labels import LabelTable
        >>> from mlt.data.transforms import Preprocessing, eval_transform
        >>> root = Path(tempfile.mkdtemp())
        >>> Image.new("RGB", (6, 4), "white").save(root / "a.png")
        >>> table = LabelTable.from_lists([1, 2], ["a.png", "b.png"], ["x"], [[0], []], root)
        >>> transform = eval_transform(Preprocessing(4, (0.5,) * 3, (0.5,) * 3))
        >>> loader = build_loader(ImageDataset(table, transform, "skip"), batch_size=2, workers=0)
        >>> [batch.indices.tolist() for batch in loader], loader.skipped
        ([[0]], 1)
    """
    if batch_size < 1:
        raise ConfigError(f"batch_size must be at least 1, got {batch_size}")
    if sampler is None:
        sampler = SequentialSampler(len(dataset))
    batches = _EpochBatches(sampler, batch_size, drop_last, seed, partners=mix is not None)
    if workers is None:
        workers = default_workers(sampler.num_draws, batch_size)
    loader = DataLoader(
        _BatchReader(dataset, mix),
        batch_size=None,  # An item is a batch already.
        sampler=batches,
        num_workers=workers,
        pin_memory=torch.device(device).type == "cuda",
        persistent_workers=workers > 0,
        worker_init_fn=WorkerSignals(),
        # DataLoader would otherwise draw its workers' seeds from the generator of the model.
        generator=torch.Generator().manual_seed(seed),
    )
    # What is mixed has been normalised, image by image.
    return Loader(dataset, batches, loader, device, None if mix else dataset.normalise)


def default_workers(num_images: int, batch_size: int) -> int:
    """A number of worker processes: all cores but one, at most 8; none for a handful of batches.

    Processes that torchrun started on this machine share the cores. Starting a worker takes seconds
    where processes are spawned (Windows, macOS).

    Args:
        num_images: Images per epoch.
        batch_size: Images per batch.

    Example:
        >>> default_workers(num_images=100, batch_size=64)
        0
    """
    if num_images <= 2 * batch_size:
        return 0
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # Not on Windows and macOS.
        cores = os.cpu_count() or 1
    return max(0, min(8, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1")) - 1))


class _EpochBatches(Sampler[list[Draw]]):
    """Cuts a sampler's draws into batches, each draw with the seed of its augmentation.

    With ``partners`` each draw also names the row of another one to mix it with. The partners are
    the epoch's draws in another random order, so that the sampler's shares hold for them too.

    A single image that would be a last batch of its own joins the one before, because batch norm
    cannot learn from one. The draws of a batch are shared out over the sampler's processes, one
    after the other. A random sampler's batch that does not have enough for all of them goes to each
    as a whole; where images come in order, for evaluation, none is given out twice, and some
    process may have nothing of the last batch.
    """

    def __init__(
        self,
        sampler: EpochSampler,
        batch_size: int,
        drop_last: bool,
        seed: int,
        partners: bool = False,
    ) -> None:
        if drop_last and sampler.num_draws < batch_size:
            raise ConfigError(
                f"An epoch of {sampler.num_draws} images has no full batch of {batch_size}. Lower "
                "the batch size, or keep the last batch."
            )
        self.sampler = sampler
        self._batch_size = batch_size
        self._drop_last = drop_last
        self._seed = seed
        self._partners = partners
        full, rest = divmod(sampler.num_draws, batch_size)
        joins = drop_last or rest == 0 or (rest == 1 and full > 0)
        self._number = full if joins else full + 1
        self._start_batch = 0

    def set_epoch(self, epoch: int, start_batch: int) -> None:
        if start_batch < 0:
            raise ConfigError(f"start_batch must not be negative, got {start_batch}")
        self.sampler.set_epoch(epoch)
        self._start_batch = start_batch

    def is_shared(self, batch: int) -> bool:
        """Whether each process has a share of the batch with this number; else all have all."""
        count = self.sampler.num_replicas
        if count == 1 or isinstance(self.sampler, SequentialSampler):
            return True
        # Two for each, because batch norm cannot learn from one; unless the user wants just that.
        least = count * (2 if self._batch_size >= 2 * count else 1)
        draws = self._draws(batch)
        return draws.stop - draws.start >= least

    @property
    def full_counts(self) -> tuple[int, ...]:
        draws = self._draws(0)
        size = draws.stop - draws.start
        if not self.is_shared(0):
            return (size,)
        count = self.sampler.num_replicas
        return tuple(len(range(rank, size, count)) for rank in range(count))

    def _draws(self, batch: int) -> slice:
        first = batch * self._batch_size
        takes_rest = batch == self._number - 1 and not self._drop_last
        return slice(first, self.sampler.num_draws if takes_rest else first + self._batch_size)

    def __len__(self) -> int:
        return max(0, self._number - self._start_batch)

    def __iter__(self) -> Iterator[list[Draw]]:
        sampler = self.sampler
        stream = np.random.default_rng([self._seed, sampler.epoch, _AUGMENTATION_STREAM])
        rows = sampler.draws(sampler.epoch)
        columns = [rows, stream.integers(1 << 63, size=sampler.num_draws)]
        if self._partners:
            order = np.random.default_rng([self._seed, sampler.epoch, _PARTNER_STREAM])
            columns.append(order.permutation(rows))
        for batch in range(self._start_batch, self._number):
            whole = [column[self._draws(batch)] for column in columns]
            if self.is_shared(batch):
                whole = [column[sampler.rank :: sampler.num_replicas] for column in whole]
            yield [Draw(*draw) for draw in zip(*(column.tolist() for column in whole))]


class _BatchReader(Dataset["_Answer | UserError"]):
    """From the draws of a batch to the batch; in a worker, if there are any.

    An error of the user is returned and raised by the main process, because a worker would bury
    its message in a traceback of its own.
    """

    def __init__(self, dataset: SampleDataset, mix: Mix | None) -> None:
        self.dataset = dataset
        self.mix = mix

    def __getitem__(self, draws: Sequence[Draw]) -> _Answer | UserError:
        try:
            if self.mix is None:
                return _collate(self.dataset.samples(draws) if draws else [])
            return _collate([load_mixed(self.dataset, draw, self.mix) for draw in draws])
        except UserError as error:
            return error


class _Answer(NamedTuple):
    """A batch, and the row of each image that could not be read with the reason."""

    batch: Batch
    problems: list[tuple[int, str]]


def _collate(samples: Sequence[Sample]) -> _Answer:
    problems = [(s.row, s.problem) for s in samples if s.problem is not None]
    read = [s for s in samples if s.image is not None]
    num_classes = len(samples[0].target) if samples else 0
    known = None
    if samples and samples[0].known is not None:
        masks = [s.known for s in read if s.known is not None]
        known = torch.stack(masks) if masks else torch.empty(0, num_classes, dtype=torch.bool)
    batch = Batch(
        indices=torch.tensor([s.row for s in read], dtype=torch.int64),
        images=_stack(read),
        targets=torch.stack([s.target for s in read]) if read else torch.empty(0, num_classes),
        known=known,
    )
    return _Answer(batch, problems)


def _stack(samples: Sequence[Sample]) -> torch.Tensor:
    images = [s.image for s in samples if s.image is not None]
    for sample, image in zip(samples, images):
        if image.shape != images[0].shape:
            raise DataError(
                f"the images of a batch have different shapes, {tuple(images[0].shape)} of row "
                f"{samples[0].row} and {tuple(image.shape)} of row {sample.row}; resize them to "
                "one size in the data set's transform"
            )
    if not images:
        return torch.empty(0, 3, 0, 0)
    if images[0].dtype != torch.uint8:
        return default_collate(images)
    # Resized pixels lie interleaved, which numpy takes apart twice as fast as torch.
    batch = _in_shared_memory((len(images), *images[0].shape))
    np.stack([image.numpy() for image in images], out=batch.numpy())
    return batch


def _in_shared_memory(shape: Sequence[int]) -> torch.Tensor:
    """An empty uint8 tensor; in a worker, where the main process can take it without a copy."""
    if get_worker_info() is None:
        return torch.empty(*shape, dtype=torch.uint8)
    return torch.empty(*shape, dtype=torch.uint8).share_memory_()
