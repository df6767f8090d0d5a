"""Keep a label table beside a run, and build it again when its source has changed."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import mlt
from mlt.data.digests import source_digest, source_files
from mlt.data.labels import LabelTable
from mlt.errors import DataError, MissingFileError
from mlt.files import read_json_object, write_json_object

__all__ = ["cached_table"]

log = logging.getLogger(__name__)


def cached_table(
    cache_file: str | Path,
    sources: Iterable[str | Path],
    arguments: Mapping[str, Any],
    build: Callable[[], LabelTable],
    digest: Callable[[Path], str] = source_digest,
    folders: Callable[[LabelTable], Sequence[Path] | None] = lambda _: (),
) -> tuple[LabelTable, bool]:
    """Load a table from ``cache_file`` if it is still right, else build it and write it there.

    It is right if it was built by this version with the same arguments from sources of the same
    size and modification time; where only the time differs, the SHA-256 decides. A cache whose own
    size or modification time is another one than it was written with is built again. What it was
    built from is written beside it, with the suffix ``.json``. Its arrays are memory-mapped, so
    that a table of any size is there at once.

    Args:
        cache_file: The ``.npz`` to keep the table in; its folder is made.
        sources: Annotation files, or folders of them, that ``build`` reads.
        arguments: What else the result depends on, as values that JSON can hold.
        build: Reads the sources.
        digest: Fingerprint of a source; its SHA-256 by default.
        folders: Folders whose lists of files the table depends on; None: it is not to be kept.

    Returns:
        The table, and whether it came from the cache.

    Raises:
        MissingFileError: If a source does not exist, whether or not there is a cache.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "names.txt").write_text("a.jpg")
        >>> def build():
        ...     return LabelTable.from_lists([1], ["a.jpg"], ["cat"], [[0]])
        >>> arguments = folder / "table.npz", [folder / "names.txt"], {"size": 0}
        >>> [cached_table(*arguments, build)[1] for _ in range(2)]
        [False, True]
    """
    cache_file = Path(cache_file)
    record_file = cache_file.with_suffix(".json")
    paths = [Path(s) for s in sources]
    about = {"version": mlt.__version__, "arguments": json.loads(json.dumps(dict(arguments)))}
    states = [_state(path) for path in paths]

    record = _read_record(record_file)
    if record is not None and record["about"] == about and len(record["sources"]) == len(states):
        pairs = list(zip(paths, states, record["sources"]))
        unchanged = all(_modified(folder) == then for folder, then in record["folders"].items())
        if unchanged and all(_same(*pair, digest) for pair in pairs):
            table = _mapped(cache_file, record["table"])
            if table is not None:
                if any(now["mtime_ns"] != then["mtime_ns"] for _, now, then in pairs):
                    # Spare the next start the digest.
                    current = [{**then, **now} for _, now, then in pairs]
                    write_json_object(record_file, {**record, "sources": current})
                return table, True

    digests = [digest(path) for path in paths]
    started = time.time_ns()
    table = build()
    watched = folders(table)
    if watched is None:
        return table, False
    if any((_modified(folder) or 0) >= started for folder in watched):
        return table, False  # files came or went while they were looked for
    described = [{**state, "sha256": digest} for state, digest in zip(states, digests)]
    try:
        # Before the folders are looked at, of which it may be in one.
        cache_file.parent.mkdir(parents=True, exist_ok=True)
        modified = {str(folder): _modified(folder) for folder in watched}
        # The stamp in the record is that of this very table, whoever else writes the two files.
        stamp = table.save(cache_file)
        write_json_object(
            record_file,
            {
                "about": about,
                "sources": described,
                "folders": modified,
                "table": list(stamp),
            },
        )
    except OSError as error:
        log.warning(
            "the labels are read again next time: %s cannot be written: %s", cache_file, error
        )
    return table, False


def _state(source: Path) -> dict[str, Any]:
    stats = [file.stat() for file in source_files(source)]
    return {
        "path": str(source.resolve()),
        "files": len(stats),
        "size": sum(s.st_size for s in stats),
        "mtime_ns": max((s.st_mtime_ns for s in stats), default=0),
    }


def _modified(folder: str | Path) -> int | None:
    """When a file was last added to a folder or removed from it; None if there is none."""
    try:
        return Path(folder).stat().st_mtime_ns
    except OSError:
        return None


def _same(
    source: Path, now: dict[str, Any], then: dict[str, Any], digest: Callable[[Path], str]
) -> bool:
    if any(now[key] != then[key] for key in ("path", "files", "size")):
        return False
    return now["mtime_ns"] == then["mtime_ns"] or digest(source) == then["sha256"]


def _read_record(file: Path) -> dict[str, Any] | None:
    keys = {"path", "files", "size", "mtime_ns", "sha256"}
    try:
        record = read_json_object(file)
        if not record:
            return None
        whole = all(keys <= s.keys() for s in record["sources"]) and record["table"]
        whole = whole and isinstance(record["folders"], dict)
        return record if whole and record["about"] else None
    except (OSError, DataError, TypeError, KeyError, AttributeError):
        log.warning("%s is damaged; the label table is built again", file)
        return None


def _mapped(file: Path, stamp: Any) -> LabelTable | None:
    try:
        return LabelTable.map(file, stamp)
    except MissingFileError:
        pass
    except Exception as error:  # damage makes zipfile, struct and numpy raise a dozen kinds
        log.warning("%s is not as it was written; it is built again (%s)", file, error)
    return None
