"""Find the image files that names stand for: without extension, in several folders, by a pattern.

Names come in millions, so folders are listed once and names are looked up in Arrow's hash tables.
"""

from __future__ import annotations

import filecmp
import glob
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from mlt.data.columns import StringColumn, duplicates
from mlt.data.image_suffixes import IMAGE_SUFFIXES
from mlt.data.path_parts import folders_of, joined, last_parts
from mlt.errors import ConfigError, DataError

__all__ = ["file_names", "find_images", "is_unicode", "searched_folders"]

_IS_IMAGE = rf"(?i)\.({'|'.join(sorted(s[1:] for s in IMAGE_SUFFIXES))})$"
_ELSEWHERE = re.compile(r"/|\.\./|[A-Za-z]:/|[A-Za-z][\w+.-]*://")
_ROOTED = r"^([A-Za-z]:)?/" if os.name == "nt" else "^/"
_TEXT = pa.large_string()
_COMPARED = 20
"""Names of two files whose content is compared; of the others it is the size."""


def find_images(
    names: StringColumn,
    root: str | Path,
    folders: Sequence[str] = (".",),
    pattern: str | None = None,
) -> StringColumn:
    """The image files that names stand for.

    A name is a path from one of the folders. What is not there is looked for as a name without its
    extension, then in the folders below where a folder has no image itself.

    Args:
        names: N names. Backslashes count as slashes. Of an absolute path, a path that begins with
            ``../`` and an address only the last part is used if their folder is not here.
        root: The folder that ``folders`` and the result start from.
        folders: Folders, or patterns of folders such as ``images_*/images``, in the order in which
            they are tried.
        pattern: How a name becomes a path: ``{id}.jpg``, ``{id}/rgb.png``; or only an extension,
            ``.jpg``, which is appended to names that do not end in it.

    Returns:
        N paths relative to ``root``. One that is not found is where it would be in the first
        folder that exists.

    Raises:
        ConfigError: If the pattern does not contain ``{id}``.
        DataError: If a name stands for files in two places that are not the same.

    Example:
        >>> import tempfile
        >>> root = Path(tempfile.mkdtemp())
        >>> for file in ("images_1/a.png", "images_2/b.JPG"):
        ...     (root / file).parent.mkdir()
        ...     (root / file).touch()
        >>> names = StringColumn.from_iterable(["b", "a.png", "c"])
        >>> find_images(names, root, ["images_*"]).tolist()
        ['images_2/b.JPG', 'images_1/a.png', 'images_1/c']
    """
    root = Path(root)
    places = list(dict.fromkeys(place for folder in folders for place in _expand(root, folder)))
    own = _without_foreign_folders(pc.replace_substring(names.array, "\\", "/"), root, places)
    wanted = _apply(pattern, own)
    rooted = pc.match_substring_regex(wanted, _ROOTED)
    nearest = next((place for place in places if (root / place).is_dir()), places[0])
    first = pc.if_else(rooted, wanted, joined(_prefix(nearest), wanted))
    paths = pa.nulls(len(wanted), _TEXT)
    for files in _stages(root, places, wanted, without_suffix=pattern is None):
        paths = pc.coalesce(paths, _look_up(files, pc.if_else(paths.is_null(), wanted, None)))
        if not paths.null_count:
            break
    return StringColumn(pc.coalesce(paths, first))


def searched_folders(found: StringColumn, root: str | Path, folders: Sequence[str]) -> list[Path]:
    """The folders whose files decided what :func:`find_images` found.

    Args:
        found: What it returned.
        root: The folder that paths start from.
        folders: As it was given them.
    """
    root = Path(root)
    places = list(dict.fromkeys(_prefix(place) for f in folders for place in _expand(root, f)))
    parents = folders_of(found.array).dictionary.to_pylist()
    inside = {
        parent.removeprefix(place)
        for parent in parents
        for place in places
        if parent.startswith(place)
    }
    below = (place + part for place in places for part in {"", *inside})
    return [root / folder for folder in sorted({*parents, *below})]


def file_names(folder: str | Path) -> Iterator[str]:
    """The names of the files in a folder, none if there is no such folder.

    Left out are links that lead to no file, and names that are not valid Unicode: no table can list
    them.
    """
    if Path(folder).is_dir():
        with os.scandir(folder) as entries:
            for entry in entries:
                is_file = entry.is_file() if entry.is_symlink() else not entry.is_dir()
                if is_file and is_unicode(entry.name):
                    yield entry.name


def is_unicode(name: str) -> bool:
    """Whether a name is valid Unicode, as those of files need not be."""
    return name.isascii() or name.encode(errors="replace").decode() == name


class _Files(NamedTuple):
    """Files and what a name must be to mean them; the first of a key is the one that is taken."""

    root: Path
    keys: pa.Array
    paths: pa.Array


def _without_foreign_folders(names: pa.Array, root: Path, places: Sequence[str]) -> pa.Array:
    """Only the last part of names whose folder is that of another machine, or an address."""
    folders = folders_of(names)
    foreign = [
        _ELSEWHERE.match(folder) is not None
        and not any((root / place / folder).is_dir() for place in places)
        for folder in folders.dictionary.to_pylist()
    ]
    if not any(foreign):
        return names
    rows = pa.array(foreign, pa.bool_()).take(folders.indices)
    return pc.if_else(rows, last_parts(names), names)


def _apply(pattern: str | None, names: pa.Array) -> pa.Array:
    if pattern is None:
        return names
    if "{id}" in pattern:
        before, *after = pattern.replace("\\", "/").split("{id}")
        paths = joined(before, names)
        for text in after[:-1]:
            paths = joined(joined(paths, text), names)
        return joined(paths, after[-1])
    if not pattern.startswith(".") or "/" in pattern:
        raise ConfigError(
            f"the pattern of image files must contain {{id}}, as {{id}}.jpg does, or be an "
            f"extension such as .jpg; got {pattern!r}"
        )
    complete = pc.ends_with(names, pattern, ignore_case=True)
    return pc.if_else(complete, names, joined(names, pattern))


def _expand(root: Path, folder: str) -> list[str]:
    """The folders that a pattern fits; a folder that is none stays, and lacks its files."""
    folder = folder.replace("\\", "/") or "."
    if not glob.has_magic(folder) or (root / folder).is_dir():
        return [folder]
    found = glob.glob(folder, root_dir=root, recursive=True)  # noqa: PTH207 - may be absolute
    return sorted(f.replace(os.sep, "/") for f in found if (root / f).is_dir()) or [folder]


def _prefix(folder: str) -> str:
    """What a path in the folder begins with."""
    folder = folder.rstrip("/") + "/"
    return "" if folder == "./" else folder


def _stages(
    root: Path, folders: Sequence[str], names: pa.Array, *, without_suffix: bool
) -> Iterator[_Files]:
    """Where names are looked up, the nearest first."""
    listed = _listed(root, folders, names)
    yield listed
    if without_suffix:
        yield _by_stem(listed)
    below = _below(root, folders)
    yield below
    if without_suffix:
        yield _by_stem(below)


def _listed(root: Path, folders: Sequence[str], names: pa.Array) -> _Files:
    """The files of the folders, and of those within them that names mention; by path."""
    inside = folders_of(names).dictionary.to_pylist()
    keys, paths = [pa.array([], _TEXT)], [pa.array([], _TEXT)]
    for folder in folders:
        for part in {"", *inside}:
            start = part if re.match(_ROOTED, part) else _prefix(folder) + part
            found = StringColumn.from_iterable(file_names(root / start)).array
            keys.append(joined(part, found))
            paths.append(joined(start, found))
    return _Files(root, pa.concat_arrays(keys), pa.concat_arrays(paths))


def _below(root: Path, folders: Sequence[str]) -> _Files:
    """The images below those folders that have no image themselves, by their last part."""
    keys: list[str] = []
    paths: list[str] = []
    for folder in folders:
        top = root / folder
        if any(Path(name).suffix.lower() in IMAGE_SUFFIXES for name in file_names(top)):
            continue
        seen = set()  # links may lead back
        for place, inside, names in os.walk(top, followlinks=True):
            seen.add(Path(place).resolve())
            inside[:] = sorted(
                name
                for name in inside
                if not name.startswith(".") and (Path(place) / name).resolve() not in seen
            )
            start = _prefix(folder) + _prefix(Path(place).relative_to(top).as_posix())
            named = [name for name in names if is_unicode(name)]
            keys += named
            paths += [start + name for name in named]
    columns = (StringColumn.from_iterable(strings).array for strings in (keys, paths))
    return _Files(root, *columns)


def _by_stem(files: _Files) -> _Files:
    """The images among the files, without their extension."""
    images = pc.match_substring_regex(files.keys, _IS_IMAGE)
    stems = pc.replace_substring_regex(files.keys.filter(images), r"\.[^./]+$", "")
    return _Files(files.root, stems, files.paths.filter(images))


def _look_up(files: _Files, names: pa.Array) -> pa.Array:
    """The first file of each name, null where there is none."""
    twice = pa.array(duplicates(StringColumn(files.keys)), _TEXT)
    if len(twice):
        _refuse_different(files, twice.filter(pc.is_in(twice, value_set=names)))
    return files.paths.take(pc.index_in(names, value_set=files.keys))


def _refuse_different(files: _Files, names: pa.Array) -> None:
    """Refuse names of several files, if those are not of the same size, or some differ within."""
    rows = pc.is_in(files.keys, value_set=names)
    places: dict[str, list[Path]] = {}
    for key, path in zip(files.keys.filter(rows).to_pylist(), files.paths.filter(rows).to_pylist()):
        if (file := files.root / path).is_file():  # no link that leads nowhere
            places.setdefault(key, []).append(file)
    for seen, (name, (first, *others)) in enumerate(places.items()):
        for other in others:
            same = first.stat().st_size == other.stat().st_size
            if same and seen < _COMPARED:
                same = filecmp.cmp(first, other, shallow=False)
            if not same:
                raise DataError(
                    f"the image {name!r} may be {first} or {other}, which are not the same; name "
                    "it with its folder or extension, or say with `images` which folder is meant"
                )
