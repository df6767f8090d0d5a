"""Data of one's own in COCO's format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import Field, model_validator

from mlt.data.sources.base import (
    DataSettings,
    DataSource,
    OrFraction,
    OwnDataSettings,
    Part,
)
from mlt.errors import MissingFileError
from mlt.settings import Settings

if TYPE_CHECKING:
    from mlt.data.labels import LabelTable

__all__ = ["CocoData", "CocoPart", "CocoSource", "InstancesSource"]


class CocoPart(Settings):
    """One COCO annotation file and the folders of its images, relative to the root.

    The name of the file alone will do where the images are beside it or in one folder below the
    root.
    """

    annotations: str
    """The annotation file (JSON, or packed as `.json.gz`)."""
    images: str | tuple[str, ...] | None = None
    """The folder of its images, or several, or a pattern such as `images_*`; null looks beside the
    file, then below the root."""

    @model_validator(mode="before")
    @classmethod
    def _from_file_name(cls, value: Any) -> Any:
        return {"annotations": value} if isinstance(value, str) else value


class CocoData(OwnDataSettings):
    """Your own data in COCO's format."""

    name: Literal["coco"]
    train: CocoPart
    """Images to train on."""
    test: OrFraction[CocoPart] | None = None
    """Images that the results are of, or the fraction of the training images to cut out for
    them."""
    validation: OrFraction[CocoPart] | None = None
    """Images to watch training on and to choose the best epoch by, or the fraction to cut out for
    them; null watches the test images."""
    min_image_size: int = Field(0, ge=0)
    """Training images with a side shorter than this many pixels are left out."""

    def source(self, cache: Path | None = None) -> CocoSource:
        """What reads this data."""
        return CocoSource(self, cache)


S = TypeVar("S", bound=DataSettings)


class InstancesSource(DataSource[S]):
    """Parts that are a COCO annotation file and a folder of images each."""

    min_image_size = 0
    """Training images with a side shorter than this many pixels are left out."""

    def coco_part(self, part: Part) -> CocoPart:
        """The file and the folder of a part; here, the published names of ``instances_*.json``."""
        return CocoPart(annotations=f"annotations/instances_{part}.json", images=part)

    def image_root(self, part: Part) -> Path:
        """The folder that file names start from."""
        images = self.coco_part(part).images
        return self.root / images if isinstance(images, str) else self.root

    def part_file(self, part: Part) -> Path:
        """The annotation file of a part."""
        return self.root / self.coco_part(part).annotations

    def files(self) -> list[Path]:
        """The annotation file of the training part."""
        return [self.part_file("train")]

    def read(self, part: Part, class_names: Sequence[str] | None) -> LabelTable:
        """Read a part; its file names all classes."""
        from mlt.data.formats.coco import read_coco

        file, images = self.part_file(part), self.image_root(part)
        if not file.is_file():
            raise MissingFileError(
                f"data: there is no annotation file {file} (data.root: {self.root})"
            )
        size = self.min_image_size if part == "train" else 0
        return self._through_cache(
            f"{self.settings.name}_{part}",  # type: ignore[attr-defined]
            [file],
            {"root": str(images), "min_image_size": size},
            partial(read_coco, file, images, min_image_size=size),
        )


class CocoSource(InstancesSource[CocoData]):
    """Reads the files that a configuration names."""

    def __init__(self, settings: CocoData, cache: Path | None = None) -> None:
        super().__init__(settings, cache)
        self.min_image_size = settings.min_image_size

    def coco_part(self, part: Part) -> CocoPart:
        """The file and the folder of a part."""
        named = getattr(self.settings, part)
        assert isinstance(named, CocoPart)  # the validation part is asked for only if it is named
        return named

    def read(self, part: Part, class_names: Sequence[str] | None) -> LabelTable:
        """Read a part; image files that are not where their names say are looked for."""
        from mlt.data.image_files import absent_rows
        from mlt.data.same_files import one_row_per_file

        table = super().read(part, class_names)
        if not isinstance(self.coco_part(part).images, str) or len(absent_rows(table)):
            table = self._found(table, part)
        return one_row_per_file(table)

    def _found(self, table: LabelTable, part: Part) -> LabelTable:
        """The table with paths from the root, wherever in the folders of the part a file is."""
        from mlt.data.image_search import find_images

        named = self.coco_part(part)
        beside = Path(named.annotations).parent.as_posix()
        folders = (named.images,) if isinstance(named.images, str) else named.images
        folders = folders or (beside, ".")
        assert table.paths is not None
        if all("/" in path for path in table.paths):
            folders = (*folders, ".")  # LVIS: train2017/000000000001.jpg
        return replace(table, paths=find_images(table.paths, self.root, folders), root=self.root)
