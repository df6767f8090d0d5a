"""A table of scores: an image per row, its id in one column, one column per class."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.special import logit

from mlt.data.formats.open_table import open_tables
from mlt.data.formats.table import Table
from mlt.data.formats.table_format import TableFormat
from mlt.errors import ConfigError, DataError

__all__ = ["CERTAIN", "Kind", "Scores", "find_id_column", "open_table", "read_scores"]

log = logging.getLogger(__name__)

Kind = Literal["logits", "probabilities"]
"""What the scores are; a table does not say, and a guess could be wrong."""

CERTAIN = 745.0
"""The logit that a probability of 1 becomes, and with a minus one of 0: beyond that of every other
float64, the smallest of which, 5e-324, has -744.4."""


_NAMELESS = re.compile(r"(Unnamed: \d+)?")
"""What pandas calls an index that it wrote."""


@dataclass(frozen=True, eq=False)
class Scores:
    """Logits as a table has them.

    Attributes:
        source: What the table is called in messages.
        id_column: The column of the ids.
        image_ids: (N,) distinct ids as text.
        class_names: (C,) names in the order of the columns.
        logits: (N, C) float32.
    """

    source: str
    id_column: str
    image_ids: tuple[str, ...]
    class_names: tuple[str, ...]
    logits: NDArray[np.float32]


def read_scores(
    file: str | Path,
    kind: Kind,
    *,
    id_column: str | None = None,
    class_names: Sequence[str] | None = None,
) -> Scores:
    """Read a table of scores.

    Probabilities become logits in float64 and are then rounded to float32, which ties what differs
    by less than about 1e-7 of itself. 0 and 1 are allowed and become :data:`CERTAIN` with its sign,
    which is below and above all others.

    Args:
        file: CSV, TSV, JSON lines or Parquet, with a header.
        kind: "logits" or "probabilities".
        id_column: Column of the image ids; None is the first, but for an index of row numbers
            without a name, as pandas writes it.
        class_names: Columns of the classes; None is all but the ids and those without a name. Of
            what `mlt predict` wrote it is the classes, and images with an error are left out.

    Raises:
        MissingFileError: If there is no such file.
        ConfigError: If the kind is neither.
        DataError: If a column is absent, an id is there twice, or a score is not a number or, as a
            probability, not between 0 and 1; the message gives the line.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "scores.csv"
        >>> _ = file.write_text("image,cat,dog\\na.jpg,0.5,0\\nb.jpg,1,0.25\\n")
        >>> read_scores(file, "probabilities").logits.round(2).tolist()
        [[0.0, -745.0], [745.0, -1.100000023841858]]
    """
    if kind not in get_args(Kind):
        raise ConfigError(f"scores are of the kind 'logits' or 'probabilities', not {kind!r}")
    table = open_table(Path(file))
    id_column = find_id_column(table, id_column)
    error_column = None
    if class_names is None:
        class_names, error_column = _score_columns(table.header, id_column)
    if not class_names:
        raise DataError(f"{table.source} has no column of scores beside the ids in {id_column!r}")
    ids, *columns = table.columns([id_column, *class_names])
    image_ids = tuple(ids.to_pylist())
    _check_ids(table, image_ids)
    scores = np.empty((len(image_ids), len(class_names)))
    failed = _without_scores(table, error_column, len(image_ids))
    for c, (name, cells) in enumerate(zip(class_names, columns, strict=True)):
        scores[:, c] = _numbers(table, name, cells, failed)
    if kind == "probabilities":
        scores = _logits(table, scores, class_names)
    _check_range(table, scores, class_names)
    if failed.any():
        image_ids = tuple(np.array(image_ids)[~failed].tolist())
        scores = scores[~failed]
    return Scores(table.source, id_column, image_ids, tuple(class_names), scores.astype(np.float32))


def open_table(file: Path) -> Table:
    """Open a table by the ending of its file."""
    return open_tables([file], TableFormat())


def find_id_column(table: Table, wanted: str | None) -> str:
    """The column of the image ids: the one that was asked for, or the first.

    Raises:
        DataError: If it is not there exactly once.
    """
    name = table.header[0] if wanted is None else wanted
    table.require(name, "" if wanted is None else " (--id-column)")
    if wanted is None and _NAMELESS.fullmatch(name) and len(table.header) > 1:
        (cells,) = table.columns([name])
        if cells.to_pylist() == list(map(str, range(len(cells)))):
            return find_id_column(table, table.header[1])
    return name


def _score_columns(header: Sequence[str], id_column: str) -> tuple[list[str], str | None]:
    """The columns of scores, and that of errors in a table that `mlt predict` wrote."""
    if [*header[:3], header[-1]] == ["id", "path", "labels", "error"]:
        return [*header[3:-1]], "error"
    return [name for name in header if name != id_column and not _NAMELESS.fullmatch(name)], None


def _without_scores(table: Table, error_column: str | None, images: int) -> NDArray[np.bool_]:
    """Which images have an error in place of scores; (N,)."""
    if error_column is None:
        return np.zeros(images, np.bool_)
    (errors,) = table.columns([error_column])
    failed = pc.not_equal(errors, "").to_numpy(zero_copy_only=False)
    if failed.any():
        first = int(np.flatnonzero(failed)[0])
        log.warning(
            "%s: %d of %d images have no prediction and are left out; first: %s",
            table.source, int(failed.sum()), len(failed), errors[first].as_py(),
        )  # fmt: skip
    if failed.all():
        raise DataError(f"{table.source}: no image has a prediction")
    return failed


def _check_ids(table: Table, ids: Sequence[str]) -> None:
    if not ids:
        raise DataError(f"{table.source} has no row below its header")
    first: dict[str, int] = {}
    for row, name in enumerate(ids):
        if not name:
            raise DataError(f"{table.line(row)}: the image id is empty")
        if first.setdefault(name, row) != row:
            raise DataError(
                f"{table.line(row)}: image {name!r} is there twice, first in "
                f"{table.line(first[name])}; is this the column of the ids? Another is named with "
                "--id-column"
            )


def _numbers(
    table: Table, name: str, cells: pa.Array, failed: NDArray[np.bool_]
) -> NDArray[np.float64]:
    try:
        values = pc.cast(pc.utf8_trim_whitespace(cells), pa.float64())
        numbers = values.to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        numbers = np.array([_number(cell) for cell in cells.to_pylist()])
    wrong = np.flatnonzero(np.isnan(numbers) & ~failed)
    if len(wrong):
        raise DataError(
            f"{table.line(wrong[0])}, column {name!r}: {cells[int(wrong[0])].as_py()!r} is not a "
            f"score ({len(wrong)} such cells); if the column is not a class, name those that are "
            "with --class-names, and the column of the ids with --id-column"
        )
    return numbers


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return np.nan


def _logits(
    table: Table, scores: NDArray[np.float64], class_names: Sequence[str]
) -> NDArray[np.float64]:
    wrong = np.argwhere((scores < 0) | (scores > 1))
    if len(wrong):
        row, column = wrong[0]
        raise DataError(
            f"{table.line(row)}, column {class_names[column]!r}: {scores[row, column]:g} is not a "
            f"probability ({len(wrong)} scores are not between 0 and 1). {_remedy(scores)}, and "
            "--class-names if the column is not a class"
        )
    return np.clip(logit(scores), -CERTAIN, CERTAIN)


def _check_range(table: Table, scores: NDArray[np.float64], class_names: Sequence[str]) -> None:
    most = float(np.finfo(np.float32).max)
    wrong = np.argwhere(np.isfinite(scores) & (np.abs(scores) > most))
    if len(wrong):
        row, column = wrong[0]
        raise DataError(
            f"{table.line(row)}, column {class_names[column]!r}: {scores[row, column]:g} is not a "
            f"logit ({len(wrong)} scores are beyond {most:.1e}); if the column is not "
            "a class, name those that are with --class-names"
        )


def _remedy(scores: NDArray[np.float64]) -> str:
    """What to do with scores that are not probabilities."""
    if scores.min() >= 0 and 2 < scores.max() <= 100:
        return "Are they percent? Divide them by 100; give --logits only if these are logits"
    return "Give --logits if these are logits"
