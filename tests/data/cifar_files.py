"""Small made-up data sets in CIFAR's official forms."""

from __future__ import annotations

import io
import pickle
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mlt.data.formats.cifar import CIFAR, CifarForm

BINARY, PYTHON = 0, 1
"""Places of the forms in :data:`mlt.data.formats.cifar.CIFAR`."""


class Cifar:
    """Random images, each class distinct by its colour, in the order of an archive.

    Args:
        name: Which data set.
        per_class: Training images of each class; there are half as many test images.
    """

    def __init__(self, name: str, per_class: int = 4) -> None:
        self.name = name
        self.class_names = CIFAR[name].class_names
        rng = np.random.default_rng(0)
        self.classes: dict[str, np.ndarray] = {}
        self.pixels: dict[str, np.ndarray] = {}
        for part, count in (("train", per_class), ("test", per_class // 2)):
            classes = rng.permutation(np.repeat(np.arange(len(self.class_names)), count))
            noise = rng.integers(0, 60, (len(classes), 3, 32, 32))
            colour = (classes * 7 % 190)[:, None, None, None]
            self.classes[part] = classes
            self.pixels[part] = (noise + colour).astype(np.uint8)

    def files(self, form: CifarForm, **dump: Any) -> dict[str, bytes]:
        """The content of the files of a form; ``dump`` is how they are pickled."""
        contents = {}
        for part, names in form.files.items():
            rows = np.array_split(np.arange(len(self.classes[part])), len(names))
            for name, of_file in zip(names, rows):
                pixels = self.pixels[part][of_file].reshape(len(of_file), -1)
                labels = self.classes[part][of_file].tolist()
                contents[name] = _encoded(form, pixels, labels, dump)
        return contents

    def unpacked(self, root: Path, form: int, **dump: Any) -> Path:
        """Write the files of a form, and return their folder."""
        chosen = CIFAR[self.name].forms[form]
        folder = root / chosen.folder
        folder.mkdir(parents=True)
        for name, content in self.files(chosen, **dump).items():
            (folder / name).write_bytes(content)
        return folder

    def packed(self, root: Path, form: int) -> Path:
        """Write the packed archive of a form, and return it."""
        chosen = CIFAR[self.name].forms[form]
        root.mkdir(exist_ok=True)
        file = root / chosen.archive
        with tarfile.open(file, "w:gz") as archive:
            for name, content in {"readme.html": b"<html>", **self.files(chosen)}.items():
                member = tarfile.TarInfo(f"{chosen.folder}/{name}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        return file

    def images(self) -> dict[str, bytes]:
        """PNG files of class folders, by their paths."""
        found = {}
        for part, classes in self.classes.items():
            for row, c in enumerate(classes):
                stream = io.BytesIO()
                Image.fromarray(self.pixels[part][row].transpose(1, 2, 0)).save(stream, "PNG")
                found[f"{part}/{self.class_names[c]}/{row:04}.png"] = stream.getvalue()
        return found

    def folders(self, root: Path) -> Path:
        """Write class folders, and return the folder that holds them."""
        for path, content in self.images().items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content)
        return root

    def zipped(self, root: Path, method: int = zipfile.ZIP_DEFLATED, inside: str = "") -> Path:
        """Write a ZIP file of class folders, and return it."""
        root.mkdir(exist_ok=True)
        with zipfile.ZipFile(root / "images.zip", "w", method) as archive:
            for path, content in self.images().items():
                archive.writestr(inside + path, content)
        return root / "images.zip"


def _encoded(form: CifarForm, pixels: np.ndarray, labels: list[int], dump: dict[str, Any]) -> bytes:
    if isinstance(form.labels, int):
        before = np.zeros((len(labels), form.labels), np.uint8)
        before[:, -1] = labels
        return np.concatenate([before, pixels], axis=1).tobytes()
    names = [b"image_%d.png" % row for row in range(len(labels))]
    batch = {b"data": pixels, form.labels.encode(): labels, b"filenames": names}
    return pickle.dumps(batch, **{"protocol": 2, **dump})
