"""What images belong to, such as their patient: out of a column, or of a pattern in its cells."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from mlt.data.columns import StringColumn
from mlt.data.formats.cells import are_blank
from mlt.errors import DataError

__all__ = [
    "group_like_columns",
    "groups_by_pattern",
    "path_note",
    "ungrouped_note",
    "without_blanks",
]

_WORDS = ("patient", "subject", "participant", "person", "study", "case")
_COLUMN = re.compile(rf"({'|'.join(_WORDS)})s?(id|uid|key|name|no|nr|num|number)?")
_PATTERNS = (
    r"patient[-_]?\d+",
    r"subject[-_]?\d+",
    r"participant[-_]?\d+",
    r"sub-\d+",
    r"p\d{8}",
    r"study[-_]?\d+",
    r"case[-_]?\d+",
)
"""What paths call a patient: CheXpert's, BIDS's and MIMIC-CXR's ways among them."""


def groups_by_pattern(cells: pa.Array, pattern: str, column: str) -> pa.Array:
    r"""The part of each cell that fits a pattern; empty where none does.

    Args:
        cells: (N,) strings.
        pattern: A regular expression; its first bracket is the group, or else all that fits.
        column: What the cells are of, for messages.

    Raises:
        DataError: If no cell fits.

    Example:
        >>> groups_by_pattern(pa.array(["a/p1/x.png", "b.png"]), r"(p\d+)/", "path").to_pylist()
        ['p1', '']
    """
    search = re.compile(pattern).search
    found = [search(cell) for cell in cells.to_pylist()]
    if not any(found):
        first = f", first {cells[0].as_py()!r}" if len(cells) else ""
        raise DataError(f"group: nothing in column {column!r} fits the pattern {pattern!r}{first}")
    which = 1 if re.compile(pattern).groups else 0
    return pa.array([(m[which] or "") if m else "" for m in found], pa.large_string())


def without_blanks(groups: pa.Array, column: str) -> tuple[StringColumn, list[str]]:
    """Groups with nothing where a cell is blank or a word for it, and a note on those images.

    Args:
        groups: (N,) strings.
        column: What they are of, for the note.

    Example:
        >>> groups, notes = without_blanks(pa.array(["NA", "p1", "NA"], pa.large_string()), "pid")
        >>> groups.tolist(), notes[0].partition(":")[0]
        (['', 'p1', ''], "2 of 3 images have no group in column 'pid' ('NA')")
    """
    blank = are_blank(groups)
    if not (number := pc.sum(blank).as_py()):
        return StringColumn(groups), []
    words = sorted(word for word in groups.filter(blank).unique().to_pylist() if word)
    written = f" ({', '.join(map(repr, words))})" if words else ""
    return StringColumn(pc.if_else(blank, "", groups)), [
        f"{number} of {len(groups)} images have no group in column {column!r}{written}: each is "
        "taken for one of its own"
    ]


def group_like_columns(header: Sequence[str], taken: Iterable[str]) -> list[str]:
    """The columns whose names say that they hold patients or the like, patients first.

    Args:
        header: Names of columns.
        taken: Those that are something else.

    Example:
        >>> group_like_columns(["study_id", "Patient Age", "Patient ID", "cat"], ["cat"])
        ['Patient ID', 'study_id']
    """
    named = {name: _COLUMN.fullmatch(_plain(name)) for name in header if header.count(name) == 1}
    words = {name: match[1] for name, match in named.items() if match and name not in {*taken}}
    return sorted(words, key=lambda name: _WORDS.index(words[name]))


def ungrouped_note(columns: Mapping[str, pa.Array], paths: pa.Array) -> list[str]:
    """A warning that images of one patient may be torn apart, where no group is set.

    Args:
        columns: The cells of the columns that may be a group, (N,) strings each.
        paths: (N,) strings.
    """
    for name, cells in columns.items():
        if repeated := _repeated(cells):
            quoted = f'"{name}"' if " " in name else name
            return [
                f"warning: no group is set, but the column {name!r} looks like one ({repeated}): "
                "training and test may share its images; keep them together with "
                f"group: {name} (mlt split: --group {quoted})"
            ]
    return path_note(paths, "group: {pattern: 'PATTERN'} (mlt split: --group-pattern 'PATTERN')")


def path_note(paths: pa.Array, remedy: str) -> list[str]:
    """A warning that the paths name patients or the like, where no group is set.

    Args:
        paths: (N,) strings.
        remedy: What keeps them together, with ``PATTERN`` for the pattern.
    """
    if not _fits_half(paths, _whole("|".join(_PATTERNS))):
        return []  # after one look at each path instead of one per pattern
    for pattern in _PATTERNS:
        whole = _whole(pattern)
        if not _fits_half(paths, whole):
            continue
        groups = groups_by_pattern(paths, whole, "path")
        if repeated := _repeated(groups):
            first = next(group for group in groups.to_pylist() if group)
            return [
                f"warning: no group is set, but the paths name {first!r} and so on ({repeated}): "
                "training and test may share their images; keep them together with "
                + remedy.replace("PATTERN", pattern)
            ]
    return []


def _whole(pattern: str) -> str:
    """A pattern between separators or ends."""
    return rf"(?:^|[/\\_-])({pattern})(?:[/\\_.-]|$)"


def _fits_half(paths: pa.Array, pattern: str) -> bool:
    """Whether at least half of the paths, and one, fit a pattern."""
    fits = pc.sum(pc.match_substring_regex(paths, pattern)).as_py() or 0
    return len(paths) > 0 and 2 * fits >= len(paths)


def _repeated(cells: pa.Array) -> str:
    """How many values some cells have; nothing if they are one, or each its own."""
    cells = cells.filter(pc.not_equal(cells, ""))
    values = len(cells.unique())
    return f"{len(cells)} images, {values} values" if 1 < values < len(cells) else ""


def _plain(name: str) -> str:
    return re.sub(r"[\s_.-]", "", name).casefold()
