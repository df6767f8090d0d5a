"""What the page's script shows, one class at a time: curves, mistakes and their images.

Plain values that become JSON; the script puts them into place as text and path data only. Sizes are
bounded, so that a report of 1,000 classes stays a file that can be sent: see :data:`CURVES` and
:data:`THUMBNAILS`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from mlt.metrics import average_precision_intervals, micro_average_precision
from mlt.report.confusion import Confusion, confusion, mistakes
from mlt.report.curves import precision_recall_path, reliability_path
from mlt.report.images import Images
from mlt.report.methods import Method, Report
from mlt.report.runs import Run

__all__ = ["PageData", "page_data"]

CURVES = 2_000
"""Curves that are kept: methods beyond so many divided by classes are left out."""

THUMBNAILS = 3_000_000
"""Characters of thumbnails in all."""

SHOWN = 6
"""Missed images and false alarms per class; half of them where several methods are compared."""

PARTNERS = 5
"""True labels that the false alarms of a class go with."""


@dataclass(frozen=True)
class PageData:
    """What the script gets, and what the limits left out.

    Attributes:
        data: Plain values.
        notes: Sentences for the reader.
    """

    data: dict[str, Any]
    notes: tuple[str, ...]


def page_data(report: Report, images: Images) -> PageData:
    """Gather the curves and mistakes of every class, for as many methods as fit."""
    classes = report.class_counts
    fitting = max(1, CURVES // (classes.num_classes + 1))
    methods = report.methods[:fitting]
    worst = SHOWN if report.single else SHOWN // 2
    listed = [_method(method, worst) for method in methods]
    seen = list(dict.fromkeys(_rows(listed)))
    thumbnails = _thumbnails(seen, images)
    first = report.baseline.first
    notes = []
    if len(methods) < len(report.methods):
        notes.append(
            f"Only the first {len(methods)} methods are shown here, to keep the file small."
        )
    if images.note:
        notes.append(images.note)
    elif len(thumbnails) < len(seen):
        notes.append(
            f"{len(thumbnails)} of {len(seen)} images are embedded, to keep the file small."
        )
    data = {
        "classes": [
            [name, classes.group_of(c), int(classes.counts[c]), int(first.positives[c])]
            for c, name in enumerate(classes.names)
        ],
        "order": report.order.tolist(),
        "methods": listed,
        "images": {
            row: [
                str(first.predictions.image_ids[row]),
                np.flatnonzero(_truth(first)[row]).tolist(),
                thumbnails.get(row, ""),
            ]
            for row in seen
        },
    }
    return PageData(data, tuple(notes))


def _method(method: Method, worst: int) -> dict[str, Any]:
    """Curves and mistakes of the first run of a method."""
    run = method.first
    p = run.predictions
    known = np.ones(p.targets.shape, bool) if p.known is None else p.known
    plain = expit(p.log_odds.astype(np.float64))
    calibrated = run.calibration.apply(p.logits) if run.calibration else None
    probabilities = plain if calibrated is None else calibrated
    intervals = average_precision_intervals(
        p.targets, p.log_odds, p.known, image_groups=p.groups
    ).per_class
    found = confusion(p)
    classes = []
    for c in range(len(p.class_names)):
        rows = known[:, c]
        wrong = mistakes(p, c)
        curve = _curves(
            p.targets[rows, c],
            p.log_odds[rows, c],
            plain[rows, c],
            None if calibrated is None else calibrated[rows, c],
        )
        listed = {
            kind: [
                [row, _round(probabilities[row, c]), int(wrong.ranks[row])]
                for row in getattr(wrong, kind)[:worst].tolist()
            ]
            for kind in ("missed", "alarms")
        }
        classes.append(
            {
                "ap": _round(run.ap[c]),
                "corrected": _round(intervals[c].centre),
                "auroc": _round(run.auroc[c]),
                "interval": [_round(bound) for bound in intervals[c].to_json() or []],
                **curve,
                **listed,
                "counts": [len(wrong.missed), len(wrong.alarms)],
                "partners": _partners(found, c),
            }
        )
    together = {
        "ap": _round(micro_average_precision(p.targets, p.log_odds, p.known)),
        **_curves(
            p.targets[known],
            p.log_odds[known],
            plain[known],
            None if calibrated is None else calibrated[known],
        ),
    }
    return {"name": method.name, "classes": classes, "all": together}


def _curves(
    truth: NDArray[np.bool_],
    logits: NDArray[np.float32],
    plain: NDArray[np.float64],
    calibrated: NDArray[np.float64] | None,
) -> dict[str, Any]:
    """Paths of one class or of all labels together, each array (N,)."""
    path, error = reliability_path(truth, plain)
    result = {"pr": precision_recall_path(truth, logits), "rel": path, "ece": _round(error)}
    if calibrated is not None:
        path, error = reliability_path(truth, calibrated)
        result |= {"cal": path, "calEce": _round(error)}
    return result


def _partners(found: Confusion, c: int) -> list[list[float]]:
    """[class, false alarms, share of them, share of the true images] of the most frequent ones."""
    order = np.argsort(-found.alarms[c], kind="stable")[:PARTNERS]
    return [
        [int(a), int(found.alarms[c, a]), _round(found.with_alarms[c, a]) or 0.0,
         _round(found.cooccurrence[c, a]) or 0.0]
        for a in order
        if a != c and found.alarms[c, a]
    ]  # fmt: skip


def _rows(methods: list[dict[str, Any]]) -> Iterator[int]:
    """Rows of the mistakes, the worst of every class first, so that each has its thumbnail."""
    for place in range(SHOWN):
        for method in methods:
            for of_class in method["classes"]:
                for kind in ("missed", "alarms"):
                    if place < len(of_class[kind]):
                        yield of_class[kind][place][0]


def _thumbnails(rows: list[int], images: Images) -> dict[int, str]:
    room, result = THUMBNAILS, {}
    for row in rows:
        small = images.thumbnail(row)
        if small is None:
            continue
        room -= len(small)
        if room < 0:
            break
        result[row] = small
    return result


def _truth(run: Run) -> np.ndarray:
    p = run.predictions
    return p.targets if p.known is None else p.targets & p.known


def _round(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 4)
