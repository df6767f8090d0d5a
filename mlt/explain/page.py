"""Explanations as one HTML file, laid out like a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from mlt import __version__
from mlt.explain.explanation import Explanation
from mlt.heatmaps.where_seen import Method
from mlt.report.images import as_base64
from mlt.report.render import Section, render_page

__all__ = ["PageImages"]

TEMPLATES = Path(__file__).with_name("templates")

SIDE = 320
"""Longest side of a picture in the page, in pixels."""

ROOM = 24_000_000
"""Characters of pictures in all."""


class PageImages:
    """Gathers what the page shows; pictures as long as there is room.

    Args:
        class_names: C names.
    """

    def __init__(self, class_names: Sequence[str]) -> None:
        self.class_names = class_names
        self._shown: list[dict[str, Any]] = []
        self._methods: set[Method] = set()
        self._images = 0
        self._room = ROOM

    def add(self, one: Explanation) -> None:
        """Show one more image, if there is room."""
        self._images += 1
        self._methods.add(one.seen.method)
        if self._room <= 0:
            return
        pictures = [{"data": as_base64(one.shrunk(SIDE)), "name": "", "notes": ["the photograph"]}]
        pictures += [
            {
                "data": as_base64(one.overlay(k, SIDE)),
                "name": self.class_names[c],
                "notes": self._notes(one, k, c),
            }
            for k, c in enumerate(one.columns)
        ]
        self._room -= sum(len(str(picture["data"])) for picture in pictures)
        self._shown.append({"title": str(one.prediction.path), "pictures": pictures})

    def html(self, title: str, subtitle: str, problems: Mapping[Path, str]) -> str:
        """The page.

        Args:
            title: Stands above it.
            subtitle: Stands below that.
            problems: Images that are not in it, and why.
        """
        left_out = self._images - len(self._shown)
        images = "1 image" if self._images == 1 else f"{self._images:,} images"
        photographs = {
            "images": self._shown,
            "left_out": left_out,
            "problems": {str(path): error for path, error in problems.items()},
        }
        return render_page(
            [
                Section("photographs", photographs),
                Section("reading_the_maps", {"methods": self._methods}),
            ],
            templates=TEMPLATES,
            scripts=(),
            title=title,
            subtitle=f"{subtitle}, {images}" if subtitle else images,
            version=__version__,
            date=datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        )

    def _notes(self, one: Explanation, k: int, c: int) -> list[str]:
        notes = [f"{100 * one.prediction.probabilities[c]:.1f} %"]
        if not one.prediction.given[c]:
            notes.append("below its threshold")
        if not one.seen.maps[k].any():
            notes.append("nothing speaks for it")
        return notes
