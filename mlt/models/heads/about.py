"""What a head may be told about the classes before it learns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from mlt.language.prompts import PromptEncoder

__all__ = ["AboutClasses"]


@dataclass(frozen=True)
class AboutClasses:
    """What is known about the classes, for heads that use it.

    Attributes:
        names: C names in the order of the logits.
        cooccurrence: (C, C) training images that have both of two classes; the diagonal has those
            of each class. None where nothing was counted.
        num_images: Training images that were counted, or (C,) those on which each class is known.
        embeddings: (C, E) what a text tower makes of each class; None without language.
        prompts: What embeds prompts that learn; None where they do not.
        judged: (C, C) training images of one class on which the other is known; None: all are.
    """

    names: tuple[str, ...]
    cooccurrence: csr_array | None = None
    num_images: int | NDArray[np.integer] = 0
    embeddings: NDArray[np.float32] | None = None
    prompts: PromptEncoder | None = None
    judged: csr_array | None = None
