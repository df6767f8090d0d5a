"""The parts of a data set at a glance: sizes, balance, and the rarest classes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mlt.data.labels import LabelTable
from mlt.data.sparse import column_counts
from mlt.data.splits.balance import label_distance

__all__ = ["class_counts_of_parts", "parts_table"]


def parts_table(table: LabelTable, rows: Mapping[str, np.ndarray]) -> str:
    """A line for each part: images, labels, images without a label, label distribution distance.

    Args:
        table: All images.
        rows: Part to its rows.

    Example:
        >>> table = LabelTable.from_lists(range(4), "abcd", ["cat"], [[0], [0], [], []])
        >>> print(parts_table(table, {"train": np.array([0, 1, 2]), "test": np.array([3])}))
        part    images    labels  without  distance
        train        3         2        1   1.00000
        test         1         0        1   1.00000
        all          4         2        2
    """
    width = max(5, *map(len, rows))
    lines = [f"{'part':{width}} {'images':>8} {'labels':>9} {'without':>8} {'distance':>9}"]
    for name, of_part in rows.items():
        labels = table.labels[of_part]
        without = int((np.diff(labels.indptr) == 0).sum())
        distance = label_distance(table, of_part)
        lines.append(
            f"{name:{width}} {len(of_part):>8} {labels.nnz:>9} {without:>8} {distance:>9.5f}"
        )
    without = int((np.diff(table.labels.indptr) == 0).sum())
    lines.append(f"{'all':{width}} {len(table):>8} {table.labels.nnz:>9} {without:>8}")
    return "\n".join(lines)


def class_counts_of_parts(table: LabelTable, rows: Mapping[str, np.ndarray], most: int = 10) -> str:
    """A line for each of the rarest classes: its images in all, and in each part.

    Args:
        table: All images.
        rows: Part to its rows.
        most: How many classes.
    """
    total = column_counts(table.labels)
    rarest = np.argsort(total, kind="stable")[:most]
    names = [table.class_names[c] for c in rarest]
    width = max(5, *map(len, names))
    counts = [column_counts(table.labels[of_part]) for of_part in rows.values()]
    heading = "".join(f" {part:>10}" for part in rows)
    lines = [f"{'class':{width}} {'images':>8}{heading}"]
    for name, c in zip(names, rarest):
        lines.append(f"{name:{width}} {total[c]:>8}" + "".join(f" {n[c]:>10}" for n in counts))
    if len(rarest) < table.num_classes:
        lines.append(f"(the {len(rarest)} rarest of {table.num_classes} classes)")
    return "\n".join(lines)
