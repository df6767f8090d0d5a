"""The tables of an inspection, for the terminal and for the page."""

from __future__ import annotations

from mlt.inspection.advice import PART_NAMES
from mlt.inspection.inspection import Inspection
from mlt.report.tables import Column, Table

__all__ = ["class_order", "class_table", "hidden_table", "part_table", "picture_table"]


def class_order(inspection: Inspection) -> list[str]:
    """The names of the classes, rarest in training first; of the first part that there is."""
    if not inspection.parts:
        return []
    part = inspection.parts.get("train") or next(iter(inspection.parts.values()))
    return sorted(part.class_counts, key=lambda name: part.class_counts[name])


def part_table(inspection: Inspection) -> Table:
    """A line for each part."""
    partly = any(any(part.unknown.values()) for part in inspection.parts.values())
    grouped = any(part.image_groups is not None for part in inspection.parts.values())
    soft = any(part.soft_targets for part in inspection.parts.values())
    columns = [
        Column("part"),
        Column("images", "count"),
        Column("labels", "count"),
        Column("per image", "number", "labels of an image, on average"),
        Column("most", "count", "labels of the image that has most"),
        Column("without label", "count"),
        Column("classes", "count", "classes that have an image"),
        *([Column("unknown", "percent", "labels that nobody gave, %")] if partly else []),
        *([Column("soft", "count", "targets between 0 and 1")] if soft else []),
        *([Column("groups", "count", "patients, videos or the like")] if grouped else []),
    ]
    rows = []
    for name, part in inspection.parts.items():
        entries = max(part.images * len(part.class_counts), 1)
        rows.append(
            [
                name,
                part.images,
                part.labels,
                part.labels_per_image,
                part.most_labels,
                part.without_label,
                sum(n > 0 for n in part.class_counts.values()),
                *([sum(part.unknown.values()) / entries] if partly else []),
                *([part.soft_targets] if soft else []),
                *([part.image_groups] if grouped else []),
            ]
        )
    return Table("parts", "Parts", columns, rows)


def class_table(inspection: Inspection, limit: int | None = None) -> Table:
    """A line for each class, the rarest first.

    Args:
        inspection: What was found.
        limit: Only so many.
    """
    order = class_order(inspection)
    evaluation, weights = inspection.evaluation, inspection.rebalancing
    columns = [Column("class")]
    values: list[dict[str, object]] = []
    if inspection.groups:
        columns.append(Column("group", "group"))
        values.append(dict(inspection.groups))
    for name, part in inspection.parts.items():
        columns.append(Column(name, "count", "images that have the class"))
        values.append(dict(part.class_counts))
        if any(part.unknown.values()):
            columns.append(Column("unknown", "count", "images of which nobody said"))
            values.append(dict(part.unknown))
    if evaluation is not None:
        columns.append(Column("AP ±", "number", evaluation.assumption))
        values.append({n: _half_width(i) for n, i in evaluation.intervals.items()})
    if weights is not None:
        columns.append(
            Column("CB weight", "number", "class-balanced: (1 - beta) / (1 - beta^n), mean 1")
        )
        values.append(dict(weights.class_balanced))
        if weights.loss_weights and len(set(weights.loss_weights.values())) > 1:
            columns.append(
                Column("loss weight", "number", "of a positive in the configured loss, alone")
            )
            values.append(dict(weights.loss_weights))
        if weights.draws and weights.draws != inspection.parts["train"].class_counts:
            columns.append(
                Column("draws", "number", "in an epoch of the configured sampler, on average")
            )
            values.append(dict(weights.draws))
    rows = [[name, *(column.get(name) for column in values)] for name in order[:limit]]
    note = "" if evaluation is None else evaluation.assumption
    return Table("classes", "Classes, the rarest first", columns, rows, note=note)


def hidden_table(inspection: Inspection) -> Table:
    """A line for each class that hides behind another."""
    columns = [
        Column("class"),
        Column("images", "count", "training images"),
        Column("shows too"),
        Column("together", "count"),
        Column("share", "percent", "of the images of the class that show the other, %"),
        Column("expected", "percent", "share of all images that show the other, %"),
        Column("alone", "count", "images of the class without the other"),
    ]
    rows = [
        [h.name, h.images, h.behind, h.together, h.share, h.expected_share, h.alone]
        for h in inspection.hidden
    ]
    return Table("hidden", "Rare classes that hide behind frequent ones", columns, rows)


def picture_table(inspection: Inspection) -> Table:
    """A line for each part that was looked at."""
    columns = [
        Column("part"),
        Column("pictures", "count"),
        Column("missing", "count"),
        Column("decoded", "count"),
        Column("broken", "count", "cannot be decoded"),
        Column("tiny", "count", "shorter side below 32 pixels"),
        Column("extreme", "count", "longer side more than four times the shorter"),
        Column("odd mode", "count", "neither RGB nor 8-bit grey"),
        Column("smallest", "count", "of the shorter sides, pixels"),
        Column("median", "count", "of the shorter sides, pixels"),
    ]
    rows = []
    for name, found in inspection.pictures.items():
        smallest, median, _ = found.shorter_side or (None, None, None)
        many = (found.broken, found.tiny, found.extreme, found.odd_modes)
        rows.append(
            [PART_NAMES[name], found.images, found.missing, found.decoded, *map(len, many),
             smallest, median]
        )  # fmt: skip
    return Table("pictures", "Image files", columns, rows)


def _half_width(bounds: tuple[float, float] | None) -> float | None:
    """In points of percent."""
    return None if bounds is None else 50 * (bounds[1] - bounds[0])
