"""Which rare class hides behind which frequent one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import bdtrc

from mlt.data.labels import LabelTable
from mlt.data.sparse import column_counts

__all__ = ["Hidden", "hidden_classes"]

LEAST_SHARE = 0.5
"""A class hides behind another from this share of its images on."""

CHANCE = 0.05
"""Probability, over all other classes together, that chance alone gives such a share."""


@dataclass(frozen=True)
class Hidden:
    """A class most of whose images have a certain more frequent class, too.

    A model can get it right by recognising the other one, and nothing in the data says otherwise
    but the images in ``alone``.

    Attributes:
        name: The rare class.
        images: Its images, of which the other class is known.
        behind: The more frequent class.
        together: Images of both.
        share: P(behind | name), ``together / images``.
        expected_share: P(behind), over all images.
        alone: Images of the rare class without the other.
    """

    name: str
    images: int
    behind: str
    together: int
    share: float
    expected_share: float
    alone: int


def hidden_classes(table: LabelTable) -> tuple[Hidden, ...]:
    """Find the classes that hide behind a more frequent one, the rarest first.

    A class counts as hidden where at least half of its images have the other, and where so many
    would be an improbable draw from all images: binomial, at 5 % over all the classes that it was
    compared with (Bonferroni). Of several such classes the one with the largest share is named.

    Args:
        table: N images, C classes. Images on which the other class is not known do not count.

    Example:
        >>> lists = [[0, 1]] * 4 + [[0]] * 6 + [[]] * 30
        >>> names = ["person", "tie"]
        >>> table = LabelTable.from_lists(range(40), map(str, range(40)), names, lists)
        >>> [(h.name, h.behind, h.share, h.expected_share) for h in hidden_classes(table)]
        [('tie', 'person', 1.0, 0.25)]
    """
    counts = column_counts(table.labels)
    known = table.known
    known_counts = len(table) if known is None else np.maximum(column_counts(known), 1)
    if not len(table):
        return ()
    base = counts / known_counts
    pairs = table.cooccurrence()
    judged = table.judged()
    found = []
    for rare in np.argsort(counts, kind="stable").tolist():
        row = slice(pairs.indptr[rare], pairs.indptr[rare + 1])
        others, together = pairs.indices[row], pairs.data[row]
        frequent = counts[others] > counts[rare]
        others, together = others[frequent], together[frequent]
        if not len(others):
            continue
        images = np.full(len(others), counts[rare])
        if judged is not None:
            images = judged[[rare], :].toarray()[0][others]
        share = together / images
        chance = bdtrc(together - 1, images, base[others])  # P(at least so many)
        hiding = (share >= LEAST_SHARE) & (chance * int(np.sum(counts > counts[rare])) < CHANCE)
        if not hiding.any():
            continue
        best = max(np.flatnonzero(hiding).tolist(), key=lambda i: (share[i], -base[others[i]]))
        found.append(
            Hidden(
                name=table.class_names[rare],
                images=int(images[best]),
                behind=table.class_names[others[best]],
                together=int(together[best]),
                share=float(share[best]),
                expected_share=float(base[others[best]]),
                alone=int(images[best] - together[best]),
            )
        )
    return tuple(found)
