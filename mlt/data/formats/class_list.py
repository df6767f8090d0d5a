"""Lists of images with the number of their class, ``folder/image.jpg 17``, to a label table."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mlt.data.formats.text_lines import text_lines
from mlt.data.labels import LabelTable
from mlt.errors import DataError

__all__ = ["names_of_numbers", "read_class_list", "read_class_names"]

_NUMBER = re.compile(r"0*(\d{1,6})")


def read_class_list(file: Path, root: str | Path, class_names: Sequence[str]) -> LabelTable:
    """Read a list as a label table with one label per image; its ids are the paths.

    Args:
        file: A text file with a line per image: its path, which may hold blanks, and the number of
            its class, from 0 on.
        root: The folder that the paths start from.
        class_names: C names, by number.

    Raises:
        MissingFileError: If there is no such file.
        DataError: If a line is something else, or its number has no name; names the line.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "train.txt"
        >>> _ = file.write_text("train/n02/a b.jpg 1\\ntrain/n01/c.jpg 0\\n")
        >>> names = names_of_numbers(file)
        >>> table = read_class_list(file, "images", names)
        >>> names, table.paths.tolist(), table.labels.indices.tolist()
        (('n01', 'n02'), ['train/n02/a b.jpg', 'train/n01/c.jpg'], [1, 0])
    """
    paths, numbers = _read(file)
    if len(wrong := np.flatnonzero(numbers >= len(class_names))):
        raise DataError(
            f"{file}: {paths[wrong[0]]!r} is of class {numbers[wrong[0]]}, but there are "
            f"{len(class_names)} classes, 0 to {len(class_names) - 1}"
        )
    try:
        return LabelTable.from_lists(paths, paths, class_names, numbers[:, None], root)
    except DataError as error:
        raise DataError(f"{file}: {error}") from None


def names_of_numbers(file: Path) -> tuple[str, ...]:
    """Names for the class numbers of a training list.

    Where the images of each class are in a folder of its own, as those of ImageNet and Places are,
    it is the folder, without the first one of the path; otherwise it is the number.

    Raises:
        MissingFileError: If there is no such file.
        DataError: If a line is not an image and a number.
    """
    paths, numbers = _read(file)
    folders = [path.rpartition("/")[0].partition("/")[2] for path in paths]
    folder_of = dict(zip(numbers.tolist(), folders))
    names = [folder_of.get(number, "") for number in range(numbers.max(initial=-1) + 1)]
    one_each = all(folder_of[number] == name for number, name in zip(numbers.tolist(), folders))
    if one_each and "" not in names and len({*names}) == len(names):
        return tuple(names)
    return tuple(map(str, range(len(names))))


def read_class_names(file: Path) -> tuple[str, ...]:
    """Read a text file with the name of a class per line, in the order of their numbers.

    Names that several classes share get the number behind them.

    Raises:
        MissingFileError: If there is no such file.
        DataError: If it is not text, or has no name.
    """
    names = [line.strip() for line in text_lines(file)]
    if not names or not all(names):
        raise DataError(f"{file} must have the name of a class in every line")
    shared = {name for name, count in Counter(names).items() if count > 1}
    return tuple(
        f"{name} ({number})" if name in shared else name for number, name in enumerate(names)
    )


class _List(NamedTuple):
    paths: list[str]
    numbers: np.ndarray


def _read(file: Path) -> _List:
    paths, numbers = [], []
    for place, line in enumerate(text_lines(file), 1):
        if not (words := line.rsplit(maxsplit=1)):
            continue
        number = _NUMBER.fullmatch(words[-1])
        if len(words) != 2 or number is None:
            raise DataError(
                f"{file}, line {place}: expected an image and the number of its class, such as "
                f"'train/n01440764/n01440764_10026.JPEG 0', got {line[:100]!r}"
            )
        paths.append(words[0].strip().removeprefix("./"))
        numbers.append(int(number[1]))
    if not paths:
        raise DataError(f"{file} lists no image")
    return _List(paths, np.array(numbers, np.int64))
