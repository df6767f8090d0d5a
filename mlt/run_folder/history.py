"""``metrics.jsonl``: a line after each epoch and each evaluation, every one with its digest."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path
from typing import Any

import msgspec

from mlt.files import NOT_JSON, with_digest, without_digest, write_text_atomic

__all__ = ["append_line", "read_lines", "trim_lines"]

logger = logging.getLogger(__name__)


class _Line(msgspec.Struct):
    """What of a line is read; other keys may be there too."""

    epoch: int
    part_of_epoch: float | None = None
    updates: int | None = None
    loss: float | None = None
    validation_loss: float | None = None
    mAP: dict[str, float | None] | None = None  # noqa: N815 - the field's spelling
    AUROC: dict[str, float | None] | None = None


def append_line(file: Path, record: dict[str, Any]) -> None:
    """Add one line."""
    with file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(with_digest(record), allow_nan=False) + "\n")


def read_lines(file: Path) -> list[dict[str, Any]]:
    """The lines; one that is cut short or damaged is left out, with a warning."""
    if not file.exists():
        return []
    records = []
    for number, line in enumerate(file.read_bytes().splitlines(), start=1):
        try:
            msgspec.json.decode(line, type=_Line)
            records.append(without_digest(json.loads(line), f"line {number}"))
        except NOT_JSON as error:  # noqa: PERF203
            logger.warning("%s: line %d is left out: %s", file, number, error)
    return records


def trim_lines(file: Path, epochs: int, updates: int | None, best: str) -> None:
    """Drop the lines of what a resumed run does again; warn of lines that are lost.

    Args:
        file: The lines.
        epochs: Epochs that are complete.
        updates: Updates that are done; None does not look at them.
        best: Name of the checkpoint that was chosen by the lines.
    """
    done = math.inf if updates is None else updates
    kept = [
        record
        for record in read_lines(file)
        if record["epoch"] <= epochs and (record.get("updates") or 0) <= done
    ]
    # The last epoch is evaluated again if its line is missing.
    lost = set(range(1, epochs)) - {r["epoch"] for r in kept if not r.get("part_of_epoch")}
    if lost:
        logger.warning(
            "%s has no line of epoch %s: the curves lack it, and %s may be replaced by weights "
            "that are not better",
            file,
            ", ".join(map(str, sorted(lost)[:10])),
            best,
        )
    lines = [f"{json.dumps(with_digest(record))}\n" for record in kept]
    write_text_atomic(file, "".join(lines))
