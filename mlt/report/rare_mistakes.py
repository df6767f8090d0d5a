"""The worst mistakes of tail classes, so many that they can all be shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mlt.predictions import Predictions
from mlt.report.confusion import given_labels, mistakes

__all__ = ["Mistake", "worst_mistakes"]

Kind = Literal["missed", "alarms"]

EACH = 3
"""Missed images, and false alarms, of each class, at most."""

OTHERS = 2
"""Labels that an image is given besides, at most."""


@dataclass(frozen=True)
class Mistake:
    """An image that misses a label, or is given it wrongly.

    Attributes:
        column: Of the class.
        kind: Which of both.
        row: Of the image among the predictions.
        place: In the ranking of the class, from 1.
        others: Columns of other labels that the image is given, highest logit first.
    """

    column: int
    kind: Kind
    row: int
    place: int
    others: tuple[int, ...]


def worst_mistakes(p: Predictions, columns: Sequence[int], limit: int) -> list[Mistake]:
    """The worst mistakes of some classes: first the worst of every class, then the second worst.

    Args:
        p: Predictions of N images.
        columns: The classes.
        limit: How many at most.
    """
    given = given_labels(p)
    found = {c: mistakes(p, c) for c in columns}

    def mistake(c: int, kind: Kind, row: int) -> Mistake:
        order = np.argsort(-p.log_odds[row], kind="stable")
        others = [int(k) for k in order if given[row, k] and k != c]
        return Mistake(c, kind, row, int(found[c].ranks[row]), tuple(others[:OTHERS]))

    kinds: tuple[Kind, ...] = ("missed", "alarms")
    worst_first = [
        mistake(c, kind, int(rows[nth]))
        for nth in range(EACH)
        for c in columns
        for kind in kinds
        if nth < len(rows := getattr(found[c], kind))
    ]
    return worst_first[:limit]
