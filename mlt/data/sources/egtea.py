"""EGTEA Gaze+: actions in cooking, as one image per clip."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from mlt.data.sources.base import DataSource, Fraction, OwnDataSettings, Part
from mlt.data.sources.csv import Files, as_names
from mlt.data.sources.known import KnownDataSet
from mlt.errors import MissingFileError
from mlt.settings import UserPath

if TYPE_CHECKING:
    from mlt.data.labels import LabelTable

__all__ = ["EgteaData", "EgteaSource"]

_FILES = "action_annotation"
"""The folder that the archive of the lists unpacks to."""


class EgteaData(OwnDataSettings):
    """EGTEA Gaze+: 10,321 clips of cooking, 19 verbs or 106 actions, with three official splits."""

    name: Literal["egtea"]
    root: UserPath = "data/egtea"
    """Folder that holds the lists, or action_annotation/ with them, and the frames of the clips."""
    official_split: Literal[1, 2, 3] = 1
    """Which of the official splits to train and test on."""
    label: Literal["verb", "action"] = "verb"
    """What the classes are: the 19 verbs, or the 106 actions, which are a verb and its nouns."""
    train: str = "train_split{split}.txt"
    """List of the training clips, or frames; `{split}` is the number of the official split."""
    test: str | None = "test_split{split}.txt"
    """List of the test clips, or frames."""
    validation: Fraction | None = None
    """The fraction of the training clips to cut out to choose the best epoch by, with whole
    recordings; null watches the test clips."""
    images: Files = ("extracted_frames", "frames", ".")
    """Folders in which the frames are looked for: session/clip/000001.jpg, clip/000001.jpg,
    session/clip.jpg or clip.jpg."""
    frames: int = Field(1, ge=1)
    """Frames of each training clip, at even distances; 1 is the one in the middle. Of a test clip
    it is always that one."""

    def source(self, cache: Path | None = None) -> EgteaSource:
        """What reads this data."""
        return EgteaSource(self, cache)


class EgteaSource(DataSource[EgteaData]):
    """Reads the lists of clips, and finds their frames."""

    @property
    def published(self) -> KnownDataSet:
        """What is published of the chosen split."""
        settings = self.settings
        sizes: dict[Part, int] = {"train": 8_299, "test": 2_022}
        return KnownDataSet(
            archives=("action_annotation.zip", "video_clips.tar, with the frames extracted"),
            layout=(
                "train_split1.txt, test_split1.txt and so on, or action_annotation/ with them, and "
                "the frames in extracted_frames/<session>/<clip>/ (https://cbs.ic.gatech.edu/fpv)"
            ),
            images=sizes if settings.official_split == settings.frames == 1 else {},
            classes={"verb": 19, "action": 106}[settings.label],
        )

    def part_file(self, part: Part) -> Path:
        """The list of a part, in the root or in the folder that the lists come in."""
        named = getattr(self.settings, part)
        return self._file(named.replace("{split}", str(self.settings.official_split)))

    def files(self) -> list[Path]:
        """The list of the training clips."""
        return [self.part_file("train")]

    def image_folders(self) -> Sequence[str]:
        """The folders that frames are looked for in."""
        return as_names(self.settings.images)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of all verbs or actions."""
        from mlt.data.formats.egtea import class_names_of, read_clips

        label = self.settings.label
        file = self._file(f"{label}_idx.txt")
        clips = read_clips(self.part_file("train"))
        return class_names_of(file if file.is_file() else None, clips, label)

    def read(self, part: Part, class_names: Sequence[str] | None) -> LabelTable:
        """Read a part; says what to download if its list is not there."""
        from mlt.data.formats.egtea import clip_table, read_clips

        settings, file = self.settings, self.part_file(part)
        self.published.require(file, self.root)
        clips = read_clips(file)
        frames = settings.frames if part == "train" else 1
        try:
            table = clip_table(
                clips, self.names, settings.label, self.root, self.image_folders(), frames
            )
        except MissingFileError as error:
            raise MissingFileError(f"{error} (listed in {file})") from None
        return self.published.compared(table, part)

    def _file(self, name: str) -> Path:
        inside = self.root / _FILES / name
        return inside if inside.is_file() and not (self.root / name).is_file() else self.root / name
