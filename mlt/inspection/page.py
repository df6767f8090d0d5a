"""An inspection as one HTML file, laid out like a report of results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from mlt import __version__
from mlt.class_groups import GROUPS
from mlt.data.labels import LabelTable
from mlt.inspection.advice import PART_NAMES, some
from mlt.inspection.class_counts_plot import class_counts_plot
from mlt.inspection.duplicates import Place
from mlt.inspection.evaluation import half_width
from mlt.inspection.inspection import Inspection
from mlt.inspection.tables import class_order, class_table, hidden_table, part_table, picture_table
from mlt.report.images import thumbnail
from mlt.report.render import Section, render_page
from mlt.report.section_pairs import TOGETHER, pair_matrix

__all__ = ["inspection_page"]

TEMPLATES = Path(__file__).with_name("templates")

RAREST = 8
"""Classes that are shown in pictures, at most."""
EACH = 7
"""Pictures of each of them, at most."""
GROUPS_SHOWN = 12
"""Groups of equal pictures that are shown, at most."""
LISTED = 50
"""Files under each heading, at most."""
MATRIX = 40
"""Classes of the matrix of pairs, at most: half of them the most frequent, half the rarest."""


def inspection_page(inspection: Inspection, title: str, *, thumbnails: bool = True) -> str:
    """Lay out everything as one HTML file that loads nothing.

    Args:
        inspection: What was found.
        title: Stands above it.
        thumbnails: Whether to embed pictures of the rarest classes and of equal pictures.
    """
    sections = [_summary(inspection)]
    if "train" in inspection.parts and inspection.groups:
        sections.append(_rarest(inspection, thumbnails))
    if inspection.parts:
        sections.append(_classes(inspection))
    if inspection.groups:
        sections.append(_pairs(inspection))
    if inspection.pictures:
        sections.append(_pictures(inspection, thumbnails))
    sections.append(Section("what_to_do_next", {"advice": inspection.advice}))
    sizes = [f"{part.images:,} {PART_NAMES[name]}" for name, part in inspection.parts.items()]
    return render_page(
        sections,
        templates=TEMPLATES,
        scripts=("tables.js",),
        title=title,
        subtitle=f"{', '.join(sizes) or 'no'} images before training",
        version=__version__,
        date=datetime.now(timezone.utc).strftime("%Y-%m-%d"),
    )


def _summary(inspection: Inspection) -> Section:
    train = inspection.parts.get("train")
    means = inspection.evaluation.means if inspection.evaluation else {}
    groups = list(inspection.groups.values())
    return Section(
        "summary",
        {
            "train": train,
            "groups": [
                {
                    "name": name,
                    "rule": inspection.group_rules[name],
                    "classes": groups.count(name),
                    "expected": half_width(means.get(name)),
                }
                for name in GROUPS
            ],
            "expected": half_width(means.get("total")),
            "errors": inspection.errors,
            "urgent": [advice for advice in inspection.advice if advice.kind != "do"],
            "notes": inspection.notes,
            "table": part_table(inspection),
        },
    )


def _rarest(inspection: Inspection, thumbnails: bool) -> Section:
    table = inspection.tables["train"]
    columns = {name: c for c, name in enumerate(table.class_names)}
    by_class = table.labels.tocsc()
    counts = inspection.parts["train"].class_counts
    shown = [name for name in class_order(inspection) if counts[name]][:RAREST]
    classes = []
    for name in shown:
        start, end = by_class.indptr[columns[name] : columns[name] + 2]
        rows = by_class.indices[start:end].tolist()[:EACH]
        classes.append(
            {
                "name": name,
                "count": counts[name],
                "group": inspection.groups[name],
                "images": [_picture(table, row, name, thumbnails) for row in rows],
            }
        )
    return Section("rarest_classes", {"classes": classes, "each": EACH})


def _picture(table: LabelTable, row: int, name: str, thumbnails: bool) -> dict[str, Any]:
    labels = table.labels
    others = [
        table.class_names[c] for c in labels.indices[labels.indptr[row] : labels.indptr[row + 1]]
    ]
    data = thumbnail(table, row) if thumbnails else None
    return {
        "data": data,
        "file": str(table.image_ids[row]) if table.paths is None else table.paths[row],
        "others": some([other for other in others if other != name], limit=4),
    }


def _classes(inspection: Inspection) -> Section:
    drawn = bool(inspection.groups)
    return Section(
        "classes",
        {
            "plot": class_counts_plot(inspection) if drawn else None,
            "colors": [(group, group) for group in GROUPS],
            "table": class_table(inspection),
            "weights": inspection.rebalancing,
        },
    )


def _pairs(inspection: Inspection) -> Section:
    table = inspection.tables["train"]
    order = class_order(inspection)[::-1]
    shown = order if len(order) <= MATRIX else order[: MATRIX // 2] + order[-(MATRIX // 2) :]
    columns = {name: c for c, name in enumerate(table.class_names)}
    chosen = table.labels[:, [columns[name] for name in shown]].astype(np.int64)
    together = (chosen.T @ chosen).toarray()
    shares = together / np.maximum(np.diag(together), 1)[:, None]
    return Section(
        "pairs",
        {
            "matrix": pair_matrix(shown, shares, range(len(shown)), TOGETHER),
            "label": TOGETHER,
            "all_shown": len(shown) == len(order),
            "table": hidden_table(inspection),
        },
    )


def _pictures(inspection: Inspection, thumbnails: bool) -> Section:
    found = []
    for name, looked in inspection.pictures.items():
        for what, files in (
            ("not there", dict.fromkeys(looked.missing_files, "")),
            ("broken", looked.broken),
            ("below 32 pixels", looked.tiny),
            ("more than four times as long as wide", looked.extreme),
            ("neither RGB nor 8-bit grey", looked.odd_modes),
        ):
            number = looked.missing if what == "not there" else len(files)
            if number:
                shown = list(files.items())[:LISTED]
                found.append((f"{number:,} {PART_NAMES[name]} pictures {what}", shown))
    same = sorted(inspection.same_pictures or (), key=lambda g: -len({p.part for p in g}))
    return Section(
        "pictures",
        {
            "table": picture_table(inspection),
            "rules": [
                f"{PART_NAMES[n]}: {looked.rule}" for n, looked in inspection.pictures.items()
            ],
            "found": found,
            "num_same": len(same),
            "same": _equal_pictures(inspection, same, thumbnails),
            "num_similar": len(inspection.similar_pictures or ()),
            "similar": _equal_pictures(inspection, inspection.similar_pictures or (), thumbnails),
            "shared": inspection.shared_groups,
            "num_suspects": len(inspection.suspects),
            "suspects": _equal_pictures(
                inspection, [suspect.images for suspect in inspection.suspects], thumbnails
            ),
        },
    )


def _equal_pictures(
    inspection: Inspection, groups: Iterable[Sequence[Place]], thumbnails: bool
) -> list[dict[str, Any]]:
    found = []
    for places in list(groups)[:GROUPS_SHOWN]:
        first = places[0]
        table = inspection.tables[first.part]
        found.append(
            {
                "data": thumbnail(table, first.row) if thumbnails else None,
                "places": [
                    (place, _labels(inspection.tables[place.part], place.row))
                    for place in places[:4]
                ],
                "more": max(len(places) - 4, 0),
            }
        )
    return found


def _labels(table: LabelTable, row: int) -> str:
    labels = table.labels
    columns = labels.indices[labels.indptr[row] : labels.indptr[row + 1]]
    return some([table.class_names[c] for c in columns], limit=6) or "no label"
