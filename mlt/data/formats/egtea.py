"""EGTEA Gaze+: lists of clips with their action and verb, and the frames of each clip."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from mlt.data.columns import StringColumn
from mlt.data.formats.text_lines import text_lines
from mlt.data.image_suffixes import IMAGE_SUFFIXES
from mlt.data.labels import LabelTable
from mlt.errors import DataError, MissingFileError

__all__ = ["Clip", "Label", "class_names_of", "clip_table", "read_clips"]

Label: TypeAlias = Literal["verb", "action"]


class Clip(NamedTuple):
    """A line of a list.

    Attributes:
        name: The clip, ``OP01-R01-PastaSalad-66680-68130-F001597-F001639``, or the path of a frame.
        action: Its action, a verb and its nouns, from 1 on.
        verb: Its verb, from 1 on.
    """

    name: str
    action: int
    verb: int

    @property
    def session(self) -> str:
        """The recording that it is a part of, ``OP01-R01-PastaSalad``."""
        return "-".join(self.name.rpartition("/")[2].split("-")[:3])


def read_clips(file: Path) -> list[Clip]:
    """Read an official list: a line per clip, with the numbers of its action, verb and nouns.

    Raises:
        MissingFileError: If there is no such file.
        DataError: If a line is something else, or lists a clip again; names it.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "train_split1.txt"
        >>> _ = file.write_text("P21-R05-Cheeseburger-704410-706220-F016901-F016954 5 2 5 7\\n")
        >>> [clip] = read_clips(file)
        >>> clip.session, clip.action, clip.verb
        ('P21-R05-Cheeseburger', 5, 2)
    """
    clips: dict[str, Clip] = {}
    for place, line in enumerate(text_lines(file), 1):
        if not (words := line.split()):
            continue
        name, *numbers = words
        if len(numbers) < 2 or not all(n.isdecimal() and 0 < int(n) < 10_000 for n in numbers):
            raise DataError(
                f"{file}, line {place}: expected a clip and the numbers of its action, verb and "
                f"nouns, from 1 on, got {line[:100]!r}"
            )
        if name in clips:
            raise DataError(f"{file}, line {place}: the clip {name} is listed already")
        clips[name] = Clip(name, int(numbers[0]), int(numbers[1]))
    if not clips:
        raise DataError(f"{file} lists no clip")
    return list(clips.values())


def class_names_of(file: Path | None, clips: Sequence[Clip], label: Label) -> tuple[str, ...]:
    """The names of the verbs or actions, by their numbers.

    Args:
        file: ``verb_idx.txt`` or ``action_idx.txt``, which has a name and its number in each line;
            None takes the numbers that training clips have.
        clips: The training clips.
        label: Which.

    Raises:
        DataError: If the file is not complete, or has a number or a name twice.
    """
    if file is None:
        return tuple(str(number + 1) for number in range(max(getattr(c, label) for c in clips)))
    name_of: dict[int, str] = {}
    for line in filter(str.strip, text_lines(file)):
        name, _, number = line.strip().rpartition(" ")
        if not name or not number.isdecimal() or int(number) in name_of:
            raise DataError(f"{file}: expected a name and its own number, got {line[:100]!r}")
        name_of[int(number)] = name.strip()
    if sorted(name_of) != list(range(1, len(name_of) + 1)):
        raise DataError(f"{file}: the numbers must be 1 to {len(name_of)}, each once")
    return tuple(name_of[number] for number in sorted(name_of))


def clip_table(
    clips: Sequence[Clip],
    class_names: Sequence[str],
    label: Label,
    root: Path,
    folders: Sequence[str],
    frames: int = 1,
) -> LabelTable:
    """The label table of the frames of clips.

    The frames of a clip are the images in ``folder/session/clip/`` or ``folder/clip/``, in the
    order of their numbers; or it is one image, ``folder/session/clip.jpg`` or ``folder/clip.jpg``.

    Args:
        clips: The clips, or single frames where their names are paths of images.
        class_names: C names, by number.
        label: Whether the classes are verbs or actions.
        root: The folder that ``folders`` start from.
        folders: Where the frames are looked for, in this order.
        frames: Frames of each clip, at even distances; 1 is the one in the middle. Of a clip that
            has fewer, all are taken.

    Returns:
        A table with one label per frame, and the recording of each as its group.

    Raises:
        MissingFileError: If a clip has no frame.
        DataError: If a number has no name.
    """
    if wrong := [clip for clip in clips if getattr(clip, label) > len(class_names)]:
        raise DataError(
            f"the clip {wrong[0].name} has the {label} {getattr(wrong[0], label)}, but there are "
            f"{len(class_names)}, 1 to {len(class_names)}"
        )
    found = {clip: list(_frames(clip, root, folders)) for clip in clips}
    if absent := [clip for clip, paths in found.items() if not paths]:
        raise MissingFileError(_no_frames(absent, len(clips), root, folders))
    rows = [(clip, path) for clip, paths in found.items() for path in _evenly(paths, frames)]
    table = LabelTable.from_lists(
        [clip.name if frames == 1 else f"{clip.name}/{Path(path).stem}" for clip, path in rows],
        [path for _, path in rows],
        class_names,
        [[getattr(clip, label) - 1] for clip, _ in rows],
        root,
    )
    sessions = StringColumn.from_iterable(clip.session for clip, _ in rows)
    return replace(table, groups=sessions)


def _frames(clip: Clip, root: Path, folders: Sequence[str]) -> Iterator[str]:
    """The frames of a clip, relative to the root, in the first place that has any."""
    if Path(clip.name).suffix.lower() in IMAGE_SUFFIXES:
        places = [place for f in folders if (root / (place := _joined(f, clip.name))).is_file()]
        yield from places[:1]
        return
    for folder in folders:
        for parent in (_joined(folder, clip.session), folder):
            inside = _joined(parent, clip.name)
            if names := _images(root / inside):
                yield from (_joined(inside, name) for name in names)
                return
            for suffix in sorted(IMAGE_SUFFIXES):
                if (root / f"{inside}{suffix}").is_file():
                    yield f"{inside}{suffix}"
                    return


def _joined(folder: str, name: str) -> str:
    return name if folder == "." else f"{folder}/{name}"


def _images(folder: Path) -> list[str]:
    """The images in a folder, 2.jpg before 10.jpg."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        names = [e.name for e in entries if Path(e.name).suffix.lower() in IMAGE_SUFFIXES]
    return sorted(names, key=lambda name: (len(name), name))


def _evenly(paths: Sequence[str], count: int) -> list[str]:
    """As many of the paths, each in the middle of its share of them."""
    count = min(count, len(paths))
    return [paths[(2 * k + 1) * len(paths) // (2 * count)] for k in range(count)]


def _no_frames(absent: Sequence[Clip], total: int, root: Path, folders: Sequence[str]) -> str:
    first = absent[0]
    inside = f"{folders[0]}/{first.session}/{first.name}"
    return (
        f"data: {len(absent)} of {total} clips have no frame below {root} in {', '.join(folders)}, "
        f"first {first.name}. Extract the frames of the clips, for example: ffmpeg -i "
        f"cropped_clips/{first.session}/{first.name}.mp4 {root}/{inside}/%06d.jpg"
    )
