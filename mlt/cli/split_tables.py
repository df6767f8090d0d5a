"""A split at a glance: a bar a class, from head to tail."""

from __future__ import annotations

import numpy as np

from mlt.data.split import Split
from mlt.data.stats import GROUPS, ClassStats

__all__ = ["draws_table", "split_summary"]

BAR = 40


def split_summary(split: Split, stats: ClassStats) -> str:
    """A table with a bar for each class, most frequent first, and a line for each group.

    Args:
        split: The split, for its name and whether it matches the published one.
        stats: The counts of its classes and the limits of the groups.

    Returns:
        Text without a trailing newline.
    """
    width = max(map(len, stats.class_names))
    largest = max(int(stats.counts.max(initial=1)), 1)
    lines = [f"{split.name}: {stats.num_images} training images, {stats.num_classes} classes"]
    for c in np.argsort(-stats.counts, kind="stable"):
        n = int(stats.counts[c])
        # A class that has images always shows, however short its bar would be.
        bar = "#" * max(round(BAR * n / largest), int(n > 0))
        lines.append(f"{stats.class_names[c]:{width}}  {stats.group_of(c):6} {n:>7} {bar}")
    for group in GROUPS:
        size = len(stats.groups[group])
        lines.append(f"{group}: {size} classes with {stats.limits.describe()[group]}")
    without = [stats.class_names[c] for c in np.flatnonzero(stats.counts == 0)]
    if without:
        lines.append(f"without any training image: {', '.join(without)}")
    if split.matches_published is True:
        lines.append("matches the published split: images, images per class and ids")
    elif split.matches_published is False:
        lines += ["does NOT match the published split:", *(f"  {m}" for m in split.mismatches)]
    return "\n".join(lines)


def draws_table(stats: ClassStats, draws: np.ndarray) -> str:
    """What a sampler makes of the counts: draws of each class an epoch, most frequent class first.

    Args:
        stats: Counts and groups of the C classes in the training split.
        draws: (C,) expected draws an epoch of images that have the class.

    Returns:
        A line a class under a heading, without a trailing newline.

    Example:
        >>> stats = ClassStats.from_counts([120, 3], num_images=121, class_names=["cat", "yeti"])
        >>> print(draws_table(stats, np.array([130.0, 61.5])))
        class  group    images     draws  draws an image
        cat    head        120     130.0            1.08
        yeti   tail          3      61.5           20.50
    """
    width = max(5, *map(len, stats.class_names))
    lines = [f"{'class':{width}}  group    images     draws  draws an image"]
    for c in np.argsort(-stats.counts, kind="stable"):
        n = int(stats.counts[c])
        each = f"{draws[c] / n:>16.2f}" if n else f"{'-':>16}"
        name, group = stats.class_names[c], stats.group_of(c)
        lines.append(f"{name:{width}}  {group:6} {n:>8} {draws[c]:>9.1f}{each}")
    return "\n".join(lines)
