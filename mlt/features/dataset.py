"""The data sets of a run on cached features: rows of a label table, features in place of images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from mlt.data.dataset import Draw, OnError, Sample, SampleDataset
from mlt.data.labels import LabelTable
from mlt.features.compute import PartFeatures

__all__ = ["DrawnFeatures", "EveryView"]


class EveryView(SampleDataset):
    """All views of each image for evaluation: features (views, D) or maps (views, D, H, W).

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
        """The features of a draw; of a row number, those of a draw with seed 0."""
        return self.samples([draw if isinstance(draw, Draw) else Draw(int(draw), 0)])[0]

    def load(self, row: int) -> Sample:
        """The features of the image of a row."""
        return self[row]

    def samples(self, draws: Sequence[Draw]) -> list[Sample]:
        """The features of a batch; the labels of all are looked up at once."""
        targets, known = self.labels_of_rows([draw.row for draw in draws])
        problems = self.features.problems
        return [
            Sample(
                draw.row,
                None if draw.row in problems else torch.from_numpy(self._of(draw)),
                targets[place],
                None if known is None else known[place],
                problems.get(draw.row),
            )
            for place, draw in enumerate(draws)
        ]

    def _of(self, draw: Draw) -> np.ndarray:
        return np.stack([stored[draw.row] for stored in self.features.views])


class DrawnFeatures(EveryView):
    """One view of each image, chosen by the seed of the draw: features (D,) or a map (D, H, W)."""

    def _of(self, draw: Draw) -> np.ndarray:
        return self.features.views[draw.seed % len(self.features.views)][draw.row]
