"""A split at a glance: a bar per class, from head to tail."""

from __future__ import annotations

import numpy as np

from mlt.class_counts import ClassCounts
from mlt.class_groups import GROUPS
from mlt.data.splits.split import Split

__all__ = ["class_bars", "draws_table", "split_summary"]

BAR = 40


def split_summary(split: Split, counts: ClassCounts) -> str:
    """Return :func:`class_bars`, classes without images, and whether it is the published split.

    Args:
        split: The split, for its name and whether it matches the published one.
        counts: The counts of its classes and the limits of the groups.

    Returns:
        Text without a trailing newline.
    """
    lines = [class_bars(split.name, counts)]
    without = [counts.names[c] for c in np.flatnonzero(counts.counts == 0)]
    if without:
        lines.append(f"without any training image: {', '.join(without)}")
    if split.matches_published is True:
        lines.append("matches the published split: images, images per class and ids")
    elif split.matches_published is False:
        lines += ["does NOT match the published split:", *(f"  {m}" for m in split.mismatches)]
    return "\n".join(lines)


def class_bars(name: str, counts: ClassCounts) -> str:
    """Return a bar for each class, most frequent first, and a line for each group.

    Args:
        name: The name of the split.
        counts: The counts of its classes and the limits of the groups.

    Returns:
        Text without a trailing newline.
    """
    width = max(map(len, counts.names))
    largest = max(int(counts.counts.max(initial=1)), 1)
    lines = [f"{name}: {counts.total} training images, {counts.num_classes} classes"]
    for c in np.argsort(-counts.counts, kind="stable"):
        n = int(counts.counts[c])
        # A class that has images always shows, however short its bar would be.
        bar = "#" * max(round(BAR * n / largest), int(n > 0))
        lines.append(f"{counts.names[c]:{width}}  {counts.group_of(c):6} {n:>7} {bar}")
    for group in GROUPS:
        size = len(counts.groups[group])
        lines.append(f"{group}: {size} classes with {counts.limits.describe()[group]}")
    return "\n".join(lines)


def draws_table(counts: ClassCounts, draws: np.ndarray) -> str:
    """What a sampler makes of the counts: draws of each class per epoch, most frequent class first.

    Args:
        counts: Counts and groups of the C classes in the training split.
        draws: (C,) expected draws an epoch of images that have the class.

    Returns:
        A line a class under a heading, without a trailing newline.

    Example:
        >>> counts = ClassCounts.from_counts([120, 3], num_images=121, names=["cat", "yeti"])
        >>> print(draws_table(counts, np.array([130.0, 61.5])))
        class  group    images     draws  draws an image
        cat    head        120     130.0            1.08
        yeti   tail          3      61.5           20.50
    """
    width = max(5, *map(len, counts.names))
    lines = [f"{'class':{width}}  group    images     draws  draws an image"]
    for c in np.argsort(-counts.counts, kind="stable"):
        n = int(counts.counts[c])
        each = f"{draws[c] / n:>16.2f}" if n else f"{'-':>16}"
        name, group = counts.names[c], counts.group_of(c)
        lines.append(f"{name:{width}}  {group:6} {n:>8} {draws[c]:>9.1f}{each}")
    return "\n".join(lines)
