"""Image files as a data set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch.utils.data import Dataset

from mlt.data.images import load_image
from mlt.data.transforms import Transform
from mlt.errors import UserError

__all__ = ["ImageFiles"]


class ImageFiles(Dataset[tuple[int, torch.Tensor | str]]):
    """Image files by number: the network's input, or why there is none."""

    def __init__(self, paths: Sequence[Path], transform: Transform) -> None:
        self.paths = paths
        self.transform = transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, place: int) -> tuple[int, torch.Tensor | str]:
        try:
            return place, self.transform(load_image(self.paths[place]))
        except UserError as error:
            return place, str(error)
