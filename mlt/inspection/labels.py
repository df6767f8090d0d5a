"""The labels of a part of the data, counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlt.data.labels import LabelTable
from mlt.data.one_label import exactly_one_label
from mlt.data.sparse import column_counts
from mlt.data.splits.parts import group_codes

__all__ = ["PartLabels", "count_labels"]


@dataclass(frozen=True)
class PartLabels:
    """Counts of one part. For every class, positives, verified absent and unknown are its images.

    Attributes:
        images: N.
        without_label: Images that have no class.
        class_counts: Images that have the class.
        verified_absent: Images of which it is known that they do not have the class.
        unknown: Images of which nobody said whether they have the class.
        labels: All labels together.
        labels_per_image: Their mean over the images; 0 without images.
        most_labels: Those of the image that has most.
        soft_targets: Targets strictly between 0 and 1. From 0.5 on they count as labels.
        image_groups: Patients, videos or whatever else images belong to; None where the data does
            not say.
        one_each: Whether every image has exactly one of several classes, as softmax losses need.
    """

    images: int
    without_label: int
    class_counts: dict[str, int]
    verified_absent: dict[str, int]
    unknown: dict[str, int]
    labels: int
    labels_per_image: float
    most_labels: int
    soft_targets: int
    image_groups: int | None
    one_each: bool


def count_labels(table: LabelTable) -> PartLabels:
    """Count the labels of a part.

    Args:
        table: N images, C classes.

    Example:
        >>> lists = [[0], [0, 1], []]
        >>> table = LabelTable.from_lists([1, 2, 3], "abc", ["cat", "dog"], lists)
        >>> counted = count_labels(table)
        >>> counted.class_counts, counted.verified_absent, counted.without_label
        ({'cat': 2, 'dog': 1}, {'cat': 1, 'dog': 2}, 1)
    """
    images = len(table)
    each = np.diff(table.labels.indptr)
    positives = column_counts(table.labels)
    known = images if table.known is None else column_counts(table.known)
    soft = 0 if table.soft is None else int(np.count_nonzero(table.soft.data < 1))
    return PartLabels(
        images=images,
        without_label=int(np.count_nonzero(each == 0)),
        class_counts=_by_name(table.class_names, positives),
        verified_absent=_by_name(table.class_names, known - positives),
        unknown=_by_name(table.class_names, images - known + 0 * positives),
        labels=int(each.sum()),
        labels_per_image=float(each.mean()) if images else 0.0,
        most_labels=int(each.max(initial=0)),
        soft_targets=soft,
        image_groups=None if table.groups is None else len(np.unique(group_codes(table.groups))),
        one_each=table.num_classes > 1 and exactly_one_label(table),
    )


def _by_name(names: Sequence[str], values: np.ndarray) -> dict[str, int]:
    return dict(zip(names, values.tolist()))
