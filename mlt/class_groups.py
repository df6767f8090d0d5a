"""Head, medium and tail: the groups of classes by their number of training images."""

from __future__ import annotations

from dataclasses import dataclass

from mlt.errors import ConfigError

__all__ = ["GROUPS", "GroupLimits"]

GROUPS = ("head", "medium", "tail")
"""The names of the groups, from the most to the least frequent classes."""


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
