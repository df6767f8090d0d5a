"""Classes that training does not see: their labels become unknown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.sparse import csr_array

from mlt.data.labels import LabelTable
from mlt.errors import ConfigError
from mlt.problems import did_you_mean

__all__ = ["hide_labels"]


def hide_labels(table: LabelTable, class_names: Sequence[str]) -> LabelTable:
    """The same images, on which nothing is known of some classes.

    Args:
        table: Images and labels.
        class_names: Classes to hide.

    Raises:
        ConfigError: If a class is not one of the table's, or none would be left.

    Example:
        >>> table = LabelTable.from_lists([7, 9], ["7.jpg", "9.jpg"], ["cat", "dog"], [[1], [0, 1]])
        >>> hidden = hide_labels(table, ["dog"])
        >>> hidden.targets([0, 1]).tolist(), hidden.known_mask([0]).tolist()
        ([[0.0, 0.0], [1.0, 0.0]], [[True, False]])
    """
    for name in class_names:
        if name not in table.class_names:
            raise ConfigError(
                f"the data has no class {name!r}{did_you_mean(name, table.class_names)}"
            )
    hidden = set(class_names)
    shown = np.array([name not in hidden for name in table.class_names])
    if not shown.any():
        raise ConfigError("all classes of the data are named, which leaves none to train")
    return replace(
        table,
        labels=_columns(table.labels, shown),
        known=_all_known(len(table), shown)
        if table.known is None
        else _columns(table.known, shown),
        soft=None if table.soft is None else _columns(table.soft, shown),
    )


def _columns(values: csr_array, shown: np.ndarray) -> csr_array:
    """The entries in the columns that are shown."""
    kept = shown[values.indices]
    before = np.concatenate([[0], np.cumsum(kept)])
    entries = values.data[kept], values.indices[kept], before[values.indptr]
    return csr_array(entries, shape=values.shape)


def _all_known(rows: int, shown: np.ndarray) -> csr_array:
    columns = np.flatnonzero(shown).astype(np.int32)
    indices = np.tile(columns, rows)
    starts = np.arange(rows + 1, dtype=np.int64) * len(columns)
    return csr_array((np.ones(len(indices), bool), indices, starts), shape=(rows, len(shown)))
