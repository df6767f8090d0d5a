"""Build a split: the published ones by their recipe, a long tail out of any data, or all images."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mlt.data.digests import source_digest
from mlt.data.labels import LabelTable
from mlt.data.names import name_difference
from mlt.data.one_label import true_classes
from mlt.data.published import PUBLISHED, mismatches_with
from mlt.data.splits.imbalanced import Profile, class_sizes, select_class_sizes
from mlt.data.splits.longtail import class_order, pareto_profile, select_pareto, select_published
from mlt.data.splits.split import Split
from mlt.errors import ConfigError, DataError, MissingFileError

__all__ = [
    "build_imbalanced_split",
    "build_pareto_split",
    "build_published_split",
    "full_split",
    "read_image_ids",
]

log = logging.getLogger(__name__)


def build_published_split(
    name: str,
    table: LabelTable,
    image_ids: Sequence[int] | Sequence[str] | None = None,
    sources: Iterable[str | Path] = (),
) -> Split:
    """Build COCO-MLT or VOC-MLT and say whether it is the published one.

    Args:
        name: ``"coco_mlt"`` or ``"voc_mlt"``.
        table: All of VOC2012 trainval, or all of COCO train2017 read with ``min_image_size=32``.
        image_ids: The published ids, from :func:`read_image_ids`; None draws them by the recipe.
            Digits are taken as integers if the ids of ``table`` are integers.
        sources: Annotation files or folders to note in the split, with their SHA-256.

    Returns:
        A split with ``matches_published`` True or False and the ``mismatches``.

    Raises:
        ConfigError: If there is no published split of that name.
        DataError: If an id is not in the table, or no image has a label.

    Example:
        >>> table = LabelTable.from_lists(["a"], ["a.jpg"], ["cat"], [[0]])
        >>> build_published_split("voc_mlt", table).mismatches[0]
        '1 images, but the published split has 1,142'
    """
    if name not in PUBLISHED:
        raise ConfigError(
            f"there is no published split {name!r}; there are {', '.join(sorted(PUBLISHED))}"
        )
    published = PUBLISHED[name]
    recipe: dict[str, Any] = {"name": name}
    if image_ids is not None:
        recipe |= {"selection": "given ids"}
        rows = table.find(_like_ids_of(table, image_ids))
    else:
        # The original numbered the images that have an annotation, and the draw depends on it.
        labelled = np.flatnonzero(np.diff(table.labels.indptr))
        profile = pareto_profile(table.num_classes, published.b, published.max, published.min)
        order = class_order(table)
        rows = labelled[select_published(table.labels[labelled], order, profile, seed=0)]
        recipe |= _parameters("published", published.b, published.max, published.min, seed=0)
    difference = name_difference(
        published.class_names, table.class_names, published.name, "the annotations"
    )
    if difference:
        log.warning("the classes are not named as in %s: %s", published.annotations, difference)
    part = table.take(rows)
    mismatches = mismatches_with(published, part)
    return _split(name, part, recipe, sources, not mismatches, mismatches)


def build_pareto_split(
    table: LabelTable,
    name: str = "pareto",
    *,
    b: float = 6.0,
    max: int = 1200,
    min: int = 1,
    seed: int = 0,
    sources: Iterable[str | Path] = (),
) -> Split:
    """Cut a long-tailed split out of any table; every class that has an image keeps one.

    Args:
        table: All images there are to choose from.
        name: What to call the split.
        b: Shape of the Pareto profile, see :func:`mlt.data.splits.longtail.pareto_profile`.
        max: Target of the most frequent class, in images.
        min: What the targets fall towards, in images.
        seed: Of the draw. NumPy may draw otherwise in another version; a saved split stays.
        sources: Annotation files or folders to note in the split, with their SHA-256.

    Raises:
        ConfigError: If a parameter is out of range.
        DataError: If no image has a label.

    Example:
        >>> table = LabelTable.from_lists(range(9), map(str, range(9)), ["cat"], [[0]] * 9)
        >>> build_pareto_split(table, max=4).num_images
        4
    """
    profile = pareto_profile(table.num_classes, b, max, min)
    order = class_order(table)
    part = table.take(select_pareto(table.labels, order, profile, seed))
    recipe = {"name": "pareto", **_parameters("generator", b, max, min, seed)}
    return _split(name, part, recipe, sources, None, [])


def build_imbalanced_split(
    table: LabelTable,
    name: str = "imbalanced",
    *,
    imbalance: float = 10.0,
    profile: Profile = "exponential",
    seed: int | None = 0,
    published: Sequence[int] | None = None,
    published_order: bool = True,
    sources: Iterable[str | Path] = (),
) -> Split:
    """Cut a long-tailed split out of images with one label each, first class to last.

    Args:
        table: All images there are to choose from, with exactly one label each.
        name: What to call the split.
        imbalance: How many times as many images the first class has as the last; see
            :func:`mlt.data.splits.imbalanced.class_sizes`. The first class has as many as the
            largest class of the table.
        profile: How the numbers of images fall in between.
        seed: Of the draw, see :func:`mlt.data.splits.imbalanced.select_class_sizes`.
        published: Images per class of the table that the published split of that name is cut from
            with seed 0; None where there is none.
        published_order: Whether the images are in the order of that table, too.
        sources: Annotation files or folders to note in the split, with their SHA-256.

    Raises:
        ConfigError: If the imbalance is under 1, or leaves a class without an image.
        DataError: If an image has another number of labels than one.

    Example:
        >>> labels = [[0], [1], [0], [1], [0], [1], [0], [1]]
        >>> table = LabelTable.from_lists(range(8), map(str, range(8)), ["cat", "dog"], labels)
        >>> build_imbalanced_split(table, imbalance=4, seed=None).image_ids
        (0, 1, 2, 4, 6)
    """
    counts = table.class_counts().counts
    sizes = class_sizes(int(counts.max(initial=0)), table.num_classes, imbalance, profile)
    part = table.take(select_class_sizes(true_classes(table), sizes, seed))
    mismatches = []
    if published is not None:
        if counts.tolist() != list(published):
            mismatches.append(
                f"it is cut out of {len(table):,} images, but the published split out of "
                f"{sum(published):,}, {published[0]:,} of each class"
            )
        if not published_order:
            mismatches.append("the draw depends on the order of the images in the official archive")
        if seed != 0:
            mismatches.append(f"the seed of the draw is {seed}, that of the published code is 0")
    selection = "first" if seed is None else "drawn"
    recipe: dict[str, Any] = {"name": name, "selection": selection, "imbalance": imbalance}
    recipe |= {"profile": profile, "seed": seed}
    matches = None if published is None else not mismatches
    return _split(name, part, recipe, sources, matches, mismatches)


def full_split(table: LabelTable, name: str = "full", sources: Iterable[str | Path] = ()) -> Split:
    """The split of all images of a table, labelled or not, in its order.

    Raises:
        DataError: If the table has no image.

    Example:
        >>> table = LabelTable.from_lists([4, 2], ["4.jpg", "2.jpg"], ["cat"], [[0], []])
        >>> full_split(table).image_ids
        (4, 2)
    """
    return _split(name, table, {"name": "full", "selection": "all"}, sources, None, [])


def read_image_ids(file: str | Path) -> list[str]:
    """Read a text file of image ids, one per line; blank lines are skipped.

    Raises:
        MissingFileError: If the file does not exist.
        DataError: If it is empty or not text.
    """
    file = Path(file)
    if not file.is_file():
        raise MissingFileError(f"there is no file of image ids {file}")
    try:
        ids = [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines()]
    except UnicodeDecodeError:
        raise DataError(f"{file} is not text; expected one image id per line") from None
    ids = [image_id for image_id in ids if image_id]
    if not ids:
        raise DataError(f"{file} has no image id; expected one per line")
    return ids


def _parameters(selection: str, b: float, max: int, min: int, seed: int) -> dict[str, Any]:
    return {"selection": selection, "b": b, "max": max, "min": min, "seed": seed}


def _split(
    name: str,
    part: LabelTable,
    recipe: Mapping[str, Any],
    sources: Iterable[str | Path],
    matches: bool | None,
    mismatches: Sequence[str],
) -> Split:
    counts = part.class_counts().counts
    return Split(
        name=name,
        image_ids=part.image_ids,  # type: ignore[arg-type]
        class_names=part.class_names,
        class_counts=tuple(counts.tolist()),
        recipe=recipe,
        sources=tuple({"file": Path(s).name, "sha256": source_digest(s)} for s in sources),
        matches_published=matches,
        mismatches=tuple(mismatches),
    )


def _like_ids_of(table: LabelTable, image_ids: Sequence[int] | Sequence[str]) -> list[Any]:
    """Ids from a text file are strings; COCO's are integers."""
    if table.has_string_ids:
        return [str(i) for i in image_ids]
    # int() would read "2008_000002" as a number.
    wrong = next((i for i in image_ids if not str(i).lstrip("-").isdecimal()), None)
    if wrong is not None:
        raise DataError(
            f"the image ids of this data set are integers, but {wrong!r} is not one; a file has "
            "one per line, alone"
        )
    return [int(i) for i in image_ids]
