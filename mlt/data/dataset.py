"""The data sets: from a row of the label table to an image and its targets."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import torch
from torch.utils.data import Dataset

from mlt.data.decoded.images import DecodedImages
from mlt.data.image_transform import ImageTransform, Normalise
from mlt.data.items import check_item
from mlt.data.labels import LabelTable
from mlt.data.pixels import row_pixels
from mlt.data.row_images import row_image
from mlt.data.transforms import Transform
from mlt.errors import ConfigError, DataError, UserError

__all__ = [
    "Decoding",
    "Draw",
    "ImageDataset",
    "ItemDataset",
    "OnError",
    "Sample",
    "SampleDataset",
    "seeded",
]

OnError: TypeAlias = Literal["raise", "skip"]
"""What the loader does about an image that cannot be read: stop with its name, or leave it out and
count it."""

Decoding: TypeAlias = Literal["exact", "reduced"]
"""Whether a JPEG file is decoded whole, or at a scale that leaves what the transform needs."""


class Draw(NamedTuple):
    """A row of the table to load, the seed of its augmentation, and the row to mix it with."""

    row: int
    seed: int
    partner: int | None = None


class Sample(NamedTuple):
    """One image.

    Attributes:
        row: Where it is in the table.
        image: (3, H, W) float32, normalised; a data set of one's own may have other tensors. None
            if it could not be read.
        target: (C,) float32, 0 or 1; between them for soft targets.
        known: (C,) bool, which labels were annotated; None if all were.
        problem: Why it could not be read; None if it could.
    """

    row: int
    image: torch.Tensor | None
    target: torch.Tensor
    known: torch.Tensor | None
    problem: str | None = None


class SampleDataset(Dataset[Sample]):
    """What the loader goes through: rows of a label table, loaded when asked for.

    Asked with a :class:`Draw`, the augmentation depends on nothing but its seed: not on the
    number of workers, nor on what was loaded before. Asked with a row number, it takes its
    randomness from the generators as they stand. An image that cannot be read becomes a sample
    without image that holds the message.

    Args:
        table: Images and labels.
        on_error: What the loader does about an image that cannot be read.

    Raises:
        ConfigError: If ``on_error`` is something else.
    """

    normalise: Normalise | None = None
    """What is left to do to the images of :meth:`samples`; None: nothing."""

    def __init__(self, table: LabelTable, on_error: OnError = "raise") -> None:
        if on_error not in ("raise", "skip"):
            raise ConfigError(f"on_error must be 'raise' or 'skip', got {on_error!r}")
        self.table = table
        self.on_error = on_error

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, draw: Draw | int) -> Sample:
        """Load one image; see :class:`Sample`."""
        if not isinstance(draw, Draw):
            return self.load(int(draw))
        with seeded(draw.seed):
            return self.load(draw.row)

    def samples(self, draws: Sequence[Draw]) -> list[Sample]:
        """Load the images of a batch, each as by itself but for :attr:`normalise`."""
        targets, known = self.labels_of_rows([draw.row for draw in draws])
        masks = [None] * len(draws) if known is None else known
        samples = []
        with _generators_kept():
            for draw, target, mask in zip(draws, targets, masks):
                _seed(draw.seed)
                samples.append(self.sample(draw.row, target, mask))
        return samples

    def load(self, row: int) -> Sample:
        """Load the image of a row, augmented by the generators as they stand."""
        return self.sample(row, *self.labels_of(row))

    def sample(self, row: int, target: torch.Tensor, known: torch.Tensor | None) -> Sample:
        """Load the image of a row but for :attr:`normalise`; a subclass says how.

        Args:
            row: Which.
            target: Its target, (C,).
            known: Its mask, (C,); None where all labels were annotated.
        """
        raise NotImplementedError

    def labels_of(self, row: int) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Target and mask of a row, as the table has them."""
        targets, known = self.labels_of_rows([row])
        return targets[0], None if known is None else known[0]

    def labels_of_rows(self, rows: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Targets (N, C) and masks (N, C) of rows, as the table has them."""
        targets = torch.from_numpy(self.table.soft_targets(rows))
        if self.table.known is None:
            return targets, None
        return targets, torch.from_numpy(self.table.known_mask(rows))


class ImageDataset(SampleDataset):
    """The images of a label table, transformed.

    Args:
        table: Images and labels.
        transform: From an RGB image to a tensor, see :func:`mlt.data.transforms.build_transforms`;
            any other callable is given the image as Pillow's.
        on_error: What the loader does about an image that cannot be read.
        decoding: "reduced" decodes JPEG files at the smallest scale that has all the pixels which
            the transform needs, by its ``shorter_side``; "exact" decodes the whole.

    Attributes:
        decoded: What :meth:`prepare` gave for some rows, in place of which it is read; None: all
            are read from their files. Set it before the workers of a loader start.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> from mlt.data.transforms import Preprocessing, eval_transform
        >>> root = Path(tempfile.mkdtemp())
        >>> Image.new("RGB", (6, 4), "white").save(root / "a.png")
        >>> table = LabelTable.from_lists([1, 2], ["a.png", "b.png"], ["x"], [[0], []], root)
        >>> transform = eval_transform(Preprocessing(4, (0.5,) * 3, (0.5,) * 3))
        >>> dataset = ImageDataset(table, transform)
        >>> dataset[0].image.shape, dataset[0].target
        (torch.Size([3, 4, 4]), tensor([1.]))
        >>> dataset[1].image is None, "does not exist" in dataset[1].problem
        (True, True)
    """

    def __init__(
        self,
        table: LabelTable,
        transform: Transform,
        on_error: OnError = "raise",
        decoding: Decoding = "exact",
    ) -> None:
        super().__init__(table, on_error)
        self.transform = transform
        self.decoding = decoding
        self.decoded: DecodedImages | None = None
        if isinstance(transform, ImageTransform) and transform.normalise_later:
            self.normalise = transform.normalise

    @property
    def shorter_side(self) -> int | None:
        """Pixels that a reduced scale leaves of the shorter side; None: decoding is exact."""
        if self.decoding == "exact" or not isinstance(self.transform, ImageTransform):
            return None
        return self.transform.shorter_side

    def prepare(self, row: int) -> torch.Tensor:
        """Decode the image of a row, and do what the transform does first, the same every time.

        Returns:
            (3, H, W) uint8.

        Raises:
            UserError: If it cannot be read.
        """
        assert isinstance(self.transform, ImageTransform)
        return self.transform.prepare(row_pixels(self.table, row, self.shorter_side))

    def load(self, row: int) -> Sample:
        """Load the image of a row, augmented by the generators as they stand."""
        sample = super().load(row)
        if sample.image is None or self.normalise is None:
            return sample
        return sample._replace(image=self.normalise(sample.image))

    def sample(self, row: int, target: torch.Tensor, known: torch.Tensor | None) -> Sample:
        """Load the image of a row, augmented by the generators, but for :attr:`normalise`."""
        transform = self.transform
        try:
            if isinstance(transform, ImageTransform):
                prepared = None if self.decoded is None else self.decoded.get(row)
                if prepared is None:
                    prepared = self.prepare(row)
            else:
                prepared = row_image(self.table, row)
        except UserError as error:
            return Sample(row, None, target, known, str(error))
        if not isinstance(transform, ImageTransform):
            return Sample(row, transform(prepared), target, known)
        image = transform.augment(prepared)
        return Sample(row, image if self.normalise else transform.finish(image), target, known)


class ItemDataset(SampleDataset):
    """A data set of one's own, whose tensors are used as they come.

    Args:
        table: Its labels, from :func:`mlt.data.own_data.own_parts`.
        items: Yields ``(image, target)`` or ``(image, target, known)`` for each row of the table.
        part: ``"train"``, ``"validation"`` or ``"test"``, for messages. Outside of training the
            target of each item must be that of the table, which results are computed from.
        on_error: What the loader does about an item whose reading raises an ``OSError``, as
            Pillow and files do, or a :class:`UserError`.
    """

    def __init__(
        self,
        table: LabelTable,
        items: Dataset[tuple[torch.Tensor, ...]],
        part: str,
        on_error: OnError = "raise",
    ) -> None:
        super().__init__(table, on_error)
        self.items = items
        self.part = part

    def sample(self, row: int, target: torch.Tensor, known: torch.Tensor | None) -> Sample:
        """Load an item, augmented by the generators as they stand.

        Raises:
            DataError: If the item is not what training needs, or not what its table says.
        """
        where = f"data[{self.part!r}], item {row}"
        try:
            item = self.items[row]
        except (OSError, UserError) as error:
            return Sample(row, None, target, known, f"{where} cannot be read: {error}")
        image, own_target, own_known = check_item(item, self.table.class_names, where)
        if not isinstance(image, torch.Tensor):
            raise DataError(
                f"{where}: the image is Pillow's, but that of an earlier item is a tensor; they "
                "must all be the same"
            )
        if own_known is not None and own_known.all() and self.table.known is None:
            own_known = None
        if own_known is not None and self.table.known is None:
            raise DataError(
                f"{where} says which labels are known, but the data set, whose attribute `targets` "
                "is used for counts and results, has no attribute `known`; give it one of the same "
                "shape"
            )
        differs = bool(((own_target >= 0.5) != (target >= 0.5)).any())
        if differs and self.part != "train":
            raise DataError(
                f"{where}: its target is not the row {row} of the data set's attribute `targets`, "
                "which results are computed from"
            )
        return Sample(row, image, own_target, known if own_known is None else own_known)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the generators that augmentations use, and put them back as they were."""
    with _generators_kept():
        _seed(seed)
        yield


@contextmanager
def _generators_kept() -> Iterator[None]:
    """Put the generators that augmentations use back as they were."""
    # torch's generator of the CPU alone: seeding all of torch would disturb dropout on a GPU.
    state = torch.get_rng_state(), random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        torch.set_rng_state(state[0])
        random.setstate(state[1])
        np.random.set_state(state[2])  # noqa: NPY002


def _seed(seed: int) -> None:
    """Seed the generators that augmentations use."""
    torch.default_generator.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
