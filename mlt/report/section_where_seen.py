"""Where rare labels were seen: maps over the worst mistakes of tail classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from PIL import Image
from scipy.special import expit
from torch import nn

from mlt.data.transforms import Preprocessing
from mlt.errors import UserError
from mlt.heatmaps import seen_on
from mlt.heatmaps.where_seen import method_of
from mlt.predictions import Predictions
from mlt.report.images import Images, as_base64
from mlt.report.methods import Report
from mlt.report.rare_mistakes import Mistake, worst_mistakes
from mlt.report.render import Section
from mlt.report.run_model import model_of
from mlt.runtime.device import pick_device

__all__ = ["where_seen_section"]

IMAGES = 60
"""Mistakes that are shown, at most."""

SIDE = 160
"""Longest side of a picture, in pixels."""

KINDS = {"Missed": "missed", "False alarms": "alarms"}

Shown: TypeAlias = tuple[Mistake, list[dict[str, Any]]]
"""A mistake and its pictures: the photograph, and one with the map of each class."""


def where_seen_section(report: Report, images: Images) -> Section:
    """Gather the pictures, or why there are none.

    Args:
        report: Of one method; the pictures are of its first run.
        images: Its test images.
    """
    run = report.baseline.first
    classes = report.class_counts
    tail = [c for c in report.order[::-1].tolist() if classes.group_of(c) == "tail"]
    chosen = worst_mistakes(run.predictions, tail, IMAGES)
    shown: list[Shown] = []
    method, note, unreadable = "", images.note, 0
    if not note and chosen:
        try:
            model, form = model_of(run)
            method = method_of(model)
            shown = _pictures(run.predictions, chosen, images, model, form)
            unreadable = len(chosen) - len(shown)
        except UserError as error:
            note = f"Where labels were seen cannot be shown: {str(error).splitlines()[0]}"
    elif not chosen:
        note = "No class of the tail has a mistake." if tail else "No class is in the tail."
    return Section(
        "where_seen",
        {
            "method": method,
            "run": run.name if len(report.baseline.runs) > 1 else "",
            "note": note,
            "unreadable": unreadable,
            "classes": [
                {
                    "name": classes.names[c],
                    "train": int(classes.counts[c]),
                    "kinds": {title: _of(shown, c, kind) for title, kind in KINDS.items()},
                }
                for c in tail
                if any(mistake.column == c for mistake, _ in shown)
            ],
        },
    )


def _of(shown: Sequence[Shown], column: int, kind: str) -> list[list[dict[str, Any]]]:
    return [pictures for m, pictures in shown if (m.column, m.kind) == (column, kind)]


def _pictures(
    p: Predictions, chosen: list[Mistake], images: Images, model: nn.Module, form: Preprocessing
) -> list[Shown]:
    """The pictures of each mistake whose image can be read."""
    model.to(pick_device("auto"))
    shown = []
    for mistake in chosen:
        photograph = images.read(mistake.row)
        if photograph is None:
            continue
        columns = [mistake.column, *mistake.others]
        seen = seen_on(model, photograph, form, columns)
        photograph.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        pictures = [{"data": as_base64(photograph), "name": "", "notes": _about(p, mistake.row)}]
        for k, c in enumerate(columns):
            notes = [
                *_said(p, mistake, c),
                f"{100 * expit(float(p.log_odds[mistake.row, c])):.1f} %",
            ]
            if not seen.maps[k].any():
                notes.append("nothing speaks for it")
            data = as_base64(seen.overlay(k, photograph))
            pictures.append({"data": data, "name": p.class_names[c], "notes": notes})
        shown.append((mistake, pictures))
    return shown


def _about(p: Predictions, row: int) -> list[str]:
    """The labels of an image, and its id."""
    labels = [name for name, has in zip(p.class_names, p.targets[row]) if has]
    return [", ".join(labels) or "no label", f"image {p.image_ids[row]}"]


def _said(p: Predictions, mistake: Mistake, column: int) -> list[str]:
    """What a class has to do with a mistake."""
    if column == mistake.column:
        kind = "missed" if mistake.kind == "missed" else "false alarm"
        return [f"{kind}, place {mistake.place}"]
    if p.known is not None and not p.known[mistake.row, column]:
        return ["given, not known"]
    return ["given rightly" if p.targets[mistake.row, column] else "given wrongly"]
