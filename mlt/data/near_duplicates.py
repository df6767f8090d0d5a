"""Pictures that look the same though their files differ: resized, compressed again, brightened.

A picture's hash is 64 bits of its low frequencies (the discrete cosine transform of 32 x 32 grey
pixels, each of its first 8 x 8 coefficients above their median or not; after Zauner,
"Implementation and Benchmarking of Perceptual Image Hash Functions", 2010). Pictures whose hashes
differ in few bits look alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from PIL import Image
from scipy.fft import dctn
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from mlt.data.labels import LabelTable
from mlt.data.row_images import row_image
from mlt.errors import ConfigError, UserError

__all__ = ["near_groups", "near_pairs", "perceptual_hash", "table_hashes"]

_SIDE = 32
_BANDS = 8
_CHUNK = 1 << 22


def perceptual_hash(image: Image.Image) -> int | None:
    """The 64-bit hash of a picture; None for one of a single colour, which looks like no other.

    Example:
        >>> ramp = Image.linear_gradient("L")
        >>> wide = ramp.resize((300, 120))
        >>> (perceptual_hash(ramp) ^ perceptual_hash(wide)).bit_count() <= 4
        True
    """
    grey = image.convert("L").resize((_SIDE, _SIDE), Image.Resampling.BOX)
    pixels = np.asarray(grey, float)
    if np.ptp(pixels) < 4:
        return None
    low = dctn(pixels, norm="ortho")[:_BANDS, :_BANDS].ravel()
    low[0] = 0  # the brightness
    bits = low > np.median(low)
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def table_hashes(table: LabelTable) -> tuple[np.ndarray, np.ndarray]:
    """The hashes of all pictures of a table that can be read and are not of a single colour.

    Returns:
        Their rows, int64, and their hashes, uint64.
    """
    rows, hashes = [], []
    for row in range(len(table)):
        try:
            found = perceptual_hash(row_image(table, row))
        except UserError:
            continue
        if found is not None:
            rows.append(row)
            hashes.append(found)
    return np.array(rows, np.int64), np.array(hashes, np.uint64)


def near_pairs(hashes: np.ndarray, distance: int = 4) -> np.ndarray:
    """The pairs of hashes that differ in at most ``distance`` bits, without comparing all pairs.

    The 64 bits are cut into ``distance + 1`` blocks: two hashes that differ in no more bits are the
    same in one of the blocks at least.

    Args:
        hashes: (N,) uint64.
        distance: 0 to 15.

    Returns:
        (M, 2) int64, ascending, the smaller number of each pair first.

    Raises:
        ConfigError: If the distance is out of range.

    Example:
        >>> near_pairs(np.array([0b1111, 0, 0b0111, 1 << 63], np.uint64), distance=1).tolist()
        [[0, 2], [1, 3]]
    """
    if not 0 <= distance <= 15:
        raise ConfigError(f"the distance of near duplicates must be 0 to 15 bits, got {distance}")
    found = [np.empty((0, 2), np.int64)]
    edges = np.linspace(0, 64, distance + 2).astype(int).tolist()
    for start, end in pairwise(edges):
        block = (hashes >> np.uint64(start)) & np.uint64((1 << (end - start)) - 1)
        for first, second in _equal_pairs(block):
            near = np.bitwise_count(hashes[first] ^ hashes[second]) <= distance
            found.append(np.sort(np.stack([first[near], second[near]], axis=1), axis=1))
    return np.unique(np.concatenate(found), axis=0)


def near_groups(table: LabelTable, distance: int = 4) -> np.ndarray:
    """A number for each image, the same for those that look alike: (N,) int64.

    What looks like an image that looks like a third is of one group with it.

    Args:
        table: The images; those that cannot be read are alone.
        distance: Bits that the hashes may differ in.
    """
    rows, hashes = table_hashes(table)
    first, second = rows[near_pairs(hashes, distance)].reshape(-1, 2).T
    edges = csr_array((np.ones(len(first)), (first, second)), shape=(len(table), len(table)))
    return connected_components(edges, directed=False)[1].astype(np.int64)


def _equal_pairs(values: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """All pairs of places with equal values, in chunks."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    ends = np.searchsorted(ordered, ordered, side="right")
    after = ends - np.arange(len(ordered)) - 1  # equal ones that follow
    total = np.cumsum(after)
    start = 0
    while start < len(ordered):
        # As many places as give a chunk of pairs, but one at least.
        begun = total[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(total, begun + _CHUNK, side="right")))
        places = np.repeat(np.arange(start, stop), after[start:stop])
        offsets = np.arange(len(places)) - np.repeat(
            np.cumsum(after[start:stop]) - after[start:stop], after[start:stop]
        )
        if len(places):
            yield order[places], order[places + offsets + 1]
        start = stop
