"""The images of a report: where their files are, and small copies that fit into the page."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from mlt.config.load import parse_config
from mlt.data.images import load_image
from mlt.errors import UserError
from mlt.report.runs import HANDED_OVER, Run

__all__ = ["Images", "find_images", "thumbnail"]

SIDE = 112
"""Longest side of a thumbnail, in pixels."""


@dataclass(frozen=True)
class Images:
    """Image files by the rows of the predictions.

    Attributes:
        paths: Row to file; empty where none is available.
        note: Why there is none; empty if there are.
    """

    paths: dict[int, Path]
    note: str = ""


def find_images(run: Run) -> Images:
    """Find the test images of a run by its configuration.

    Where the configuration, the annotations or the images are absent the note says so: a report
    can do without.
    """
    if not run.config:
        return Images({}, "The run has no config.yaml that would say where its images are.")
    if HANDED_OVER in run.config.get("data", {}):
        return Images({}, "The data were handed over from Python, which the run keeps no copy of.")
    try:
        data = parse_config(run.config, source=str(run.path / "config.yaml")).data
        if not Path(data.root).is_dir():
            return Images({}, f"The images are not available: there is no folder {data.root}.")
        names = run.predictions.class_names
        table = data.source().test(names)
        rows = table.find(run.predictions.image_ids.tolist()).tolist()
    except UserError as error:
        return Images({}, f"The images are not available: {str(error).splitlines()[0]}")
    paths = {i: table.image_path(row) for i, row in enumerate(rows)}
    if not any(path.is_file() for path in paths.values()):
        return Images({}, f"The images are not available: none is in {table.root}.")
    return Images(paths)


def thumbnail(path: Path) -> str | None:
    """Return a small JPEG of an image in base64; None if it cannot be read."""
    try:
        image = load_image(path)
    except UserError:
        return None
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=70, optimize=True)
    return base64.b64encode(file.getvalue()).decode("ascii")
