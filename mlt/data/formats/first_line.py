"""What the first line of a table may be, where it does not name the columns that it should."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["what_the_first_line_may_be"]

_IMAGE = re.compile(r".+\.(jpe?g|png|tiff?|bmp|webp)", re.IGNORECASE)
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


def what_the_first_line_may_be(rows: Sequence[Sequence[str]], delimiter: str) -> str:
    """Say what to do, as the end of a message; nothing where nothing is suspected.

    Args:
        rows: The first rows, at least one.
        delimiter: What separates the cells.

    Example:
        >>> what_the_first_line_may_be([["202599"], ["Bald Young"]], ",")
        '; is its first line a title or a count? Then remove it'
        >>> what_the_first_line_may_be([["Bald", "Young"], ["1.jpg", "-1", "1"]], " ")
        '; its lines have a column more: write path before its first name'
        >>> what_the_first_line_may_be([["path", "labels"], ["1.jpg", "cat"]], ",")
        ''
    """
    first, second = [*rows, []][:2]
    (cells, words), (next_cells, next_words) = _size(first), _size(second)
    if _IMAGE.fullmatch(first[0].partition(" ")[0]):
        return _without_header(max(cells, words if cells == 1 else cells))
    if all(_NUMBER.fullmatch(word) for row in rows for cell in row for word in cell.split()):
        return (
            "; it holds numbers alone, as label files of YOLO and NUS-WIDE do: "
            "docs/other_formats.md shows how to write a table of them"
        )
    if delimiter == " " and next_cells == cells + 1:
        return "; its lines have a column more: write path before its first name"
    if cells == next_cells == 1 < words and next_words in (words, words + 1):
        return '; do spaces separate its columns? Then set delimiter: " "'
    if cells == 1 and (next_cells, next_words) > (cells, words):
        return "; is its first line a title or a count? Then remove it"
    return ""


def _without_header(columns: int) -> str:
    if columns == 1:
        return "; is it a list of images? It says nothing about their labels"
    names = ", ".join(["path", *(f"class{n}" for n in range(1, columns))][:4])
    dots = ", ..." if columns > 4 else ""
    return (
        f"; does the file have no header? Then name its columns: columns: [{names}{dots}], or set "
        "header: false, which calls them 1, 2, ..."
    )


def _size(row: Sequence[str]) -> tuple[int, int]:
    """How many cells there are, and words in them."""
    return len(row), sum(len(cell.split()) for cell in row)
