"""What a run tells the head about its classes."""

from __future__ import annotations

from mlt.data.labels import LabelTable
from mlt.models.heads import AboutClasses
from mlt.models.heads.settings import GCNHead, Head

__all__ = ["about_classes"]


def about_classes(head: Head, train: LabelTable) -> AboutClasses:
    """What there is to know for a head; what it does not use is not counted.

    Args:
        head: Its settings.
        train: The training split.
    """
    counted = isinstance(head, GCNHead) and head.graph == "cooccurrence"
    return AboutClasses(
        names=train.class_names,
        cooccurrence=train.cooccurrence() if counted else None,
        num_images=len(train),
    )
