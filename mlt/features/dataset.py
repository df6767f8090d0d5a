"""The data sets of a run on cached features: rows of a label table, features in place of images."""

from __future__ import annotations

import numpy as np
import torch

from mlt.data.dataset import Draw, OnError, Sample, SampleDataset
from mlt.data.labels import LabelTable
from mlt.features.compute import PartFeatures

__all__ = ["DrawnFeatures", "EveryView"]


class EveryView(SampleDataset):
    """The features of all views of each image, (views, D) float32; for evaluation.

    Args:
        table: The images and their labels.
        features: Of its rows.
        on_error: What the loader does about an image that could not be read.
    """

    def __init__(
        self, table: LabelTable, features: PartFeatures, on_error: OnError = "raise"
    ) -> None:
        super().__init__(table, on_error)
        self.features = features

    def __getitem__(self, draw: Draw | int) -> Sample:
        """The features of an image; nothing is random about them."""
        return self.load(draw.row if isinstance(draw, Draw) else int(draw))

    def load(self, row: int) -> Sample:
        """The features of the image of a row."""
        if (problem := self.features.problems.get(row)) is not None:
            return Sample(row, None, *self.labels_of(row), problem)
        views = np.stack([stored[row] for stored in self.features.views])
        return Sample(row, torch.from_numpy(views), *self.labels_of(row))


class DrawnFeatures(EveryView):
    """The features of one view of each image, (D,) float32, chosen by the seed of the draw."""

    def __getitem__(self, draw: Draw | int) -> Sample:
        """The features of a draw; of a row number, those of the first view."""
        row, seed = (draw.row, draw.seed) if isinstance(draw, Draw) else (int(draw), 0)
        if row in self.features.problems:
            return self.load(row)
        stored = self.features.views[seed % len(self.features.views)]
        return Sample(row, torch.from_numpy(stored[row]), *self.labels_of(row))
