"""The embedded data, which needs no download."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mlt.data.sources.base import DataSettings, Part
from mlt.data.sources.coco import InstancesSource
from mlt.settings import UserPath

if TYPE_CHECKING:
    from mlt.data.labels import LabelTable
    from mlt.data.splits.split import Split

__all__ = ["DigitsMltData", "DigitsMltSource"]


class DigitsMltData(DataSettings):
    """The embedded data: long-tailed scenes of handwritten digits, rendered when first needed."""

    name: Literal["digits_mlt"]
    root: UserPath = "data/digits_mlt"
    """Folder the scenes are written to."""

    def source(self, cache: Path | None = None) -> DigitsMltSource:
        """What reads this data."""
        return DigitsMltSource(self, cache)


class DigitsMltSource(InstancesSource[DigitsMltData]):
    """Writes the scenes where they are not there yet, and reads them as COCO."""

    def read(self, part: Part, class_names: Sequence[str] | None) -> LabelTable:
        """Read a part, rendered first if need be."""
        from mlt.data.digits import write_digits

        write_digits(self.root)
        return super().read(part, class_names)

    def build_split(self, table: LabelTable, sources: Sequence[Path] = ()) -> Split:
        """Cut the long-tailed training split."""
        from mlt.data.digits import DIGITS_LONGTAIL
        from mlt.data.splits.build import build_pareto_split

        return build_pareto_split(table, self.settings.name, **DIGITS_LONGTAIL, sources=sources)
