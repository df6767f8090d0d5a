"""Explanations as files: a picture per label, the maps as numbers, and one page that shows all."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from mlt.errors import OutputExistsError
from mlt.explain.explanation import Explanation
from mlt.explain.page import PageImages
from mlt.files import atomic_write, write_text_atomic
from mlt.inference.prediction import NoPrediction

__all__ = ["PAGE", "Format", "check_folder", "write_explanations"]

Format = Literal["jpg", "png", "npz"]

PAGE = "index.html"

SIDE = 1024
"""Longest side of a picture file, in pixels; a smaller photograph keeps its size."""


def check_folder(folder: Path, overwrite: bool) -> None:
    """Refuse a folder that holds anything, unless told to write into it.

    Raises:
        OutputExistsError: If it does, or is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputExistsError(f"--output: {folder} is a file; name a folder")
    if not overwrite and folder.is_dir() and any(folder.iterdir()):
        raise OutputExistsError(
            f"--output: {folder} is there already and holds files; name a new folder, or replace "
            "files of the same names with --overwrite"
        )


def write_explanations(
    explanations: Iterable[Explanation | NoPrediction],
    folder: str | Path,
    class_names: Sequence[str],
    *,
    formats: Sequence[Format] = ("jpg",),
    title: str = "Where labels were seen",
    subtitle: str = "",
) -> dict[Path, str]:
    """Write each explanation as it comes, and at the end ``index.html`` with all of them.

    For the third image, ``cat.jpg``, and a class dog, which is column 7, there are
    ``0003-cat-07-dog.jpg`` and ``0003-cat-07-dog.png``, the map over the photograph, and
    ``0003-cat.npz``: ``maps`` (K, h, w) float32, ``classes`` (K,) names, ``probabilities`` (K,),
    ``box`` (left, top, right, bottom) of the maps as shares of the sides of the photograph,
    ``size`` (width, height) of the photograph in pixels, ``method`` and ``path``. Characters of
    names that a file system may not take are underscores.

    Args:
        explanations: Of any number of images.
        folder: Where to. Files of the same names are replaced.
        class_names: C names.
        formats: What is written for each image.
        title: Of the page.
        subtitle: Of the page; what follows is how many images it shows.

    Returns:
        The images that have no prediction, and why.
    """
    folder = Path(folder)
    problems: dict[Path, str] = {}
    page = PageImages(class_names)
    for number, one in enumerate(explanations, 1):
        if isinstance(one, NoPrediction):
            problems[one.path] = one.error
            continue
        stem = f"{number:04}-{_plain(one.prediction.path.stem)}"
        for suffix in sorted(set(formats) - {"npz"}):
            _write_pictures(one, folder, stem, suffix, class_names)
        if "npz" in formats:
            _write_maps(one, folder / f"{stem}.npz", class_names)
        page.add(one)
    write_text_atomic(folder / PAGE, page.html(title, subtitle, problems))
    return problems


def _write_pictures(
    one: Explanation, folder: Path, stem: str, suffix: str, class_names: Sequence[str]
) -> None:
    digits = len(str(len(class_names) - 1))
    for k, c in enumerate(one.columns):
        name = f"{stem}-{c:0{digits}}-{_plain(class_names[c])}.{suffix}"
        with atomic_write(folder / name) as temporary:
            one.overlay(k, SIDE).save(temporary, quality=90)


def _write_maps(one: Explanation, path: Path, class_names: Sequence[str]) -> None:
    with atomic_write(path) as temporary:
        np.savez_compressed(
            temporary,
            maps=one.seen.maps,
            classes=np.array([class_names[c] for c in one.columns]),
            probabilities=one.prediction.probabilities[one.columns],
            box=np.array(one.seen.box),
            size=np.array(one.photograph.size),
            method=np.array(one.seen.method),
            path=np.array(str(one.prediction.path)),
        )


def _plain(name: str) -> str:
    r"""A name as part of a file's name.

    Example:
        >>> _plain("traffic light / ..\\red")
        'traffic_light_red'
    """
    return re.sub(r"\W+", "_", name).strip("_")[:32] or "image"
