"""Cut a long-tailed training set out of a balanced one: exponential or step profile.

Y. Cui, M. Jia, T.-Y. Lin, Y. Song, S. Belongie, "Class-Balanced Loss Based on Effective Number of
Samples", CVPR 2019, arXiv:1901.05555 (exponential); M. Buda, A. Maki, M. A. Mazurowski, "A
systematic study of the class imbalance problem in convolutional neural networks", Neural Networks
2018, arXiv:1710.05381 (step).
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np

from mlt.errors import ConfigError

__all__ = ["Profile", "class_sizes", "select_class_sizes"]

Profile: TypeAlias = Literal["exponential", "step"]


def class_sizes(
    largest: int, num_classes: int, imbalance: float, profile: Profile = "exponential"
) -> np.ndarray:
    """Images per class: the first class keeps all, the last one ``largest / imbalance``.

    Exponential: ``n_c = largest * mu ** (c / (C - 1))`` with ``mu = 1 / imbalance``, truncated.
    Step: the first half of the classes, rounded down, keeps all; the others have
    ``largest * mu`` images, truncated.

    Args:
        largest: Images of the first class.
        num_classes: C.
        imbalance: How many times as many images the first class has as the last.
        profile: How the numbers fall in between.

    Returns:
        (C,) int64, not rising.

    Raises:
        ConfigError: If the imbalance is under 1, or leaves a class without an image.

    Example:
        >>> class_sizes(5000, 10, 10).tolist()
        [5000, 3871, 2997, 2320, 1796, 1391, 1077, 834, 645, 500]
        >>> class_sizes(5000, 10, 100, "step").tolist()
        [5000, 5000, 5000, 5000, 5000, 50, 50, 50, 50, 50]
    """
    if not imbalance >= 1:
        raise ConfigError(f"imbalance must be 1 or more, got {imbalance:g}")
    mu, last = 1 / imbalance, max(num_classes - 1, 1)
    if profile == "exponential":
        # Python's power, as in the published code: NumPy's may round otherwise, and be truncated.
        sizes = [int(largest * mu ** (c / last)) for c in range(num_classes)]
    else:
        sizes = [int(largest * (mu if c >= num_classes // 2 else 1)) for c in range(num_classes)]
    if sizes and sizes[-1] < 1:
        raise ConfigError(
            f"imbalance {imbalance:g} leaves no image of the last class: the first one has "
            f"{largest}, so {largest} is the most"
        )
    return np.array(sizes, np.int64)


def select_class_sizes(classes: np.ndarray, sizes: np.ndarray, seed: int | None) -> np.ndarray:
    """Select as many images of each class as there are to be, or all where there are fewer.

    With a seed, the images of a class, in their order, are shuffled, one class after the other by
    one generator, and the first are taken. With seed 0 and the images of the official archives this
    is the draw of the code of K. Cao et al., "Learning Imbalanced Datasets with
    Label-Distribution-Aware Margin Loss", NeurIPS 2019, arXiv:1906.07413, which most papers on
    long-tailed CIFAR use. (The code of Cui et al. shuffles without a seed.)

    Args:
        classes: (N,) class of each image.
        sizes: (C,) images of each class.
        seed: Of the shuffles; None takes the first images of each class.

    Returns:
        The rows selected, int64, ascending.

    Example:
        >>> select_class_sizes(np.array([0, 1, 0, 1, 0]), np.array([2, 1]), None).tolist()
        [0, 1, 2]
    """
    random = None if seed is None else np.random.RandomState(seed)
    selected = []
    for c, size in enumerate(sizes.tolist()):
        rows = np.flatnonzero(classes == c)
        if random is not None:
            random.shuffle(rows)
        selected.append(rows[:size])
    return np.sort(np.concatenate([np.empty(0, np.int64), *selected]))
