"""Tables in which every image has exactly one label, as softmax losses and top-1 error need."""

from __future__ import annotations

import numpy as np

from mlt.data.labels import LabelTable
from mlt.errors import DataError

__all__ = ["exactly_one_label", "true_classes"]


def exactly_one_label(table: LabelTable) -> bool:
    """Whether every image has exactly one label, and everything is known of every image.

    Soft targets other than 1 are not labels of that kind. A table without images has no image
    that would say otherwise.

    Args:
        table: N images.

    Example:
        >>> exactly_one_label(LabelTable.from_lists([1, 2], "ab", ["x", "y"], [[1], [0]]))
        True
        >>> exactly_one_label(LabelTable.from_lists([1, 2], "ab", ["x", "y"], [[1], []]))
        False
    """
    return _reason_against(table) is None


def true_classes(table: LabelTable) -> np.ndarray:
    """The class of each image.

    Args:
        table: N images with exactly one label each.

    Returns:
        (N,) int64 column indices.

    Raises:
        DataError: If the images do not have exactly one label each; says which has how many.

    Example:
        >>> true_classes(LabelTable.from_lists([1, 2], "ab", ["x", "y"], [[1], [0]])).tolist()
        [1, 0]
    """
    if (reason := _reason_against(table)) is not None:
        raise DataError(f"exactly one label per image is needed, but {reason}")
    return table.labels.indices.astype(np.int64)


def _reason_against(table: LabelTable) -> str | None:
    """Why the images of a table do not have exactly one label each; None if they do."""
    labels_of = np.diff(table.labels.indptr)
    others = np.flatnonzero(labels_of != 1)
    if len(others):
        row = others[0]
        return (
            f"{len(others):,} of {len(table):,} images have another number; image "
            f"{table.image_ids[row]} has {labels_of[row]}"
        )
    if table.known is not None and table.known.nnz < len(table) * table.num_classes:
        unknown = np.flatnonzero(np.diff(table.known.indptr) < table.num_classes)
        return (
            f"of {len(unknown):,} of {len(table):,} images some labels are unknown, such as of "
            f"image {table.image_ids[unknown[0]]}"
        )
    if table.soft is not None and (table.soft.nnz > len(table) or (table.soft.data != 1).any()):
        return "the targets are soft, between 0 and 1"
    return None
