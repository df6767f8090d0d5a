"""Exchange images between parts for as long as that brings the classes closer to their shares."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from scipy.sparse import csr_array, hstack

from mlt.data.splits.label_kinds import Kinds, wanted_counts

__all__ = ["exchange"]

_SAMPLE = 10_000
_SWEEPS = 10
_STEPS = 100
_MISSING = 1e6


def exchange(
    dealt: np.ndarray, kinds: Kinds, shares: np.ndarray, rng: np.random.Generator, exact: bool
) -> np.ndarray:
    """Exchange units between two parts while that lowers the cost of the cut.

    The cost is, summed over labels and parts, the squared difference of the images with the label
    from those wanted, divided by the part's share; and much for each class that is missing in a
    part where it need not be.

    Args:
        dealt: (U, k) units of each kind in each part.
        kinds: The kinds.
        shares: (k,) the share of each part.
        rng: Chooses the kinds that are tried where there are more than 10,000.
        exact: Whether parts must keep their sizes. They need not with groups: there a unit may also
            move alone, and the size of a part counts as a label does.

    Returns:
        (U, k), as ``dealt``.
    """
    columns, wanted = kinds.counts, wanted_counts(kinds, shares)
    if not exact:
        columns = csr_array(hstack([columns, kinds.sizes[:, None]], format="csr", dtype=float))
        wanted = np.vstack([wanted, shares * (kinds.units @ kinds.sizes)])
    state = _Cut(dealt.copy(), columns, wanted, _in_every_part(kinds, wanted), shares)
    for _ in range(_SWEEPS):
        pairs = combinations(range(len(shares)), 2)
        if not sum([_between(state, i, j, rng, exact) for i, j in pairs]):
            break
    return state.dealt


def _in_every_part(kinds: Kinds, wanted: np.ndarray) -> np.ndarray:
    """Which columns are classes with enough units for all parts: (D,)."""
    units = np.asarray((kinds.counts > 0).astype(float).T @ kinds.units)
    classes = np.zeros(len(wanted), bool)
    classes[: kinds.num_classes] = units[: kinds.num_classes] >= wanted.shape[1]
    return classes


class _Cut:
    """A cut, and what it costs to change it.

    Args:
        dealt: (U, k) units of each kind in each part.
        columns: (U, D) images with each label in a unit of each kind.
        wanted: (D, k) images with each label that each part should have.
        everywhere: (D,) whether every part must have one.
        shares: (k,) the share of each part.
    """

    def __init__(
        self,
        dealt: np.ndarray,
        columns: csr_array,
        wanted: np.ndarray,
        everywhere: np.ndarray,
        shares: np.ndarray,
    ) -> None:
        self.dealt = dealt
        self.columns = columns
        self.wanted = wanted
        self.everywhere = everywhere
        self.shares = shares
        self.counts = np.asarray(columns.T @ dealt, float)
        self.weights = wanted.sum(axis=1).clip(1) ** -0.5

    def slopes(self, i: int, j: int) -> tuple[np.ndarray, np.ndarray]:
        """Of the cost of moving a unit from part i to j: (D,) linear and (D,) quadratic terms."""
        error = (self.counts - self.wanted) / self.shares
        linear = 2 * self.weights * (error[:, j] - error[:, i])
        return linear, self.weights * (1 / self.shares[i] + 1 / self.shares[j])

    def lost(self, columns: csr_array, largest: float, i: int, j: int) -> np.ndarray:
        """How many more classes are missing when a unit moves from part i to j: (rows,).

        Args:
            columns: The rows in question.
            largest: The largest of their entries.
            i: A part.
            j: Another.
        """
        scarce = self.everywhere & (self.counts[:, i] <= largest)
        missing = self.everywhere & (self.counts[:, j] == 0)
        if not (scarce | missing).any():
            return np.zeros(columns.shape[0])
        of = columns.indices
        change = (scarce[of] & (columns.data >= self.counts[of, i])).astype(float) - missing[of]
        parts = change, of, columns.indptr
        return np.asarray(csr_array(parts, shape=columns.shape).sum(axis=1))

    def move(self, kind: int, i: int, j: int, units: int) -> None:
        """Move units of the kind from part i to j."""
        self.dealt[kind, i] -= units
        self.dealt[kind, j] += units
        row = slice(self.columns.indptr[kind], self.columns.indptr[kind + 1])
        self.counts[self.columns.indices[row], i] -= units * self.columns.data[row]
        self.counts[self.columns.indices[row], j] += units * self.columns.data[row]


def _between(cut: _Cut, i: int, j: int, rng: np.random.Generator, exact: bool) -> bool:
    """Exchange units between two parts; return whether there was anything to gain."""
    kinds = np.flatnonzero(cut.dealt[:, [i, j]].any(axis=1))
    if not len(kinds):
        return False
    if len(kinds) > _SAMPLE:
        kinds = np.sort(rng.choice(kinds, _SAMPLE, replace=False))
    columns = csr_array(cut.columns[kinds])
    squares = csr_array(columns.power(2))
    largest = columns.data.max(initial=1)
    for step in range(_STEPS):
        linear, quadratic = cut.slopes(i, j)
        first, second = columns @ linear, squares @ quadratic
        lost = cut.lost(columns, largest, i, j), cut.lost(columns, largest, j, i)
        there, back = second + first + _MISSING * lost[0], second - first + _MISSING * lost[1]
        there[cut.dealt[kinds, i] == 0] = np.inf
        back[cut.dealt[kinds, j] == 0] = np.inf
        a, b = int(there.argmin()), int(back.argmin())
        # What two units have in common stays; the sum of the two moves counts it twice.
        of_a, of_b = _row(columns, a), _row(columns, b)
        with_a = there[a] + back - 2 * (columns @ (quadratic * of_a))
        with_b = there + back[b] - 2 * (columns @ (quadratic * of_b))
        b_of_a, a_of_b = int(with_a.argmin()), int(with_b.argmin())
        choices: list[tuple[float, int | None, int | None]]
        choices = [(with_a[b_of_a], a, b_of_a), (with_b[a_of_b], a_of_b, b)]
        if not exact:
            choices += [(there[a], a, None), (back[b], None, b)]
        gain, out, into = min(choices, key=lambda choice: choice[0])
        if not gain < -1e-9:
            return step > 0
        units = 1
        if out is not None and into is not None and not (lost[0].any() or lost[1].any()):
            # As many at once as lower the cost most, if there are so many and none is the last.
            difference = _row(columns, out) - _row(columns, into)
            slope, curve = float(linear @ difference), float(quadratic @ difference**2)
            spare = cut.counts[(difference != 0) & cut.everywhere][:, [i, j]].min(initial=np.inf)
            most = min(cut.dealt[kinds[out], i], cut.dealt[kinds[into], j], (spare - 1) / largest)
            units = max(1, int(min(-slope / (2 * curve), most)))
        if out is not None:
            cut.move(int(kinds[out]), i, j, units)
        if into is not None:
            cut.move(int(kinds[into]), j, i, units)
    return True


def _row(columns: csr_array, row: int) -> np.ndarray:
    dense = np.zeros(columns.shape[1])
    stored = slice(columns.indptr[row], columns.indptr[row + 1])
    dense[columns.indices[stored]] = columns.data[stored]
    return dense
