"""Detections in any of their usual forms, as ``pycocotools`` takes them, and checked.

``COCO.loadRes`` writes into the dictionaries that it is given, cannot take an empty list, and
looks at the first detection only to see what all of them are.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import numpy as np

from mlt.data.formats.coco_records import LoadedCoco
from mlt.errors import ConfigError, DataError, MissingFileError
from mlt.files import NOT_JSON

__all__ = ["CocoResults", "read_results"]

CocoResults: TypeAlias = (
    str | Path | Sequence[Mapping[str, Any]] | Mapping[int, Mapping[str, Any]] | LoadedCoco
)
"""A results file of COCO, its parsed list, what ``COCO.loadRes`` returned, or by image id what
torchvision's detectors return: ``boxes`` (n, 4) as x1, y1, x2, y2 in pixels, ``scores`` and
``labels`` (n,), arrays or tensors on any device."""

_BY_IMAGE_ID = (
    " Predictions of torchvision's detectors go by image id: {image_id: model([image])[0], ...}."
)


def read_results(
    results: CocoResults,
    iou_type: str,
    image_ids: Collection[int],
    category_ids: Collection[int],
) -> list[dict[str, Any]]:
    """Return detections with all fields that ``COCOeval`` looks at; nothing given is changed.

    Args:
        results: In any form of :data:`CocoResults`.
        iou_type: `bbox` or `segm`.
        image_ids: Those of the test set.
        category_ids: Those of the test set.

    Raises:
        MissingFileError: If the file does not exist.
        ConfigError: If the results are in no such form.
        DataError: If a detection lacks a field, is of an image that is not in the test set, or has
            a score or box that is not finite.

    Warns:
        UserWarning: If detections are left out since the test set does not list their category.

    Example:
        >>> prediction = {"boxes": np.array([[1, 1, 5, 3]]), "scores": [0.5], "labels": [7]}
        >>> (found,) = read_results({3: prediction}, "bbox", {3}, {7})
        >>> found["bbox"], found["area"]
        ([1.0, 1.0, 4.0, 2.0], 8.0)
    """
    images, categories = set(image_ids), set(category_ids)
    found = []
    unlisted: list[int] = []
    for place, given in enumerate(_detections(results, iou_type)):
        where = f"Detection {place}"
        absent = [k for k in ("image_id", "category_id", "score") if k not in given]
        if absent:
            raise DataError(
                f"{where} has no {' and no '.join(absent)}; it has {', '.join(given)}."
                + (_BY_IMAGE_ID if "boxes" in given else "")
            )
        try:
            if given["image_id"] not in images:
                raise DataError(
                    f"{where} is of image {given['image_id']}, not one of the test set."
                )
            if given["category_id"] not in categories:  # such as an unused id that a head has
                unlisted.append(given["category_id"])
                continue
            if not math.isfinite(given["score"]):
                raise DataError(f"{where} has the score {given['score']}.")
            shape = _box(given, where) if iou_type == "bbox" else _mask(given, where)
        except (TypeError, OverflowError) as error:
            raise DataError(f"{where} has a value of the wrong kind: {error}.") from None
        kept = {key: given[key] for key in ("image_id", "category_id", "score")}
        found.append({**kept, **shape, "id": place + 1, "iscrowd": 0})
    if unlisted:
        warnings.warn(
            f"{len(unlisted)} of {len(unlisted) + len(found)} detections are left out: they have a "
            f"category that the annotations do not list, for example {unlisted[0]}. Labels must be "
            "the category ids of the annotation file.",
            stacklevel=3,
        )
    return found


def _detections(results: Any, iou_type: str) -> Iterator[Mapping[str, Any]]:
    if isinstance(results, (str, Path)):
        results = _from_file(Path(results))
    elif hasattr(results, "dataset"):
        results = results.dataset.get("annotations", [])
    if isinstance(results, Mapping):
        if iou_type != "bbox":
            raise ConfigError(
                "Predictions by image id are boxes. For masks give a list in COCO's results "
                "format, with a run-length encoded segmentation each (pycocotools.mask.encode)."
            )
        for image_id, prediction in results.items():
            yield from _of_image(image_id, prediction)
    elif isinstance(results, Sequence) and all(isinstance(each, Mapping) for each in results):
        yield from results
    else:
        raise ConfigError(
            "Give detections as a results file, a list of dictionaries with image_id, category_id, "
            "bbox and score, or predictions by image id with boxes, scores and labels, not "
            f"{type(results).__name__}."
        )


def _from_file(path: Path) -> Any:
    if not path.is_file():
        raise MissingFileError(f"there is no results file {path}")
    try:
        content = msgspec.json.decode(path.read_bytes())
    except NOT_JSON as error:
        raise DataError(f"{path} is not JSON: {error}") from None
    if not isinstance(content, list):
        raise DataError(f"{path} is not a COCO results file, which is a list of detections.")
    return content


def _of_image(image_id: Any, prediction: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    try:
        boxes, scores, labels = (_array(prediction[k]) for k in ("boxes", "scores", "labels"))
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"The prediction of image {image_id!r} must have boxes, scores and labels: {error!r}"
        ) from None
    if boxes.size and (boxes.ndim != 2 or boxes.shape[1] != 4):
        raise DataError(
            f"Image {image_id}: boxes must be (n, 4), x1, y1, x2 and y2 of each, not {boxes.shape}."
        )
    if scores.ndim != 1 or labels.ndim != 1:
        raise DataError(
            f"Image {image_id}: scores and labels must be (n,), not {scores.shape} and "
            f"{labels.shape}."
        )
    if (wrong := labels[~np.isfinite(labels) | (labels != np.floor(labels))]).size:
        raise DataError(f"Image {image_id}: labels must be category ids, not {wrong[0]}.")
    boxes = boxes.reshape(-1, 4)
    if not len(boxes) == len(scores) == len(labels):
        raise DataError(
            f"Image {image_id}: {len(boxes)} boxes, {len(scores)} scores, {len(labels)} labels."
        )
    sizes = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    for box, score, label in zip(sizes.tolist(), scores.tolist(), labels.tolist()):
        yield {"image_id": image_id, "category_id": int(label), "bbox": box, "score": score}


def _array(values: Any) -> np.ndarray:
    if hasattr(values, "detach"):
        values = values.detach().cpu().double()
    return np.asarray(values, dtype=np.float64)


def _box(given: Mapping[str, Any], where: str) -> dict[str, Any]:
    try:
        box = [float(value) for value in given.get("bbox") or ()]
    except (TypeError, ValueError):
        box = []
    if len(box) != 4 or not all(map(math.isfinite, box)):
        got = given.get("bbox")
        raise DataError(f"{where} must have a bbox of x, y, width and height, not {got}.")
    return {"bbox": box, "area": box[2] * box[3]}


def _mask(given: Mapping[str, Any], where: str) -> dict[str, Any]:
    from pycocotools import mask

    encoded = given.get("segmentation")
    if not isinstance(encoded, Mapping) or not isinstance(encoded.get("counts"), (str, bytes)):
        raise DataError(
            f"{where} must have a run-length encoded segmentation (pycocotools.mask.encode)."
        )
    return {"segmentation": encoded, "area": float(mask.area(encoded))}
