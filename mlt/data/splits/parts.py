"""Cut the parts of a run out of one table, and say what came out of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_array

from mlt.data.columns import StringColumn
from mlt.data.digests import source_digest
from mlt.data.labels import LabelTable
from mlt.data.sparse import column_counts
from mlt.data.splits.balance import largest_deviation
from mlt.data.splits.partition import FOLD, Partition, saved_parts
from mlt.data.splits.stratification import stratify
from mlt.errors import ConfigError

__all__ = [
    "cut_partition",
    "cut_rows",
    "fold_fractions",
    "group_codes",
    "part_notes",
    "part_rows",
    "tables_of_parts",
]

_SHOWN = 10


def part_rows(
    table: LabelTable,
    split: str | None,
    fold: int | None,
    fractions: Mapping[str, float],
    order: int = 1,
    seed: int = 0,
) -> tuple[dict[str, np.ndarray], str] | None:
    """The rows of each part that is cut out of the training images, and how it was.

    Args:
        table: The images.
        split: A file; its parts are taken where `mlt split` wrote it.
        fold: The fold of the split to test on.
        fractions: Part to its share of all images; cut out of what the split has for training.
        order: See :func:`cut_rows`.
        seed: See :func:`cut_rows`.

    Returns:
        Part to rows, with ``train``, and a sentence; None where nothing is cut.

    Raises:
        ConfigError: If there is no such fold, or a part would have no image.
        DataError: If the split does not fit the table.
    """
    rows, how = {"train": np.arange(len(table))}, []
    if split is not None and saved_parts(split):
        rows = Partition.load(split).rows(table, fold)
        how.append(f"split by {split}" + ("" if fold is None else f", fold {fold} for testing"))
    elif fold is not None:
        raise ConfigError("data.fold: there is no split with folds; `mlt split --folds` makes one")
    if fractions:
        rows |= cut_rows(table, fractions, within=rows["train"], order=order, seed=seed)
        shares = ", ".join(f"{part} {share:g}" for part, share in fractions.items())
        by = "pairs of classes" if order == 2 else "classes"
        how.append(f"{shares} cut out of the training images by {by}, seed {seed}")
    return (rows, "; ".join(how)) if how else None


def cut_rows(
    table: LabelTable,
    fractions: Mapping[str, float],
    *,
    rest: str = "train",
    within: np.ndarray | None = None,
    order: int = 1,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Cut parts out of a table by iterative stratification; groups of the table stay together.

    The same images are in the same parts whatever the order of the rows. Where labels are unknown
    for some images, what is known to be absent is balanced as well.

    Args:
        table: The images.
        fractions: Part to its share of all images of the table.
        rest: What the part of all other images is called; it comes first.
        within: The rows to cut from; None: all.
        order: See :func:`mlt.data.splits.stratification.stratify`.
        seed: Another seed is another cut.

    Returns:
        Part to its rows, ascending.

    Raises:
        ConfigError: If the fractions leave nothing, or a part would have no image.

    Example:
        >>> lists = [[0]] * 6 + [[]] * 4
        >>> table = LabelTable.from_lists(range(10), map(str, range(10)), ["cat"], lists)
        >>> rows = cut_rows(table, {"test": 0.2})
        >>> {part: len(of_part) for part, of_part in rows.items()}
        {'train': 8, 'test': 2}
    """
    rows = np.arange(len(table)) if within is None else within
    ids = table.image_ids[rows]
    arrow = ids.array if isinstance(ids, StringColumn) else pa.array(ids)
    rows = rows[pc.sort_indices(arrow).to_numpy()]
    names = [rest, *fractions]
    shares = np.array(list(fractions.values())) * len(table) / max(len(rows), 1)
    if (remaining := 1 - float(shares.sum())) < 1e-9:
        raise ConfigError(
            f"data: {' and '.join(fractions)} take all {len(rows)} images and leave none for {rest}"
        )
    groups = None if table.groups is None else group_codes(table.groups[rows])
    part = stratify(
        table.labels[rows],
        [remaining, *shares.tolist()],
        groups=groups,
        also=None if table.known is None else _verified(table.labels[rows], table.known[rows]),
        order=order,
        seed=seed,
    )
    cut = {name: np.sort(rows[part == number]) for number, name in enumerate(names)}
    if empty := [name for name, of_part in cut.items() if not len(of_part)]:
        raise ConfigError(_too_few(empty, fractions, len(rows), groups))
    return cut


def _too_few(
    empty: Sequence[str], fractions: Mapping[str, float], images: int, groups: np.ndarray | None
) -> str:
    """Why some parts have no image, in the words of who asked for them."""
    folds = sum(part.startswith(FOLD) for part in fractions)
    if folds:
        cut = f"cutting {images} images into {folds + 1} folds leaves {len(empty)} of them"
    else:
        asked = " and ".join(f"{part} {share:g}" for part, share in fractions.items())
        cut = f"cutting {asked} out of {images} images leaves {' and '.join(empty)}"
    if groups is None:
        return f"{cut} without an image"
    sizes = np.bincount(groups)
    held = f"they are in {len(sizes)} groups, the largest of {sizes.max()} images"
    return f"{cut} without an image: " + ("one group has them all" if len(sizes) == 1 else held)


def _verified(labels: csr_array, known: csr_array) -> csr_array:
    """Which labels are known to be absent, or which are unknown: whichever are fewer.

    With the labels balanced, either being balanced balances the other.
    """
    absent = csr_array(known > labels)
    if 2 * absent.nnz <= labels.shape[0] * labels.shape[1] - labels.nnz:
        return absent
    return csr_array(~known.toarray())


def fold_fractions(count: int) -> dict[str, float]:
    """The share of each of some folds, by the names that a partition has for them.

    Example:
        >>> fold_fractions(2)
        {'fold_0': 0.5, 'fold_1': 0.5}
    """
    return {f"{FOLD}{fold}": 1 / count for fold in range(count)}


def cut_partition(
    name: str,
    table: LabelTable,
    fractions: Mapping[str, float],
    *,
    order: int = 1,
    seed: int = 0,
    files: Iterable[Path] = (),
    **recipe: Any,
) -> Partition:
    """Cut all images of a table into parts or folds, to be saved.

    Args:
        name: What to call the partition.
        table: The images.
        fractions: Part to its share; they add up to 1.
        order: See :func:`cut_rows`.
        seed: See :func:`cut_rows`.
        files: Annotations that the table was read from, noted with their SHA-256.
        **recipe: What else to note.
    """
    rest, *others = fractions
    cut = {part: fractions[part] for part in others}
    rows = cut_rows(table, cut, rest=rest, order=order, seed=seed)
    how = {"name": "iterative stratification", "fractions": dict(fractions)}
    sources = tuple({"file": file.name, "sha256": source_digest(file)} for file in files)
    recipe = {**how, "order": order, "seed": seed, **recipe}
    return Partition.of_rows(name, table, rows, recipe, sources)


def group_codes(groups: StringColumn) -> np.ndarray:
    """A number for each group: (N,) int64. An image without a group is one of its own.

    Example:
        >>> group_codes(StringColumn.from_iterable(["p1", "", "p1", ""])).tolist()
        [0, 2, 0, 3]
    """
    codes = pc.dictionary_encode(groups.array).indices.to_numpy(zero_copy_only=False)
    codes = codes.astype(np.int64)
    blank = pc.equal(groups.array, "").to_numpy(zero_copy_only=False)
    return np.where(blank, codes.max(initial=-1) + np.cumsum(blank), codes)


def tables_of_parts(
    table: LabelTable, rows: Mapping[str, np.ndarray], how: str
) -> dict[str, LabelTable]:
    """The table of each part; the notes on the cut, and on the table, are those of ``train``.

    Args:
        table: All images.
        rows: Part to its rows.
        how: How they were cut, for the notes.
    """
    unused = len(table) - sum(map(len, rows.values()))
    notes = [how, *part_notes(table, rows)]
    if unused:
        notes.append(f"{unused} of {len(table)} images are in no part")
    parts = {name: replace(table.take(of_part), notes=()) for name, of_part in rows.items()}
    parts["train"] = replace(parts["train"], notes=(*table.notes, *notes))
    return parts


def part_notes(
    table: LabelTable,
    rows: Mapping[str, np.ndarray],
    fractions: Mapping[str, float] | None = None,
) -> list[str]:
    """What a user should know of the parts: sizes, classes that one lacks, groups.

    Args:
        table: All images.
        rows: Part to its rows.
        fractions: The share of each part that was asked for; None takes the shares of images that
            there are.
    """
    counts = {name: column_counts(table.labels[of_part]) for name, of_part in rows.items()}
    sizes = (
        f"{name} {len(of_part)} images with {counts[name].sum()} labels"
        for name, of_part in rows.items()
    )
    notes = [", ".join(sizes)]
    total = np.sum(list(counts.values()), axis=0)
    for name in rows:
        if len(missing := np.flatnonzero((counts[name] == 0) & (total > 0))):
            listed = _listed([f"{table.class_names[c]!r} (of {total[c]})" for c in missing])
            notes.append(f"classes without an image in {name}: {listed}")
    if len(single := np.flatnonzero(total == 1)):
        where = {c: next(name for name in rows if counts[name][c]) for c in single.tolist()}
        listed = _listed([f"{table.class_names[c]!r} in {part}" for c, part in where.items()])
        notes.append(f"classes with one image: {listed}")
    if table.groups is not None:
        notes += _group_notes(table, rows, fractions)
    return notes


def _group_notes(
    table: LabelTable, rows: Mapping[str, np.ndarray], fractions: Mapping[str, float] | None
) -> list[str]:
    assert table.groups is not None
    codes = group_codes(table.groups)
    owners = np.stack([np.bincount(codes[r], minlength=codes.max() + 1) > 0 for r in rows.values()])
    count = int(owners.any(axis=0).sum())
    if torn := int((owners.sum(axis=0) > 1).sum()):
        return [f"warning: {torn} of {count} groups are in more than one part"]
    total = sum(map(len, rows.values()))
    shares = fractions or {part: len(of_part) / total for part, of_part in rows.items()}
    worst = largest_deviation(table, rows, shares)
    if worst is None:
        return [f"{count} groups, each in one part; every class is within one image of its share"]
    what = "images" if worst.name is None else f"images of {worst.name!r}"
    return [
        f"{count} groups, each in one part; furthest from its share: {worst.images} {what} in "
        f"{worst.part}, where {worst.wanted:.1f} would be"
    ]


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
