"""What the published benchmarks share: their split, and how to get their images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from mlt.data.sources.base import DataSettings, DataSource
from mlt.data.sources.folder_below import hint_of_folder_below
from mlt.errors import MissingFileError
from mlt.settings import UserPath

if TYPE_CHECKING:
    from mlt.data.labels import LabelTable
    from mlt.data.splits.split import Split

__all__ = ["PublishedSettings", "PublishedSource", "how_to_get"]


class PublishedSettings(DataSettings):
    """What the published benchmarks share."""

    image_ids: UserPath | None = None
    """A list of training ids, one per line; exactly these images are then used."""


S = TypeVar("S", bound=PublishedSettings)


class PublishedSource(DataSource[S]):
    """A data set that is not part of this package, with a published long-tailed split."""

    archives: tuple[str, ...]
    """What to download."""
    layout: str
    """What the root then holds, and where the archives are."""

    def require(self, *paths: Path) -> None:
        """Refuse to go on without a part of the data set; says how to get it."""
        for path in paths:
            if not path.exists():
                missing = path.relative_to(self.root).as_posix()
                raise MissingFileError(how_to_get(self.archives, self.layout, self.root, missing))

    def build_split(self, table: LabelTable, sources: Sequence[Path] = ()) -> Split:
        """Build the published split, by its recipe or of the given ids."""
        from mlt.data.splits.build import build_published_split, read_image_ids

        ids = read_image_ids(self.settings.image_ids) if self.settings.image_ids else None
        name = self.settings.name  # type: ignore[attr-defined]
        return build_published_split(name, table, image_ids=ids, sources=sources)

    def check(self, table: LabelTable, part: str) -> None:
        """Refuse a part without images, or whose image files are not all there."""
        if len(table):
            self.require(table.image_path(0).parent)
        super().check(table, part)


def how_to_get(
    archives: Sequence[str],
    layout: str,
    root: Path,
    missing: str,
    elsewhere: str = "--set data.root=FOLDER (build-split: --root FOLDER)",
) -> str:
    """Say what to download and where to put it.

    Args:
        archives: What to download.
        layout: What the folder then holds.
        root: Where it was looked for.
        missing: What is not there.
        elsewhere: How to name another folder.
    """
    listed = "\n".join(f"    {archive}" for archive in archives)
    return (
        f"data.root: there is no {missing} in {root}{hint_of_folder_below(root, missing)}.\n"
        f"  This data set is not part of mlt; download\n"
        f"{listed}\n"
        f"  so that the folder holds {layout}.\n"
        f"  If you have it elsewhere: {elsewhere}\n"
        "  To try mlt without it, on the embedded data: mlt train digits_mlt_cb_focal"
    )
