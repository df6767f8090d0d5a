"""Tar shards: which they are, what lies where in them, and reading it by offset.

Nothing is extracted. A member's name is only a name, whatever path it spells; links, devices and
sparse files are passed over.
"""

from __future__ import annotations

import glob
import itertools
import re
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mlt.errors import DataError, MissingFileError

__all__ = ["Member", "ShardImages", "find_shards", "list_members"]

_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
_MOST_SHARDS = 1_000_000
_PATH = re.compile(r"(.+?)@(\d+)\+(\d+)/", re.DOTALL)


class Member(NamedTuple):
    """A file in a shard.

    Attributes:
        name: As the archive spells it.
        offset: Where its content begins, in bytes.
        size: Of its content, in bytes.
    """

    name: str
    offset: int
    size: int

    def path(self, shard: str) -> str:
        """What :class:`ShardImages` reads it by."""
        return f"{shard}@{self.offset}+{self.size}/{self.name}"


@dataclass(frozen=True)
class ShardImages:
    """Reads images out of shards, by paths such as ``train-000.tar@1536+2301/0001.jpg``.

    Attributes:
        root: The folder of the shards.
    """

    root: Path

    def read(self, path: str) -> bytes:
        """The content of a member.

        Raises:
            DataError: If it cannot be read, or its shard is shorter than it was.
            MissingFileError: If the shard does not exist.
        """
        place = _PATH.match(path)
        if place is None:
            raise DataError(f"The image {path} is not a place in a shard.")
        shard, offset, size = self.root / place[1], int(place[2]), int(place[3])
        try:
            with shard.open("rb") as file:
                file.seek(offset)
                content = file.read(size)
        except FileNotFoundError:
            raise MissingFileError(f"The shard of the image {path}, {shard}, is absent.") from None
        except OSError as error:
            raise DataError(f"The image {path} cannot be read from {shard}: {error}.") from error
        if len(content) < size:
            raise DataError(f"The image {path} cannot be read: {shard} is cut off. Fetch it again.")
        return content


def find_shards(root: Path, patterns: Sequence[str]) -> list[str]:
    """List the shards that patterns stand for, relative to ``root``, each once.

    Args:
        root: The folder that they start from.
        patterns: Names, with ``{000..003}``, ``{a,b}``, ``*``, ``?`` and ``[0-9]``.

    Raises:
        MissingFileError: If one fits no file.
        DataError: If one stands for more than a million.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in ("a-00.tar", "a-01.tar", "b.tar"):
        ...     (folder / name).touch()
        >>> find_shards(folder, ["b.tar", "a-{00..01}.tar"]), find_shards(folder, ["a*.tar"])
        (['b.tar', 'a-00.tar', 'a-01.tar'], ['a-00.tar', 'a-01.tar'])
    """
    shards: dict[str, None] = {}
    for pattern in patterns:
        for name in _expand(pattern):
            found = [name] if (root / name).is_file() else []
            if not found and glob.has_magic(name):
                found = sorted(glob.glob(name, root_dir=root, recursive=True))  # noqa: PTH207
            if not found:
                raise MissingFileError(f"there is no shard {root / name}, which {pattern!r} names")
            shards |= dict.fromkeys(found)
    return list(shards)


def list_members(shard: Path) -> Iterator[Member]:
    """The files of a shard, in order.

    Raises:
        DataError: If it is not a tar file, is compressed as a whole, or is cut off.
    """
    try:
        with tarfile.open(shard, "r:") as archive:
            for member in archive:
                if member.isreg() and not member.issparse():
                    yield Member(member.name, member.offset_data, member.size)
    # Odd headers raise ValueError and OverflowError too.
    except (tarfile.TarError, OSError, EOFError, ValueError, OverflowError) as error:
        packed = _compression(shard)
        raise DataError(
            f"{shard} cannot be read as a tar file: "
            + (
                f"it is compressed ({packed}), so that nothing can be read by its place; unpack it "
                "to a .tar, as images are compressed already"
                if packed
                else f"{error}. Fetch it again"
            )
        ) from error


def _compression(file: Path) -> str | None:
    with file.open("rb") as stream:
        start = stream.read(6)
    magic = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
    return next((name for begin, name in magic.items() if start.startswith(begin)), None)


def _expand(pattern: str) -> Iterator[str]:
    """The names that braces stand for, as in a shell."""
    choices: list[Sequence[str]] = []
    for at, piece in enumerate(_BRACES.split(pattern)):
        if at % 2 == 0:
            choices.append([piece])
        elif counted := _RANGE.fullmatch(piece):
            first, last = counted.groups()
            width = len(first) if first.startswith("0") else 0
            numbers = range(int(first), min(int(last), int(first) + _MOST_SHARDS) + 1)
            choices.append([f"{number:0{width}}" for number in numbers])
        else:
            choices.append(piece.split(","))
    for count, parts in enumerate(itertools.product(*choices)):
        if count == _MOST_SHARDS:
            raise DataError(f"{pattern!r} stands for more than {_MOST_SHARDS:,} shards")
        yield "".join(parts)
