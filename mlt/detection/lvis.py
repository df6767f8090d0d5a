"""Counts that LVIS writes into its categories, and its sampler for any detection data set."""

from __future__ import annotations

from collections.abc import Sequence

from mlt.class_counts import ClassCounts
from mlt.data.formats.coco_records import CocoAnnotations, read_coco_records
from mlt.data.samplers.repeat_factor import RepeatFactorSampler
from mlt.data.sparse import csr_from_pairs
from mlt.detection.image_categories import image_categories
from mlt.errors import DataError

__all__ = ["class_counts_from_lvis", "repeat_factor_sampler_from_coco"]


def class_counts_from_lvis(annotations: CocoAnnotations) -> ClassCounts:
    """Return the training boxes of each LVIS category, for labels 0 to C - 1 in order of the ids.

    LVIS writes the counts of its training set into the categories of each of its files, so the
    small validation file will do.

    Args:
        annotations: An LVIS file, its parsed content, or a loaded ``lvis.LVIS``.

    Raises:
        MissingFileError: If the file does not exist.
        DataError: If the categories have no counts.

    Example:
        >>> class_counts_from_lvis({"images": [], "annotations": [], "categories": [
        ...     {"id": 2, "instance_count": 5}, {"id": 1, "instance_count": 900}]})
        ClassCounts([900, 5], total=905, unit='boxes')
    """
    categories = sorted(read_coco_records(annotations).categories, key=lambda category: category.id)
    counts = [c.instance_count for c in categories if c.instance_count is not None]
    if not counts or len(counts) < len(categories):
        raise DataError(
            "The categories have no instance_count, so this is not LVIS. For COCO's format use "
            "mlt.detection.class_counts_from_coco."
        )
    return ClassCounts.from_counts(counts, unit="boxes")


def repeat_factor_sampler_from_coco(
    annotations: CocoAnnotations,
    image_ids: Sequence[int] | None = None,
    threshold: float = 1e-3,
    seed: int = 0,
    num_replicas: int = 1,
    rank: int = 0,
) -> RepeatFactorSampler:
    """Return LVIS's sampler for a detection data set: images with rare categories more often.

    Args:
        annotations: A COCO or LVIS file, its parsed content, or the loaded object.
        image_ids: The image of each item of the data set; the file's ids in ascending order if not
            given, as torchvision's `CocoDetection` has them.
        threshold: Categories on a smaller share of these images are repeated.
        seed: Fixes rounding and order, together with ``set_epoch``.
        num_replicas: Processes that share an epoch.
        rank: Which of them this is.

    Returns:
        A sampler for ``DataLoader(dataset, sampler=...)``.

    Raises:
        MissingFileError: If the file does not exist.
        DataError: If it is neither COCO nor LVIS, an image is not in it, or an annotation has a
            category that is not listed.

    Example:
        >>> sampler = repeat_factor_sampler_from_coco({
        ...     "images": [{"id": 5}, {"id": 3}],
        ...     "categories": [{"id": 1}, {"id": 2}],
        ...     "annotations": [{"image_id": 3, "category_id": 1},
        ...                     {"image_id": 5, "category_id": 1},
        ...                     {"image_id": 5, "category_id": 2}],
        ... }, threshold=1.0)
        >>> [round(float(f), 2) for f in sampler.image_draws()]  # of images 3 and 5: 1, sqrt(2)
        [1.24, 1.76]
    """
    records = read_coco_records(annotations)
    known = {image.id for image in records.images}
    ids = sorted(known) if image_ids is None else list(image_ids)
    if absent := [image for image in ids if image not in known]:
        raise DataError(
            f"{len(absent)} images are not in the annotations, for example {absent[0]}."
        )
    pairs = image_categories(records, ids)
    labels = csr_from_pairs(pairs[:, 0], pairs[:, 1], (len(ids), len(records.categories)))
    return RepeatFactorSampler(labels, threshold, seed, num_replicas, rank)
