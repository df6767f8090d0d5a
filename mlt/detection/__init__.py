"""The losses in detection heads: one adapter a framework, each imported only when asked for.

`mlt.detection.torchvision` has ``attach`` and ``detach``. What all adapters share is here: counts
of boxes, targets from integer labels, and the check that a loss can serve in a detection head.
"""

from mlt.class_counts import ClassCounts
from mlt.detection.contract import check_loss, check_softmax_loss, one_hot
from mlt.detection.counts import class_counts_from_coco, class_counts_from_dataset

__all__ = [
    "ClassCounts",
    "check_loss",
    "check_softmax_loss",
    "class_counts_from_coco",
    "class_counts_from_dataset",
    "one_hot",
]
