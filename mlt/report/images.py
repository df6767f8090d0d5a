"""The images of a report: where they are, and small copies that fit into the page."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from mlt.config.load import parse_config
from mlt.data.labels import LabelTable
from mlt.data.row_images import row_image
from mlt.errors import UserError
from mlt.report.runs import HANDED_OVER, Run

__all__ = ["Images", "as_base64", "find_images", "thumbnail"]

SIDE = 112
"""Longest side of a thumbnail, in pixels."""


@dataclass(frozen=True)
class Images:
    """Images by the rows of the predictions.

    Attributes:
        table: Reads them; None where none is available.
        rows: Row of the predictions to row of the table.
        note: Why there is none; empty if there are.
    """

    table: LabelTable | None = None
    rows: dict[int, int] = field(default_factory=dict)
    note: str = ""

    def thumbnail(self, row: int) -> str | None:
        """A small JPEG of the image in base64; None if it cannot be read."""
        image = self.read(row)
        return None if image is None else _small(image)

    def read(self, row: int) -> Image.Image | None:
        """The image, RGB; None if it cannot be read."""
        if self.table is None or row not in self.rows:
            return None
        return _read(self.table, self.rows[row])


def thumbnail(table: LabelTable, row: int) -> str | None:
    """A small JPEG of the image of a row in base64; None if it cannot be read."""
    image = _read(table, row)
    return None if image is None else _small(image)


def _read(table: LabelTable, row: int) -> Image.Image | None:
    try:
        return row_image(table, row)
    except UserError:
        return None


def _small(image: Image.Image) -> str:
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return as_base64(image)


def as_base64(image: Image.Image) -> str:
    """An image as JPEG in base64."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=70, optimize=True)
    return base64.b64encode(file.getvalue()).decode("ascii")


def find_images(run: Run) -> Images:
    """Find the test images of a run by its configuration.

    Where the configuration, the annotations or the images are absent the note says so: a report
    can do without.
    """
    if not run.config:
        return Images(note="The run has no config.yaml that would say where its images are.")
    if HANDED_OVER in run.config.get("data", {}):
        return Images(note="The data were handed over from Python, which the run keeps no copy of.")
    try:
        data = parse_config(run.config, source=str(run.path / "config.yaml")).data
        if not Path(data.root).is_dir():
            return Images(note=f"The images are not available: there is no folder {data.root}.")
        names = run.predictions.class_names
        table = data.source().test(names)
        rows = table.find(run.predictions.image_ids.tolist()).tolist()
    except UserError as error:
        return Images(note=f"The images are not available: {str(error).splitlines()[0]}")
    if table.images is None and not any(table.image_path(row).is_file() for row in rows):
        return Images(note=f"The images are not available: none is in {table.root}.")
    return Images(table, dict(enumerate(rows)))
