"""Images that belong together, such as those of one patient, as the units of a test set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlt.arrays import as_image_ids
from mlt.errors import DataError

__all__ = ["Clusters"]


@dataclass(frozen=True, eq=False)
class Clusters:
    """Which of the N images belong together.

    Attributes:
        codes: (N,) the number of the group of each image, from 0 on.
        size: G, the number of groups.
    """

    codes: NDArray[np.intp]
    size: int

    @classmethod
    def of(cls, groups: ArrayLike, num_images: int) -> Clusters:
        """The clusters of images by the names of their groups; without a name, one of its own.

        Args:
            groups: (N,) strings or integers; an empty string is an image that belongs to none.
            num_images: N.

        Raises:
            DataError: If there is not one group for each image.

        Example:
            >>> Clusters.of(["anna", "", "anna", ""], 4).codes.tolist()
            [2, 0, 2, 1]
        """
        names = as_image_ids(groups, "groups")
        if names.shape != (num_images,):
            raise DataError(f"groups of images must be ({num_images},); got {names.shape}")
        alone = np.zeros(len(names), bool)
        if names.dtype.kind in "SU":
            alone = names == names.dtype.type()
        codes = np.empty(len(names), np.intp)
        codes[alone] = np.arange(alone.sum())
        found, numbers = np.unique(names[~alone], return_inverse=True)
        codes[~alone] = numbers + alone.sum()
        return cls(codes, int(alone.sum()) + len(found))

    def sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """(G,) sums of (N,) values over the images of each group."""
        return np.bincount(self.codes, values, minlength=self.size).astype(np.float64)

    def effective(self, chosen: NDArray[np.bool_]) -> float:
        """How many groups of equal size the chosen images are worth (Kish, Survey Sampling, 1965).

        It is the number of groups where each has as many of them, and less where one has most.

        Args:
            chosen: (N,) booleans.

        Example:
            >>> clusters = Clusters.of(["anna", "anna", "bert", "carl"], 4)
            >>> clusters.effective(np.array([True, True, False, False]))
            1.0
            >>> clusters.effective(np.array([True, False, True, True]))
            3.0
        """
        sizes = np.bincount(self.codes[chosen], minlength=self.size).astype(np.float64)
        return float(sizes.sum() ** 2 / np.sum(sizes**2)) if sizes.any() else 0.0
