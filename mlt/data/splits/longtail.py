"""Cut a long-tailed training set out of a larger one, head to tail along a Pareto profile.

The recipe of COCO-MLT and VOC-MLT: T. Wu et al., "Distribution-Balanced Loss for Multi-Label
Classification in Long-Tailed Datasets", ECCV 2020, arXiv:2007.09654. Classes are visited in the
order of :func:`class_order`, each with its target of :func:`pareto_profile`: images are added while
a class has too few, removed while it has too many. An image counts for all its classes, so the
result follows the profile roughly.
"""

from __future__ import annotations

from random import Random

import numpy as np
from scipy.sparse import csr_array

from mlt.data.labels import LabelTable
from mlt.data.sparse import ragged_positions
from mlt.errors import ConfigError

__all__ = ["class_order", "pareto_profile", "select_pareto", "select_published"]


def pareto_profile(num_classes: int, b: float = 6.0, max: int = 1200, min: int = 1) -> np.ndarray:
    """Target numbers of images for C classes, from the most to the least frequent.

    The density of the Pareto distribution of shape ``b`` at C points, evenly from its 0th to its
    99th percentile, scaled to fall from ``max`` towards ``min`` and truncated.

    Args:
        num_classes: C.
        b: Shape; the larger, the steeper.
        max: The first target.
        min: What the targets fall towards; the last one is a little above.

    Returns:
        (C,) int64, not rising.

    Raises:
        ConfigError: If not C >= 1, b > 0 and 0 <= min <= max.

    Example:
        >>> pareto_profile(5, b=6, max=800).tolist()
        [800, 136, 33, 11, 4]
    """
    if num_classes < 1 or not b > 0 or not 0 <= min <= max:
        raise ConfigError(
            f"a Pareto profile needs at least one class, b > 0 and 0 <= min <= max, "
            f"got {num_classes} classes, b={b}, min={min}, max={max}"
        )
    # The 0th percentile is 1, the 99th is 0.01 ** (-1 / b).
    x = np.linspace(1.0, np.power(1 - 0.99, -1.0 / b), num_classes)
    density = b * x ** (-b - 1)
    return (density * (max - min) / b + min).astype(np.int64)


def class_order(table: LabelTable) -> np.ndarray:
    """Classes by how much the others imply them, descending; (C,) int64.

    The score of class j is the sum over i of P(j | i) = n_ij / n_ii, with the co-occurrence counts
    n; a class that never occurs implies nothing. Equal scores keep the order of the columns.

    Example:
        >>> table = LabelTable.from_lists([1, 2], ["1", "2"], ["cat", "dog"], [[1], [0, 1]])
        >>> class_order(table).tolist()
        [1, 0]
    """
    pairs = table.cooccurrence()
    # Only classes that occur have entries, so n_ii is at least 1. Adding row by row gives the same
    # floating-point sums as a dense matrix would.
    of_row = np.repeat(pairs.diagonal(), np.diff(pairs.indptr))
    score = np.bincount(pairs.indices, pairs.data / of_row, minlength=table.num_classes)
    return np.argsort(-score, kind="stable")


def select_published(
    labels: csr_array, order: np.ndarray, profile: np.ndarray, seed: int = 0
) -> np.ndarray:
    """Select images exactly as the published splits were, and in their order.

    Which images are drawn depends here on the order in which CPython's ``set`` yields small
    integers, and that in turn on how each set came about. This is why the function keeps Python
    sets, one per class, adds and removes one image at a time, and must not be tidied up: with
    another container, or with the same sets updated in bulk, the draw is another one. For new data
    use :func:`select_pareto`.

    From the labels of VOC2012 trainval it gives the 1,142 published ids of VOC-MLT one by one, in
    their order. Whether it gives COCO-MLT from COCO train2017 is not known: the published list may
    have been drawn with a generator that had drawn VOC-MLT before.

    Args:
        labels: (N, C) labels of the images to choose from. Row numbers take part in the draw, so
            the rows must be those of the original: every labelled image, in the file's order.
        order: (C,) classes in the order they are visited, see :func:`class_order`.
        profile: (C,) target of the first, second, ... class in ``order``.
        seed: Of the generator; the published splits have 0.

    Returns:
        The rows selected, int64, in the order of the published list.

    Example:
        >>> labels = csr_array(np.array([[1, 0], [1, 0], [1, 0], [0, 1]], bool))
        >>> select_published(labels, np.array([0, 1]), np.array([2, 1])).tolist()
        [1, 2, 3]
    """
    random = Random(seed)
    by_class = csr_array(labels.T)
    classes_of = [row.tolist() for row in np.split(labels.indices, labels.indptr[1:-1])]
    images_of = [
        set(column.tolist()) for column in np.split(by_class.indices, by_class.indptr[1:-1])
    ]
    selected: set[int] = set()
    selected_of: list[set[int]] = [set() for _ in images_of]

    for k, target in zip(order.tolist(), profile.tolist()):
        missing = target - len(selected_of[k])
        if missing > 0:
            candidates = list(images_of[k] - selected_of[k])
            for image in random.sample(candidates, min(missing, len(candidates))):
                selected.add(image)
                for c in classes_of[image]:
                    selected_of[c].add(image)
        elif missing < 0:
            for image in random.sample(list(selected_of[k]), -missing):
                selected.remove(image)
                for c in classes_of[image]:
                    selected_of[c].remove(image)
    return np.array(list(selected), np.int64)


def select_pareto(
    labels: csr_array, order: np.ndarray, profile: np.ndarray, seed: int = 0
) -> np.ndarray:
    """Select images head to tail along a profile; for new data sets.

    The procedure of the published splits with a NumPy generator, and with one promise more: a
    class that has an image at all keeps at least one.

    Args:
        labels: (N, C) labels of the images to choose from.
        order: (C,) classes in the order they are visited, see :func:`class_order`.
        profile: (C,) target of the first, second, ... class in ``order``.
        seed: Of the generator.

    Returns:
        The rows selected, int64, ascending.

    Example:
        >>> labels = csr_array(np.array([[1, 1], [1, 0], [1, 0], [0, 1]], bool))
        >>> rows = select_pareto(labels, np.array([0, 1]), np.array([2, 1]))
        >>> bool((labels[rows].sum(axis=0) >= 1).all())
        True
    """
    rng = np.random.default_rng(seed)
    by_class = csr_array(labels.T)
    selected = np.zeros(labels.shape[0], bool)
    counts = np.zeros(labels.shape[1], np.int64)

    def images_of(k: int) -> np.ndarray:
        return by_class.indices[by_class.indptr[k] : by_class.indptr[k + 1]]

    def change(images: np.ndarray, how_many: int, select: bool) -> None:
        drawn = rng.choice(images, how_many, replace=False)
        selected[drawn] = select
        starts = labels.indptr[drawn]
        positions = ragged_positions(starts, labels.indptr[drawn + 1] - starts)
        changes = np.bincount(labels.indices[positions], minlength=len(counts))
        counts[:] += changes if select else -changes

    for k, target in zip(order.tolist(), profile.tolist()):
        images = images_of(k)
        if counts[k] < target:
            free = images[~selected[images]]
            change(free, min(int(target - counts[k]), len(free)), True)
        elif counts[k] > target:
            change(images[selected[images]], int(counts[k] - target), False)
    # Classes that have lost their last image to a later one.
    for k in order.tolist():
        if counts[k] == 0 and len(images_of(k)):
            change(images_of(k), 1, True)
    return np.flatnonzero(selected)
