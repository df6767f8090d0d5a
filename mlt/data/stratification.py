"""Cut images into parts in which every class has its share: iterative stratification.

K. Sechidis, G. Tsoumakas, I. Vlahavas, "On the Stratification of Multi-Label Data", ECML PKDD 2011;
of the second order: P. Szymanski, T. Kajdanowicz, "A Network Perspective on Stratification of
Multi-Label Data", LIDTA 2017, arXiv:1704.08756. What differs from the papers:

- Images with the same labels are dealt out together, in exact proportion; only what is left over
  (fewer images than there are parts, for each set of labels) is placed one by one.
- A class is wanted at least once in every part, where it has enough images for that; with fewer, in
  the largest parts.
- Parts have exactly the size that was asked for, to one image (not so with groups).
- At last images are exchanged between parts for as long as that helps, see
  :mod:`mlt.data.stratified_exchange`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.sparse import csr_array, hstack

from mlt.data.sparse import csr_from_runs, ragged_positions
from mlt.data.stratified_exchange import exchange
from mlt.errors import ConfigError

__all__ = ["part_sizes", "stratify"]


def stratify(
    labels: csr_array,
    fractions: Sequence[float],
    *,
    groups: np.ndarray | None = None,
    order: int = 1,
    seed: int = 0,
) -> np.ndarray:
    """Assign every image to a part, so that each class has its share in each part.

    Which kinds of images go where depends on the labels and the seed, not on the order of the
    rows; which of several images with the same labels goes where does.

    Args:
        labels: (N, C) boolean CSR array.
        fractions: The share of each of k parts; they add up to 1.
        groups: (N,) integers; images of one number stay together. None: every image for itself.
        order: 1 balances classes, 2 also pairs of classes that occur together.
        seed: Another seed is another cut.

    Returns:
        (N,) int64, the part of each image, 0..k-1.

    Raises:
        ConfigError: If the fractions are not positive and add up to 1, or the order is not 1 or 2.

    Example:
        >>> labels = csr_array(np.array([[1, 0], [1, 0], [1, 1], [0, 1], [0, 0], [0, 0]], bool))
        >>> parts = stratify(labels, [0.5, 0.5])
        >>> [labels[parts == part].sum(axis=0).tolist() for part in (0, 1)]
        [[2, 1], [1, 1]]
    """
    shares = np.array(fractions, float)
    if len(shares) < 1 or not (shares > 0).all() or abs(shares.sum() - 1) > 1e-6:
        raise ConfigError(f"the fractions of parts must be positive and add up to 1: {fractions}")
    if order not in (1, 2):
        raise ConfigError(f"the order of a stratification is 1 or 2, got {order}")
    rng = np.random.default_rng(seed)
    unit_of_image = np.arange(labels.shape[0])
    if groups is not None:
        unit_of_image = np.unique(groups, return_inverse=True)[1]
    columns = labels if order == 1 else _with_pairs(labels)
    kinds = _kinds(columns, unit_of_image, labels.shape[1], rng)
    dealt = _deal(kinds, shares, exact=groups is None)
    dealt = exchange(dealt, kinds, shares, rng, exact=groups is None)
    return _parts_of_units(dealt, kinds, rng)[unit_of_image]


def part_sizes(total: int, fractions: Sequence[float] | np.ndarray) -> np.ndarray:
    """The images of each part, which add up to ``total``: rounded down, the rest to the largest
    remainders.

    Example:
        >>> part_sizes(10, [0.7, 0.1, 0.2]).tolist(), part_sizes(7, [0.5, 0.5]).tolist()
        ([7, 1, 2], [4, 3])
    """
    wanted = np.asarray(fractions, float) * total
    sizes = np.floor(wanted + 1e-9).astype(np.int64)
    remainder = np.round(wanted - sizes, 9)  # so that equal fractions tie
    sizes[np.argsort(-remainder, kind="stable")[: total - sizes.sum()]] += 1
    return sizes


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


def _kinds(
    columns: csr_array, unit_of_image: np.ndarray, num_classes: int, rng: np.random.Generator
) -> Kinds:
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


def _with_pairs(labels: csr_array) -> csr_array:
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


def _deal(kinds: Kinds, shares: np.ndarray, exact: bool) -> np.ndarray:
    """Units of each kind for each part, (U, k): in proportion, then what is left one by one."""
    dealt = np.floor(kinds.units[:, None] * shares + 1e-9).astype(np.int64)
    left = kinds.units - dealt.sum(axis=1)
    total = int(kinds.units @ kinds.sizes)
    sizes = part_sizes(total, shares) if exact else shares * total
    room = (sizes - kinds.sizes @ dealt).tolist()
    wanted = wanted_counts(kinds, shares) - kinds.counts.T @ dealt
    need = wanted.tolist()
    by_column = csr_array(kinds.counts.T)
    remaining = np.asarray((kinds.counts > 0).astype(float).T @ left).round().astype(int).tolist()
    left_of, size_of, parts = left.tolist(), kinds.sizes.tolist(), range(len(shares))
    indptr, indices, data = kinds.counts.indptr, kinds.counts.indices, kinds.counts.data

    def place(kind: int, column: int | None) -> None:
        """Give a unit of the kind to the part that needs the column most."""
        open_parts = [j for j in parts if room[j] >= size_of[kind]] or parts
        if column is None:
            part = max(open_parts, key=lambda j: room[j])
        else:
            part = max(open_parts, key=lambda j: (need[column][j], room[j]))
        dealt[kind, part] += 1
        left_of[kind] -= 1
        room[part] -= size_of[kind]
        start, end = indptr[kind], indptr[kind + 1]
        for c, n in zip(indices[start:end].tolist(), data[start:end].tolist()):
            need[c][part] -= n
            remaining[c] -= 1

    while any(remaining):
        _, column = min((n, c) for c, n in enumerate(remaining) if n)
        start, end = by_column.indptr[column], by_column.indptr[column + 1]
        members = by_column.indices[start:end]
        largest_first = members[np.argsort(-by_column.data[start:end], kind="stable")]
        for kind in largest_first.tolist():
            while left_of[kind]:
                place(kind, column)
    for kind in np.argsort(-kinds.sizes, kind="stable").tolist():
        while left_of[kind]:
            place(kind, None)
    return dealt


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


def _parts_of_units(dealt: np.ndarray, kinds: Kinds, rng: np.random.Generator) -> np.ndarray:
    """The part of each unit: those of a kind are shuffled and dealt out."""
    shuffled = rng.permutation(len(kinds.of_unit))
    by_kind = shuffled[np.argsort(kinds.of_unit[shuffled], kind="stable")]
    parts = np.empty(len(by_kind), np.int64)
    parts[by_kind] = np.repeat(np.tile(np.arange(dealt.shape[1]), len(dealt)), dealt.ravel())
    return parts
