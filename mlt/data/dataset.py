"""The data set: from a row of the label table to an image and its targets."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch.utils.data import Dataset

from mlt.data.images import load_image
from mlt.data.labels import LabelTable
from mlt.data.transforms import Transform
from mlt.errors import ConfigError, UserError

__all__ = ["Draw", "ImageDataset", "Sample"]


class Draw(NamedTuple):
    """A row of the table to load, and the seed of its augmentation."""

    row: int
    seed: int


class Sample(NamedTuple):
    """One image.

    Attributes:
        row: Where it is in the table.
        image: (3, H, W) float32, normalised; None if it could not be read.
        target: (C,) float32, 0 or 1.
        known: (C,) bool, which labels were annotated; None if all were.
        problem: Why it could not be read; None if it could.
    """

    row: int
    image: torch.Tensor | None
    target: torch.Tensor
    known: torch.Tensor | None
    problem: str | None = None


class ImageDataset(Dataset[Sample]):
    """The images of a label table, loaded and transformed when asked for.

    Asked with a :class:`Draw`, the augmentation depends on nothing but its seed: not on the
    number of workers, nor on what was loaded before. Asked with a row number, it takes its
    randomness from torch's default generator as it stands.

    Args:
        table: Images and labels.
        transform: From an RGB image to a tensor, see :func:`mlt.data.transforms.build_transforms`.
        on_error: What the loader does about an image that cannot be read: "raise" stops with its
            path, "skip" leaves it out and counts it. The data set itself gives a sample without
            image that holds the message.

    Raises:
        ConfigError: If ``on_error`` is something else.

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
        on_error: Literal["raise", "skip"] = "raise",
    ) -> None:
        if on_error not in ("raise", "skip"):
            raise ConfigError(f"on_error must be 'raise' or 'skip', got {on_error!r}")
        self.table = table
        self.transform = transform
        self.on_error = on_error

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, draw: Draw | int) -> Sample:
        """Load one image; see :class:`Sample`."""
        row = draw.row if isinstance(draw, Draw) else int(draw)
        target = torch.from_numpy(self.table.targets([row])[0])
        known = None
        if self.table.known is not None:
            known = torch.from_numpy(self.table.known_mask([row])[0])
        try:
            image = load_image(self.table.image_path(row))
        except UserError as error:
            return Sample(row, None, target, known, str(error))
        if not isinstance(draw, Draw):
            return Sample(row, self.transform(image), target, known)
        # The CPU's generator alone: seeding all of torch would disturb dropout on a GPU.
        state = torch.get_rng_state()
        try:
            torch.default_generator.manual_seed(draw.seed)
            return Sample(row, self.transform(image), target, known)
        finally:
            torch.set_rng_state(state)
