"""Head, medium and tail: the groups of classes by their number of training images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlt.errors import ConfigError

__all__ = ["GROUPS", "SEEN", "GroupLimits", "seen_and_unseen"]

GROUPS = ("head", "medium", "tail")
"""The names of the groups, from the most to the least frequent classes."""

SEEN = {"seen": "1 image or more", "unseen": "no image"}
"""Classes with and without a training image, where there are any without."""


@dataclass(frozen=True)
class GroupLimits:
    """Where head, medium and tail begin, in training images per class.

    The published code of the Distribution-Balanced Loss (ECCV 2020) has 100 and 20. LVIS counts 1
    to 10 images as rare and more than 100 as frequent: 101 and 11.

    Attributes:
        head: A class with at least this many images is in the head.
        tail: A class with fewer images than this is in the tail; the others are medium.

    Raises:
        ConfigError: If not 0 <= tail <= head.
    """

    head: int = 100
    tail: int = 20

    def __post_init__(self) -> None:
        if not 0 <= self.tail <= self.head:
            raise ConfigError(
                f"group limits must satisfy 0 <= tail <= head, "
                f"got tail={self.tail}, head={self.head}"
            )

    def describe(self) -> dict[str, str]:
        """What each group means, in words.

        Example:
            >>> GroupLimits().describe()["medium"]
            '20 to 99 images'
        """
        return {
            "head": f"{self.head} images or more",
            "medium": f"{self.tail} to {self.head - 1} images",
            "tail": f"fewer than {self.tail} images",
        }


def seen_and_unseen(counts: ArrayLike) -> dict[str, NDArray[np.intp]]:
    """The classes with and without a training image.

    Args:
        counts: (C,) training images of each class.

    Returns:
        Class indices of "seen" and "unseen"; empty if all classes are alike.

    Example:
        >>> {name: c.tolist() for name, c in seen_and_unseen([5, 0, 2]).items()}
        {'seen': [0, 2], 'unseen': [1]}
        >>> seen_and_unseen([5, 3])
        {}
    """
    seen = np.asarray(counts) > 0
    if seen.all() or not seen.any():
        return {}
    return {"seen": np.flatnonzero(seen), "unseen": np.flatnonzero(~seen)}
