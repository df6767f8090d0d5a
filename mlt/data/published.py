"""The published long-tailed benchmarks, COCO-MLT and VOC-MLT: recipe, figures, class names.

Source of the figures: the id files that come with T. Wu, Q. Huang, Z. Liu, Y. Wang, D. Lin,
"Distribution-Balanced Loss for Multi-Label Classification in Long-Tailed Datasets", ECCV 2020,
arXiv:2007.09654. A split that is built here is compared with them.
"""

from __future__ import annotations

from dataclasses import dataclass

from mlt.data.digests import ids_digest
from mlt.data.labels import LabelTable

__all__ = [
    "COCO_CLASSES",
    "COCO_MLT",
    "PUBLISHED",
    "VOC_CLASSES",
    "VOC_MLT",
    "PublishedSplit",
    "mismatches_with",
]

# fmt: off
VOC_CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
)
"""PASCAL VOC's twenty classes, in the alphabetical order of their columns."""

COCO_CLASSES = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat",
    "traffic light", "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog",
    "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella",
    "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard", "sports ball", "kite",
    "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
    "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange",
    "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant",
    "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard", "cell phone",
    "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors",
    "teddy bear", "hair drier", "toothbrush",
)
"""COCO's eighty classes, by ascending category id."""

_VOC_MLT_COUNTS = (
    6, 34, 8, 14, 154, 17, 249, 29, 479, 4, 240, 48, 11, 20, 775, 100, 5, 82, 7, 64,
)

_COCO_MLT_COUNTS = (
    1128, 37, 276, 32, 9, 41, 18, 87, 20, 50, 11, 13, 8, 97, 19, 49, 70, 17, 7, 10, 8, 6, 7, 7,
    100, 39, 189, 31, 24, 11, 12, 8, 35, 10, 25, 21, 17, 10, 20, 460, 84, 498, 126, 207, 173, 366,
    39, 35, 44, 36, 29, 25, 14, 45, 16, 73, 585, 153, 164, 44, 624, 25, 200, 137, 70, 89, 73, 127,
    91, 175, 9, 237, 119, 292, 87, 113, 15, 21, 6, 11,
)
# fmt: on


@dataclass(frozen=True)
class PublishedSplit:
    """What is known of a published training split.

    Attributes:
        name: The name it has here and in configurations.
        annotations: The annotations it was cut from.
        class_names: C names in the order of the columns.
        b: Shape of the Pareto profile.
        max: Largest target of the profile, in images.
        min: Smallest target of the profile, in images.
        num_images: Images of the training split.
        class_counts: Training images of each class.
        sha256_sorted_ids: ``ids_digest`` of the image ids.
        group_sizes: Classes in head, medium and tail at 100 and 20 images.
    """

    name: str
    annotations: str
    class_names: tuple[str, ...]
    b: float
    max: int
    min: int
    num_images: int
    class_counts: tuple[int, ...]
    sha256_sorted_ids: str
    group_sizes: tuple[int, int, int]


VOC_MLT = PublishedSplit(
    name="voc_mlt",
    annotations="VOC2012 trainval",
    class_names=VOC_CLASSES,
    b=6,
    max=800,
    min=1,
    num_images=1142,
    class_counts=_VOC_MLT_COUNTS,
    sha256_sorted_ids="6fa70d5b693700d97657acd03b18b4d198aa59795dc99828db2c21a2abf2133f",
    group_sizes=(6, 6, 8),
)

COCO_MLT = PublishedSplit(
    name="coco_mlt",
    annotations="COCO instances_train2017.json",
    class_names=COCO_CLASSES,
    b=6,
    max=1200,
    min=1,
    num_images=1909,
    class_counts=_COCO_MLT_COUNTS,
    sha256_sorted_ids="b2fec8ea5085da2dc305e2f1224eed7365151058a34d26f2ca340f582ff55f4c",
    group_sizes=(22, 33, 25),
)

PUBLISHED = {split.name: split for split in (COCO_MLT, VOC_MLT)}
"""The published splits by name."""


def mismatches_with(published: PublishedSplit, part: LabelTable) -> list[str]:
    """In what a training set differs from a published one, in sentences; none if it is the same.

    Compared are the number of images, of images per class, and the digest of the ids.

    Example:
        >>> part = LabelTable.from_lists([1], ["1.jpg"], ["cat"], [[0]])
        >>> mismatches_with(VOC_MLT, part)[1]
        '1 classes, but the published split has 20'
    """
    sentences = []
    if len(part) != published.num_images:
        sentences.append(
            f"{len(part):,} images, but the published split has {published.num_images:,}"
        )
    counts = part.class_counts().counts.tolist()
    if len(counts) != len(published.class_counts):
        sentences.append(
            f"{len(counts)} classes, but the published split has {len(published.class_counts)}"
        )
    else:
        differing = [
            f"{name} {ours} instead of {theirs}"
            for name, ours, theirs in zip(part.class_names, counts, published.class_counts)
            if ours != theirs
        ]
        if differing:
            shown = ", ".join(differing[:5]) + (", ..." if len(differing) > 5 else "")
            sentences.append(f"other image counts in {len(differing)} classes: {shown}")
    if ids_digest(part.image_ids.tolist()) != published.sha256_sorted_ids:
        sentences.append("the image ids are not the published ones (their SHA-256 differs)")
    return sentences
