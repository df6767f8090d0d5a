"""Which classes the categories of a COCO file are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlt.data.formats.coco_records import CocoCategory, CocoRecords
from mlt.errors import DataError

__all__ = ["CocoClasses", "classes_of"]


@dataclass(frozen=True)
class CocoClasses:
    """The classes of a file.

    Attributes:
        ids: The ids of the categories in ascending order.
        columns: The class of each of them, int64; -1 for one that is none.
        names: C names.
        notes: What was left out or joined, in sentences.
    """

    ids: list[int]
    columns: np.ndarray
    names: tuple[str, ...]
    notes: tuple[str, ...]


def classes_of(records: CocoRecords) -> CocoClasses:
    """Take each name for a class, in the ascending order of the ids.

    Categories of the same name are one class. Roboflow's first category, which is the supercategory
    of all others and has no annotation, is none.

    Raises:
        DataError: If there is no category, one has no name, or an id occurs twice.

    Example:
        >>> from mlt.data.formats.coco_records import read_coco_records
        >>> names = {9: "dog", 3: "cat", 12: "dog"}
        >>> classes = classes_of(read_coco_records({
        ...     "images": [], "annotations": [],
        ...     "categories": [{"id": i, "name": name} for i, name in names.items()],
        ... }))
        >>> classes.names, classes.ids, classes.columns.tolist()
        (('cat', 'dog'), [3, 9, 12], [0, 1, 1])
    """
    _check(records)
    categories = sorted(records.categories, key=lambda category: _order(category.id))
    notes = []
    root = _root(categories, records)
    if root is not None:
        notes.append(
            f"category {root.id} {root.name!r} is left out: it is the supercategory of all others "
            "and has no annotation"
        )
    column_of: dict[str, int] = {}
    columns = [
        -1 if category is root else column_of.setdefault(str(category.name), len(column_of))
        for category in categories
    ]
    ids_of: dict[str, list[int]] = {}
    for category in categories:
        ids_of.setdefault(str(category.name), []).append(category.id)
    for name, ids in ids_of.items():
        if len(ids) > 1:
            same = ", ".join(map(str, ids))
            notes.append(f"the categories {same} are one class: they have the same name, {name!r}")
    ids = [category.id for category in categories]
    return CocoClasses(ids, np.array(columns, np.int64), tuple(column_of), tuple(notes))


def _check(records: CocoRecords) -> None:
    source, names = records.source, [category.name for category in records.categories]
    if not names:
        raise DataError(
            f"{source} has no categories, so there is nothing to learn: its labels need a list "
            'categories with entries such as {"id": 1, "name": "cat"}; export it with its classes'
        )
    if None in names:
        raise DataError(
            f"{source} is not a COCO instances file: Object missing required field `name` - at "
            f"`$.categories[{names.index(None)}]`"
        )
    ids = [category.id for category in records.categories]
    if len(set(ids)) < len(ids):
        twice = sorted({i for i in ids if ids.count(i) > 1}, key=_order)
        raise DataError(
            f"{source} has {len(twice)} category ids more than once, for example {twice[0]}; "
            "were two files joined?"
        )


def _order(category_id: int | str) -> tuple[int, int | str]:
    """Numbers by their value, before other texts, also where they are written as texts."""
    text = str(category_id)
    return (0, int(text)) if re.fullmatch(r"-?\d{1,100}", text) else (1, text)


def _root(categories: Sequence[CocoCategory], records: CocoRecords) -> CocoCategory | None:
    """The category that Roboflow puts before the classes; None where there is none."""
    first, *others = categories
    is_root = first.supercategory == "none" and others
    if not is_root or any(c.supercategory != first.name or c.name == first.name for c in others):
        return None
    return None if any(a.category_id == first.id for a in records.annotations) else first
