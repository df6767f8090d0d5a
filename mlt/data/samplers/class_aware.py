"""The published class-aware sampler: classes take turns, rare ones as often as frequent ones."""

from __future__ import annotations

import random
import warnings
from array import array
from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array

from mlt.data.samplers.base import EpochSampler
from mlt.data.sparse import canonical
from mlt.errors import DataError

__all__ = ["ClassAwareSampler"]


class ClassAwareSampler(EpochSampler):
    """Draw a few images of one class, then a few of the next, classes in shuffled cycles.

    The classes form an endless cycle in shuffled order; so do the images of each class. The class
    whose turn it is gives its next ``images_per_class`` images in a row. Each cycle is shuffled
    anew whenever it has been gone through, and all cycles go on from epoch to epoch. An image's
    other labels come along: the draws of a class that shares images with others exceed its turns.

    Draws equal the published implementation's with its generator seeded once at the start. Since
    the cycles go on, an epoch is computed from the one before; going to another one than the next
    replays all epochs from the first, one to two seconds for a million draws each
    (``benchmarks/samplers.py``).

    Args:
        labels: (N, C) labels. A class without images gets no turns, and images without labels are
            never drawn; both are warned about.
        images_per_class: Images drawn in a row from a class.
        length_divisor: An epoch has int(n_max * C / length_divisor) draws, where n_max is the
            number of images of the most frequent of the C classes that have any.
        seed: Fixes the draws of all epochs.
        num_replicas: Processes that share an epoch.
        rank: Which of them this is.
        class_names: C names for the warning; indices if None.

    Raises:
        DataError: If no image has a label.

    References:
        Shen et al., Relay Backpropagation, ECCV 2016 (class-aware sampling). Wu et al.,
        Distribution-Balanced Loss, ECCV 2020, arXiv 2007.09654 (this form of it).

    Example:
        >>> labels = csr_array(np.array([[1, 0], [1, 0], [1, 0], [1, 1]], dtype=bool))
        >>> sampler = ClassAwareSampler(labels, images_per_class=1, length_divisor=1)
        >>> len(sampler), sum(image == 3 for image in sampler) >= 4
        (8, True)
    """

    def __init__(
        self,
        labels: csr_array,
        images_per_class: int = 3,
        length_divisor: float = 4.0,
        seed: int = 0,
        num_replicas: int = 1,
        rank: int = 0,
        class_names: Sequence[str] | None = None,
    ) -> None:
        labels = canonical(labels, labels.shape, "labels")  # a stored 0 is not a label
        by_class = labels.tocsc()
        by_class.sort_indices()
        counts = np.diff(by_class.indptr)
        self._columns = np.flatnonzero(counts)
        if not len(self._columns):
            raise DataError("Class-aware sampling needs labels, and no image has any.")
        _warn_left_out(labels, counts, class_names)
        self._labels = labels
        self._counts = counts
        self._images = [
            array("q", by_class.indices[by_class.indptr[c] : by_class.indptr[c + 1]].tolist())
            for c in self._columns
        ]
        self.images_per_class = images_per_class
        length = max(1, int(counts.max() * len(self._columns) / length_divisor))
        super().__init__(labels.shape[0], length, seed, num_replicas, rank)
        self._rewind()

    def draws(self, epoch: int) -> np.ndarray:
        """The draws of an epoch, int64 image rows."""
        if epoch < self._computed:
            self._rewind()
        while self._computed < epoch:
            self._current = self._next_epoch()
            self._computed += 1
        return self._current

    def image_draws(self) -> np.ndarray:
        """Each of an image's C classes, with n images, adds num_draws / C / n."""
        share = np.zeros(len(self._counts))
        share[self._columns] = 1 / (self._counts[self._columns] * len(self._columns))
        return self.num_draws * (self._labels @ share)

    def _rewind(self) -> None:
        generator = random.Random(self.seed)
        self._class_cycle = _Cycle(array("q", range(len(self._images))), generator)
        self._image_cycles = [_Cycle(array("q", images), generator) for images in self._images]
        self._computed = -1

    def _next_epoch(self) -> np.ndarray:
        drawn = array("q")
        while len(drawn) < self.num_draws:
            (turn,) = self._class_cycle.take(1)
            drawn.extend(self._image_cycles[turn].take(self.images_per_class))
        # The last class has given all its images even where the epoch ends before them.
        return np.array(drawn[: self.num_draws], np.int64)


class _Cycle:
    """Goes through items endlessly, shuffling them each time before it starts over."""

    def __init__(self, items: array[int], generator: random.Random) -> None:
        self._items = items
        self._generator = generator
        self._place = len(items)

    def take(self, number: int) -> array[int]:
        """The next ``number`` items."""
        taken = self._items[self._place : self._place + number]
        self._place += len(taken)
        while len(taken) < number:
            self._generator.shuffle(self._items)
            rest = self._items[: number - len(taken)]
            self._place = len(rest)
            taken += rest
        return taken


def _warn_left_out(
    labels: csr_array, counts: np.ndarray, class_names: Sequence[str] | None
) -> None:
    empty = np.flatnonzero(counts == 0)
    if len(empty):
        names = [str(c) if class_names is None else class_names[c] for c in empty[:10]]
        more = f" and {len(empty) - 10} more" if len(empty) > 10 else ""
        warnings.warn(
            f"Class-aware sampling gives no turns to {len(empty)} classes without images: "
            f"{', '.join(names)}{more}",
            stacklevel=3,
        )
    unlabelled = int((np.diff(labels.indptr) == 0).sum())
    if unlabelled:
        warnings.warn(
            f"Class-aware sampling never draws the {unlabelled} images without labels.",
            stacklevel=3,
        )
