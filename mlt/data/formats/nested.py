"""Values within objects: what `annotations.label` means in JSON records and in cells of JSON."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from mlt.data.columns import StringColumn
from mlt.errors import DataError
from mlt.files import NOT_JSON

__all__ = ["cell_value", "names_in_objects", "outer_column", "paths_to", "strings_at"]

_LISTS = pa.large_list(pa.large_string())
_EVERY = "*"
_SHOWN = 8


def outer_column(name: str, header: Sequence[str]) -> str | None:
    """The column that holds what a name with dots is about; None for a column, or for no such name.

    Example:
        >>> outer_column("choice.choices", ["image", "choice"])
        'choice'
    """
    if name in header:
        return None
    return max((c for c in header if c and name.startswith(f"{c}.")), key=len, default=None)


def paths_to(key: str, records: Iterable[Any]) -> list[str]:
    """Where objects hold a key, with dots between the keys on the way, the shortest first.

    ``*`` stands for keys that change from one to the other.

    Example:
        >>> paths_to("label", [{"boxes": [{"label": "cat"}]}, {"label": None}])
        ['label', 'boxes.label']
        >>> paths_to("name", [{"a": {"name": "cat"}}, {"b": {"name": "dog"}}])
        ['*.name']
    """
    found = dict.fromkeys(path for record in records for path in _paths(key, record))
    starred: dict[tuple[str, ...], None] = {}
    for path in found:
        for n in range(len(path) - 1):
            if any(path != p and path[:n] == p[:n] and path[n + 1 :] == p[n + 1 :] for p in found):
                path = (*path[:n], _EVERY, *path[n + 1 :])
                break
        starred[path] = None
    return [".".join(path) for path in sorted(starred, key=len)]


def _paths(key: str, value: Any) -> Iterator[tuple[str, ...]]:
    for item in value if isinstance(value, list) else [value]:
        for outer, inner in item.items() if isinstance(item, dict) else ():
            if outer == key:
                yield (key,)
            elif isinstance(inner, (dict, list)):
                yield from ((outer, *path) for path in _paths(key, inner))


def strings_at(
    values: Iterable[Any], path: str, name: str, place: Callable[[int], str]
) -> tuple[pa.Array, tuple[str, ...]]:
    """What each of N values has at a path, as text or, where a list is on the way, as lists of it.

    Args:
        values: Objects, lists, numbers, None, or text, which may be JSON or a Python literal.
        path: Keys with dots between them; ``*`` stands for every key. What is within lists is taken
            from each of their items. Of an object of truth values (or 0 and 1) at the end, the keys
            that are true are taken.
        name: What the column is called in messages.
        place: File and line of a value, for messages.

    Returns:
        N large strings, or N large lists of them; and notes on what a user should know.

    Raises:
        DataError: If there is an object at the end, a number on the way, or no such key anywhere.

    Example:
        >>> records = [{"boxes": [{"label": "cat"}, {"label": "dog"}]}, {"boxes": []}]
        >>> strings_at(records, "boxes.label", "boxes.label", str)[0].to_pylist()
        [['cat', 'dog'], []]
    """
    walk = _Walk(name)
    rows: list[list[str]] = []
    try:
        for value in values:
            value = cell_value(value) if isinstance(value, str) else value
            rows.append([str(found) for found in walk.follow(value, path)])
    except ValueError as error:
        raise DataError(f"{place(len(rows))}: {name!r} {error}") from None
    if walk.lacking and not walk.arrived:
        shown = ", ".join(map(repr, list(walk.lacking)[:_SHOWN]))
        raise DataError(
            f"{place(0)}: nothing is at {name!r}; the objects on the way have {shown} (* stands "
            "for any of them)"
        )
    notes: tuple[str, ...] = ()
    if walk.texts:
        notes = (f"{walk.texts} cells have text where {name!r} expects an object; taken as it is",)
    if walk.through_lists or any(len(found) > 1 for found in rows):
        return pa.array(rows, _LISTS), notes
    return StringColumn.from_iterable(found[0] if found else "" for found in rows).array, notes


def names_in_objects(
    cells: pa.Array, name: str, place: Callable[[int], str]
) -> tuple[pa.Array, tuple[str, ...]]:
    """Cells of names as they are, or as lists of the names that objects in them say are true.

    Args:
        cells: N large strings or lists of them, of a column of names.
        name: What the column is called in messages.
        place: File and line of a cell, for messages.

    Returns:
        As of :func:`strings_at`.

    Raises:
        DataError: If objects hold something else; names a key that may be meant.
    """
    if pa.types.is_large_list(cells.type):
        return cells, ()
    braces = cells.filter(pc.starts_with(cells, "{"))
    if not len(braces) or not _is_object(braces[0].as_py()):
        return cells, ()
    return strings_at(cells.to_pylist(), "", name, place)


def _is_object(text: str) -> bool:
    try:
        return isinstance(cell_value(text), dict)
    except ValueError:
        return False


def cell_value(text: str) -> Any:
    """What a cell means that holds a JSON or Python literal; other text stays text.

    Raises:
        ValueError: If it begins like an object or a list, but is not one.

    Example:
        >>> cell_value('{"choices": ["cat"]}'), cell_value("{'cat': 1}"), cell_value("cat")
        ({'choices': ['cat']}, {'cat': 1}, 'cat')
    """
    text = text.strip()
    if text[:1] not in ("{", "["):
        return text or None
    try:
        return msgspec.json.decode(text)
    except NOT_JSON:
        try:
            return ast.literal_eval(text)
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            raise ValueError(f"holds {text[:60]!r}, which is neither JSON nor Python") from None


class _Walk:
    """Follows a path into values, and remembers what it met."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.arrived = self.through_lists = False
        self.texts = 0
        self.lacking: dict[str, None] = {}  # keys of objects that lack the next one

    def follow(self, value: Any, path: str) -> Iterator[Any]:
        if value is None:
            return
        if isinstance(value, list):
            self.through_lists = True
            for item in value:
                if isinstance(item, list):
                    raise ValueError("holds a list within a list, not text or a number")
                yield from self.follow(item, path)
        elif isinstance(value, dict):
            yield from self._into(value, path) if path else self._names(value)
        elif not path:
            self.arrived = True
            yield value
        elif isinstance(value, str):
            self.texts += 1
            yield value
        else:
            raise ValueError(f"leads to {value!r}, not to an object with {path!r}")

    def _into(self, value: dict[str, Any], path: str) -> Iterator[Any]:
        if path in value:  # before all others, because most paths are one key
            yield from self.follow(value[path], "")
            return
        if path.split(".", 1)[0] == _EVERY:
            rest = path[len(_EVERY) + 1 :]
            for inner in value.values():
                if not rest or isinstance(inner, (dict, list)):
                    yield from self.follow(inner, rest)
            return
        keys = [key for key in value if path == key or path.startswith(f"{key}.")]
        if keys:
            key = max(keys, key=len)
            yield from self.follow(value[key], path[len(key) + 1 :])
        else:
            self.lacking |= dict.fromkeys(value)

    def _names(self, value: dict[str, Any]) -> Iterator[str]:
        """The names that an object says are true."""
        if not all(isinstance(inner, (bool, int)) and inner in (0, 1) for inner in value.values()):
            key = next(iter(value))
            raise ValueError(
                f"holds an object with {', '.join(map(repr, list(value)[:_SHOWN]))}; name what is "
                f"meant, as in '{self.name}.{key}', or '{self.name}.*' for all of its values"
            )
        self.arrived = self.through_lists = True
        yield from (key for key, inner in value.items() if inner)
