"""Data: from annotation files to a label table, a split, class statistics and batches.

Importing this package costs numpy and scipy, nothing more; images and loaders are in the modules
that need torch.
"""

from __future__ import annotations

from mlt.data.builders import (
    build_pareto_split,
    build_published_split,
    full_split,
    read_image_ids,
)
from mlt.data.formats.coco import read_coco
from mlt.data.formats.csv import read_csv
from mlt.data.formats.voc import read_voc
from mlt.data.labels import LabelTable
from mlt.data.split import Split
from mlt.data.stats import ClassStats, GroupLimits

__all__ = [
    "ClassStats",
    "GroupLimits",
    "LabelTable",
    "Split",
    "build_pareto_split",
    "build_published_split",
    "full_split",
    "read_coco",
    "read_csv",
    "read_image_ids",
    "read_voc",
]
