"""Images, or groups of them, by what labels they hold: what stratification deals out."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.sparse import csr_array, hstack

from mlt.data.sparse import csr_from_runs, ragged_positions

__all__ = ["Kinds", "kinds_of", "wanted_counts", "with_pairs"]


@dataclass(frozen=True)
class Kinds:
    """Images, or groups of them, by what they hold; those that hold the same are of one kind.

    Attributes:
        counts: (U, D) float CSR array: images with the label (or pair of labels) in a unit of the
            kind.
        sizes: (U,) images of a unit.
        units: (U,) units of the kind.
        of_unit: The kind of each unit.
        num_classes: How many of the D columns are classes; pairs of classes follow them.
    """

    counts: csr_array
    sizes: np.ndarray
    units: np.ndarray
    of_unit: np.ndarray
    num_classes: int


def kinds_of(
    columns: csr_array, unit_of_image: np.ndarray, num_classes: int, rng: np.random.Generator
) -> Kinds:
    """Tell images, or groups of them, apart by what labels they hold.

    Args:
        columns: (N, D) boolean CSR array of labels, and of whatever else is balanced.
        unit_of_image: (N,) the group of each image, 0 to the number of groups less one.
        num_classes: How many of the columns, from the first on, are classes.
        rng: Decides the order of the kinds.
    """
    num_images, num_units = columns.shape[0], int(unit_of_image.max(initial=-1)) + 1
    counts, sizes = csr_array(columns.astype(float)), np.ones(num_images, np.int64)
    if num_units < num_images:
        ones, places = np.ones(num_images), np.arange(num_images)
        member = csr_array((ones, (unit_of_image, places)), shape=(num_units, num_images))
        counts, sizes = csr_array(member @ counts), np.bincount(unit_of_image, minlength=num_units)
    # Two sums of random 64-bit numbers tell rows apart, in an order that is random but does not
    # depend on that of the rows.
    code = np.zeros((num_units, 2), np.uint64)
    row = np.repeat(np.arange(num_units), np.diff(counts.indptr))
    for k in range(2):
        salt = rng.integers(1, 1 << 62, counts.shape[1] + 1, dtype=np.uint64)
        np.add.at(code[:, k], row, salt[counts.indices] * counts.data.astype(np.uint64))
        code[:, k] += salt[-1] * sizes.astype(np.uint64)
    by_code = np.lexsort(code.T)
    new = np.ones(num_units, bool)
    new[1:] = (code[by_code[1:]] != code[by_code[:-1]]).any(axis=1)
    of_unit = np.empty(num_units, np.int64)
    of_unit[by_code] = np.cumsum(new) - 1
    first = by_code[new]
    units = np.bincount(of_unit, minlength=len(first))
    return Kinds(counts[first], sizes[first], units, of_unit, num_classes)


def with_pairs(labels: csr_array) -> csr_array:
    """The labels, and a column for each pair of labels that an image has."""
    num_images, num_classes = labels.shape
    per_image = np.diff(labels.indptr)
    rows, keys = [], []
    for n in np.unique(per_image[per_image > 1]).tolist():
        of_size = np.flatnonzero(per_image == n)
        indices = labels.indices[ragged_positions(labels.indptr[of_size], per_image[of_size])]
        table = np.sort(indices.reshape(-1, n), axis=1).astype(np.int64)
        for a, b in combinations(range(n), 2):
            rows.append(of_size)
            keys.append(table[:, a] * num_classes + table[:, b])
    if not rows:
        return labels
    row, key = np.concatenate(rows), np.concatenate(keys)
    present, column = np.unique(key, return_inverse=True)
    by_row = np.argsort(row, kind="stable")
    indptr = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=num_images))])
    pairs = csr_from_runs(column[by_row], indptr, len(present))
    return csr_array(hstack([labels, pairs], format="csr"))


def wanted_counts(kinds: Kinds, shares: np.ndarray) -> np.ndarray:
    """How many images with each label the parts should have: (D, k).

    The share of the part; but one at least where there are enough units for all parts, and one for
    each of the largest parts where there are not.
    """
    counts = np.asarray(kinds.counts.T @ kinds.units)
    units = np.asarray((kinds.counts > 0).astype(float).T @ kinds.units)
    wanted = counts[:, None] * shares
    k = len(shares)
    wanted = np.where((units >= k)[:, None], np.maximum(wanted, 1), wanted)
    surplus = wanted - np.minimum(wanted, 1)
    excess = wanted.sum(axis=1) - counts
    total = np.where(surplus.sum(axis=1) > 0, surplus.sum(axis=1), 1)
    wanted -= surplus * (excess / total)[:, None]
    # Parts of one size take turns, so that the rarest classes are not all in the first.
    turn = (np.arange(k) - np.arange(len(counts))[:, None]) % k
    rank = np.argsort(np.lexsort((turn, np.broadcast_to(-shares, turn.shape)), axis=1), axis=1)
    few = (units < k)[:, None]
    return np.where(few, (rank < units[:, None]) * (counts / np.maximum(units, 1))[:, None], wanted)
