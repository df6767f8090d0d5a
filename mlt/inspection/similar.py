"""Pictures that look the same though their files differ, within a part and between parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from mlt.data.labels import LabelTable
from mlt.data.near_duplicates import near_pairs, table_hashes
from mlt.data.splits.grouping import rows_together
from mlt.inspection.duplicates import Place

__all__ = ["similar_pictures"]


def similar_pictures(
    tables: Mapping[str, LabelTable], same: Sequence[Sequence[Place]] = ()
) -> tuple[tuple[Place, ...], ...]:
    """Find the images that look the same, though their files differ; every image is decoded.

    Two images look the same where few bits of their perceptual hashes differ; see
    :mod:`mlt.data.near_duplicates`. That is a suspicion: a series of photographs may look so too.

    Args:
        tables: The parts.
        same: Groups of the same content, which are not named again.

    Returns:
        Groups of two images or more.
    """
    places: list[Place] = []
    hashes = [np.empty(0, np.uint64)]
    for part, table in tables.items():
        if table.paths is None:
            continue
        rows, found = table_hashes(table)
        places += [Place(part, row, table.paths[row]) for row in rows.tolist()]
        hashes.append(found)
    first, second = near_pairs(np.concatenate(hashes)).T
    edges = csr_array((np.ones(len(first)), (first, second)), shape=(len(places), len(places)))
    group_of = connected_components(edges, directed=False)[1]
    content = {place: number for number, members in enumerate(same) for place in members}
    groups = (tuple(places[i] for i in rows) for rows in rows_together(group_of))
    return tuple(g for g in groups if len({content.get(place, place) for place in g}) > 1)
