"""From what a user names (files, folders, patterns, a table) to image files."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator
from pathlib import Path

from mlt.data.columns import StringColumn
from mlt.data.formats.csv_rows import csv_rows, find_delimiter
from mlt.data.image_files import what_may_be_meant
from mlt.data.image_search import find_images as search_images
from mlt.data.image_suffixes import IMAGE_SUFFIXES
from mlt.errors import DataError, MissingFileError

__all__ = ["IMAGE_SUFFIXES", "find_images", "list_images"]

_TABLES = (".csv", ".tsv")


def find_images(
    paths: str | Path | Iterable[str | Path],
    path_column: str = "path",
    images: str | Path | None = None,
) -> list[Path]:
    """List the image files that some paths stand for, each once, in the order given.

    Args:
        paths: One or several. Files; folders, with all below but hidden ones left out;
            patterns with ``*``, ``?``, ``**``; or ``.csv`` and ``.tsv`` tables.
        path_column: The tables' column of paths.
        images: The folder that the tables' paths start from; None for each table's own folder. A
            name without extension is found there by name, and in the folders below.

    Returns:
        The files. Those of a table need not all exist.

    Raises:
        MissingFileError: If a path does not exist, a pattern fits nothing, or no image of a table
            is there.
        DataError: If a folder has no image, or a table no such column, or it is not UTF-8.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in ("b.png", "a.JPG", "notes.txt"):
        ...     (folder / name).touch()
        >>> [path.name for path in find_images([folder, folder / "b.png"])]
        ['a.JPG', 'b.png']
    """
    return list(list_images(paths, path_column, images))


def list_images(
    paths: str | Path | Iterable[str | Path],
    path_column: str = "path",
    images: str | Path | None = None,
) -> dict[Path, str]:
    """The files of :func:`find_images`, each with its id: its path as it was written.

    The id of an image of a table is its cell, as the table's other readers have it.
    """
    if isinstance(paths, (str, Path)):
        paths = [paths]
    if images is not None and not Path(images).is_dir():
        raise MissingFileError(f"there is no folder {images} for the images of tables")
    found: dict[Path, str] = {}
    for given in paths:
        path = Path(given)
        if path.suffix.lower() in _TABLES and path.is_file():
            start = path.parent if images is None else Path(images)
            listed = _listed(path, path_column, start)
        else:
            listed = ((file, str(file)) for file in _expand(given))
        for file, name in listed:
            found.setdefault(file, name)
    return found


def _expand(given: str | Path) -> Iterator[Path]:
    path = Path(given)
    if path.is_dir():
        yield from _inside(path)
    elif path.exists():
        yield path
    elif glob.has_magic(str(given)):
        found = sorted(glob.glob(str(given), recursive=True))  # noqa: PTH207 - may be absolute
        if not found:
            raise MissingFileError(f"no file fits the pattern {str(given)!r}")
        for name in found:
            if Path(name).is_dir():
                continue  # `folder/**` names the folders too
            yield Path(name)
    else:
        raise MissingFileError(f"there is no file or folder {given}")


def _inside(folder: Path) -> Iterator[Path]:
    files = [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in IMAGE_SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    ]
    if not files:
        raise DataError(f"{folder} has no image: {', '.join(sorted(IMAGE_SUFFIXES))}")
    yield from files


def _listed(table: Path, path_column: str, images: Path) -> Iterator[tuple[Path, str]]:
    rows = csv_rows(table, find_delimiter(table))
    _, columns = next(rows, (0, []))
    if path_column not in columns:
        has = ", ".join(columns) or "nothing"
        raise DataError(
            f"{table} has no column {path_column!r} (it has: {has}); name the column of paths "
            "with --path-column"
        )
    place = columns.index(path_column)
    names = [row[place] for _, row in rows if len(row) > place and row[place]]
    files = [images / path for path in search_images(StringColumn.from_iterable(names), images)]
    if files and not any(file.exists() for file in files):
        above = f"--images {images.resolve().parent}"
        raise MissingFileError(
            f"none of the {len(files)} images of {table} is in {images}, first {files[0]}"
            f"{what_may_be_meant(images, files[0], above)}. The folder that the paths of a table "
            "start from is named with --images"
        )
    yield from zip(files, names)
