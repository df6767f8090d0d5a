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
  :mod:`mlt.data.splits.exchange`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array, hstack

from mlt.data.splits.exchange import exchange
from mlt.data.splits.label_kinds import Kinds, kinds_of, wanted_counts, with_pairs
from mlt.errors import ConfigError

__all__ = ["part_sizes", "stratify"]


def stratify(
    labels: csr_array,
    fractions: Sequence[float],
    *,
    groups: np.ndarray | None = None,
    also: csr_array | None = None,
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
        also: (N, D) boolean CSR array of what else to balance, without being wanted in every part:
            which absences were verified, for example.
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
    columns = labels if order == 1 else with_pairs(labels)
    if also is not None:
        columns = csr_array(hstack([columns, also], format="csr"))
    kinds = kinds_of(columns, unit_of_image, labels.shape[1], rng)
    exact = bool((kinds.sizes == 1).all())
    dealt = exchange(_deal(kinds, shares, exact), kinds, shares, rng, exact)
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
    remaining = np.asarray((kinds.counts > 0).astype(float).T @ left).round().astype(int)
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
        remaining[indices[start:end]] -= 1

    while remaining.any():
        column = int(np.where(remaining > 0, remaining, len(dealt) * len(parts) + 1).argmin())
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


def _parts_of_units(dealt: np.ndarray, kinds: Kinds, rng: np.random.Generator) -> np.ndarray:
    """The part of each unit: those of a kind are shuffled and dealt out."""
    shuffled = rng.permutation(len(kinds.of_unit))
    by_kind = shuffled[np.argsort(kinds.of_unit[shuffled], kind="stable")]
    parts = np.empty(len(by_kind), np.int64)
    parts[by_kind] = np.repeat(np.tile(np.arange(dealt.shape[1]), len(dealt)), dealt.ravel())
    return parts
