"""Predictions as text: lines to read, CSV, JSON lines. Each image is written as it comes."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Literal

from mlt.errors import ConfigError
from mlt.inference.prediction import NoPrediction, Prediction

__all__ = ["Format", "check_names", "write_predictions"]

Format = Literal["table", "csv", "jsonl"]

# mlt.prediction_tables.scores knows these columns before and after those of the classes.
_BEFORE, _AFTER = ("id", "path", "labels"), "error"


def write_predictions(
    file: IO[str],
    predictions: Iterable[Prediction | NoPrediction],
    class_names: Sequence[str],
    form: Format = "table",
    *,
    top: int | None = None,
    width: int = 0,
    ids: Mapping[Path, str] | None = None,
) -> int:
    """Write predictions to an open text file.

    - ``"table"``: a line per image: its path and its labels with their probabilities in percent.
    - ``"csv"``: the columns ``id``, ``path``, ``labels`` (separated by ``|``), a probability per
      class and ``error``.
    - ``"jsonl"``: an object per line with the same.

    An image without a prediction has a line of its own, with its id, path and an ``error`` only.

    What the file's encoding cannot express, such as the bytes of a file name that is not UTF-8, is
    written as an escape: ``caf\\udce9.png``. JSON's readers give the original back.

    Args:
        file: Where to.
        predictions: Of any number of images.
        class_names: C names.
        form: One of the three.
        top: Write this many most probable labels instead of those that reach their thresholds.
        width: Characters of the longest path, for the table.
        ids: What an image is called where that is not its path, see
            :func:`mlt.inference.paths.list_images`.

    Returns:
        How many images were written.

    Raises:
        ConfigError: As of :func:`check_names`.

    Example:
        >>> import sys, numpy as np
        >>> from pathlib import Path
        >>> p = np.array([0.25, 0.9])
        >>> one = Prediction(Path("a.jpg"), np.log(p / (1 - p)), p, p > 0.5)
        >>> write_predictions(sys.stdout, [one], ["cat", "dog"])
        a.jpg  dog 90.0
        1
        >>> write_predictions(sys.stdout, [one], ["cat", "dog"], "jsonl")
        {"id": "a.jpg", "path": "a.jpg", "labels": ["dog"], "probabilities": {"cat": 0.25, "dog": 0.9}}
        1
    """  # noqa: E501
    check_names(class_names, form)
    write_one = _WRITERS[form](_EscapingFile(file), class_names, width, ids or {})
    count = 0
    for prediction in predictions:
        count += 1
        if isinstance(prediction, NoPrediction):
            write_one(prediction, [])
        else:
            write_one(prediction, prediction.labels() if top is None else prediction.highest(top))
        file.flush()
    return count


def check_names(class_names: Sequence[str], form: Format) -> None:
    """Refuse to write a CSV table in which a class could not be told from another column.

    Raises:
        ConfigError: Naming the class.
    """
    if form == "csv" and (twice := {*_BEFORE, _AFTER} & {*class_names}):
        raise ConfigError(
            f"the class {min(twice)!r} is called like a column of what --format csv writes; take "
            "--format jsonl"
        )


class _EscapingFile:
    """Writes to a file what its encoding can express, and the rest as escapes."""

    def __init__(self, file: IO[str]) -> None:
        self.file = file
        self.encoding = getattr(file, "encoding", None) or "utf-8"

    def can_write(self, text: str) -> bool:
        try:
            text.encode(self.encoding)
        except UnicodeEncodeError:
            return False
        return True

    def write(self, text: str) -> int:
        if not self.can_write(text):
            text = text.encode(self.encoding, "backslashreplace").decode(self.encoding)
        return self.file.write(text)


_Write = Callable[["Prediction | NoPrediction", "list[int]"], None]


def _table(
    file: _EscapingFile, class_names: Sequence[str], width: int, ids: Mapping[Path, str]
) -> _Write:
    def write(prediction: Prediction | NoPrediction, labels: list[int]) -> None:
        if isinstance(prediction, NoPrediction):
            text = f"error: {prediction.error}"
        else:
            values = 100 * prediction.probabilities
            text = ", ".join(f"{class_names[c]} {values[c]:.1f}" for c in labels)
        file.write(f"{prediction.path!s:{max(width, 1)}}  {text or '-'}\n")

    return write


def _csv(
    file: _EscapingFile, class_names: Sequence[str], width: int, ids: Mapping[Path, str]
) -> _Write:
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow([*_BEFORE, *class_names, _AFTER])

    def write(prediction: Prediction | NoPrediction, labels: list[int]) -> None:
        image = [ids.get(prediction.path, prediction.path), prediction.path]
        if isinstance(prediction, NoPrediction):
            rows.writerow([*image, "", *("" for _ in class_names), prediction.error])
        else:
            names = "|".join(class_names[c] for c in labels)
            values = (f"{value:.6g}" for value in prediction.probabilities)
            rows.writerow([*image, names, *values, ""])

    return write


def _jsonl(
    file: _EscapingFile, class_names: Sequence[str], width: int, ids: Mapping[Path, str]
) -> _Write:
    def write(prediction: Prediction | NoPrediction, labels: list[int]) -> None:
        path = str(prediction.path)
        record: dict[str, Any] = {"id": ids.get(prediction.path, path), "path": path}
        if isinstance(prediction, NoPrediction):
            record["error"] = prediction.error
        else:
            values = [float(f"{value:.6g}") for value in prediction.probabilities]
            record["labels"] = [class_names[c] for c in labels]
            record["probabilities"] = dict(zip(class_names, values))
        line = json.dumps(record, ensure_ascii=False, allow_nan=False)
        # JSON has escapes of its own, which its readers understand.
        file.write((line if file.can_write(line) else json.dumps(record)) + "\n")

    return write


_WRITERS = {"table": _table, "csv": _csv, "jsonl": _jsonl}
