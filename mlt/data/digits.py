"""The embedded data set: scenes of handwritten digits in two inks, written in COCO's format.

Twenty classes, "dark 0" to "red 9". The handwriting is scikit-learn's copy of the "Optical
Recognition of Handwritten Digits" data (E. Alpaydin, C. Kaynak, UCI Machine Learning Repository,
1998; 1,797 glyphs of 8 x 8 pixels). The training scenes are a balanced pool, from which the same
builder as for any data set cuts a long tail; the test scenes are balanced and stay so.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mlt.errors import DataError, OutputExistsError
from mlt.files import read_json_object, write_json_atomic, write_json_object

__all__ = ["DIGITS_CLASSES", "DIGITS_LONGTAIL", "write_digits"]

DIGITS_CLASSES = tuple(f"{ink} {digit}" for ink in ("dark", "red") for digit in range(10))
"""The twenty class names; category id is the position plus one."""

DIGITS_LONGTAIL: dict[str, Any] = {"b": 6.0, "max": 800, "min": 4, "seed": 0}
"""Arguments of ``build_pareto_split`` that cut the long-tailed training set out of the pool."""

logger = logging.getLogger(__name__)

_VERSION = 1
_MARKER = "digits_mlt.json"
_SIDE = 64
_CELL = _SIDE // 2
# How many different classes a scene has, drawn with equal probability.
_CLASSES_A_SCENE = (1, 1, 1, 2, 2, 3)
# Lowest and highest value of red, green and blue.
_INKS = (((10, 70), (10, 70), (20, 110)), ((150, 230), (10, 70), (10, 70)))


def write_digits(
    root: str | Path, seed: int = 0, *, train_scenes: int = 4000, test_scenes: int = 1000
) -> Path:
    """Write the data set to a folder, or leave it if it is already there, undamaged.

    The folder is in COCO's layout: ``annotations/instances_{train,test}.json``, ``train/``,
    ``test/``, with scenes of 64 x 64 pixels as PNG. It appears whole or not at all. The same seed
    gives the same pixels. No glyph is in both training and test scenes.

    Args:
        root: The folder; its parents are made.
        seed: Of the scenes and of which glyphs are for training.
        train_scenes: Number of scenes in the balanced pool for training.
        test_scenes: Number of test scenes.

    Returns:
        ``root``.

    Raises:
        OutputExistsError: If ``root`` holds something else.

    Example:
        >>> folder = Path(tempfile.mkdtemp()) / "digits"
        >>> folder = write_digits(folder, train_scenes=8, test_scenes=4)
        >>> len(list((folder / "train").glob("*.png")))
        8
    """
    root = Path(root)
    made = {"version": _VERSION, "seed": seed, "train": train_scenes, "test": test_scenes}
    if _is_there(root, made):
        return root
    root.parent.mkdir(parents=True, exist_ok=True)
    # mkdtemp makes private folders; the one inside gets ordinary permissions.
    temporary = Path(tempfile.mkdtemp(prefix=f".{root.name}-", dir=root.parent))
    try:
        new = temporary / "new"
        (new / "annotations").mkdir(parents=True)
        for part, (name, scenes) in enumerate((("train", train_scenes), ("test", test_scenes))):
            _write_part(new, name, scenes, _glyphs(seed, part), (seed, part))
        write_json_object(new / _MARKER, made | {"content": _content_digest(new)})
        _put(new, root, made, temporary / "old")
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return root


def _put(new: Path, root: Path, made: dict[str, int], old: Path) -> None:
    """Rename ``new`` to ``root``, whatever other processes do there in the meantime."""
    with suppress(OSError):  # an older version, or what another process has made
        new.rename(root)  # over nothing, or an empty folder
        return
    if _is_there(root, made):
        return
    with suppress(FileNotFoundError):
        root.rename(old)
    try:
        new.rename(root)
    except OSError:
        if not _is_there(root, made):
            raise


def _is_there(root: Path, made: dict[str, int]) -> bool:
    """Whether this very data set is there; other versions, damage and nothing may be replaced."""
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    marker = root / _MARKER
    if not marker.is_file():
        raise OutputExistsError(
            f"{root} exists and is not the digits data set; give another folder or remove it"
        )
    try:
        found = read_json_object(marker)
        content = found.pop("content", None)  # folders of earlier versions do not have it
        if found and found != made:
            return False
        if found and content in (None, _content_digest(root)):
            return True
    except (OSError, DataError):
        pass
    if root.exists():  # else another process replaces it right now
        logger.warning("%s is damaged; it is written anew", root)
    return False


def _content_digest(root: Path) -> str:
    """SHA-256 of annotations and scenes; other files in the folder do not matter."""
    digest = hashlib.sha256()
    scenes = root.glob(f"*/{'[0-9]' * 6}.png")
    for file in sorted([*root.glob("annotations/*.json"), *scenes]):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(root).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def _glyphs(seed: int, part: int) -> list[np.ndarray]:
    """Of each digit the (n, 8, 8) uint8 glyphs for training (part 0, two thirds) or test (1)."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    rng = np.random.default_rng(seed)
    glyphs = []
    for digit in range(10):
        own = digits.images[digits.target == digit]
        shuffled = (own[rng.permutation(len(own))] * (255 / 16)).astype(np.uint8)
        border = len(shuffled) * 2 // 3
        glyphs.append(shuffled[border:] if part else shuffled[:border])
    return glyphs


@dataclass(frozen=True)
class _Glyph:
    """One glyph in a scene: its class, and its box in pixels."""

    label: int
    left: int
    top: int
    width: int
    height: int


def _write_part(
    root: Path, name: str, scenes: int, glyphs: list[np.ndarray], seed: tuple[int, int]
) -> None:
    (root / name).mkdir()
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for scene, labels in enumerate(_balanced_labels(scenes, seed)):
        pixels, placed = _render(labels, glyphs, np.random.default_rng([*seed, scene]))
        file = f"{scene + 1:06d}.png"
        Image.fromarray(pixels).save(root / name / file, compress_level=1)
        images.append({"id": scene + 1, "file_name": file, "width": _SIDE, "height": _SIDE})
        for g in placed:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": scene + 1,
                    "category_id": g.label + 1,
                    "bbox": [g.left, g.top, g.width, g.height],
                    "area": g.width * g.height,
                    "iscrowd": 0,
                }
            )
    categories = [{"id": c + 1, "name": n} for c, n in enumerate(DIGITS_CLASSES)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    write_json_atomic(root / "annotations" / f"instances_{name}.json", content, indent=None)


def _balanced_labels(scenes: int, seed: tuple[int, int]) -> Iterator[list[int]]:
    """The distinct classes of each scene, dealt from shuffled decks of all classes."""
    rng = np.random.default_rng(seed)
    deck: list[int] = []
    for _ in range(scenes):
        labels: list[int] = []
        wanted = _CLASSES_A_SCENE[rng.integers(len(_CLASSES_A_SCENE))]
        while len(labels) < wanted:
            if not deck:
                deck = rng.permutation(len(DIGITS_CLASSES)).tolist()
            label = deck.pop()
            if label in labels:
                deck.insert(0, label)
            else:
                labels.append(label)
        yield labels


def _render(
    labels: list[int], glyphs: list[np.ndarray], rng: np.random.Generator
) -> tuple[np.ndarray, list[_Glyph]]:
    """A (64, 64, 3) uint8 scene with one glyph per class, each in a quarter of its own."""
    # Integers only: floating point may round differently elsewhere.
    slope = rng.integers(-30, 31, (2, 1, 1, 3))
    ramp = np.arange(_SIDE)
    tilt = (slope[0] * ramp[:, None, None] + slope[1] * ramp[None, :, None]) // _SIDE
    canvas = rng.integers(190, 246, 3) + tilt
    placed = []
    for label, quarter in zip(labels, rng.permutation(4)):
        width, height = rng.integers(22, _CELL + 1, 2).tolist()
        left = int(quarter % 2) * _CELL + int(rng.integers(_CELL - width + 1))
        top = int(quarter // 2) * _CELL + int(rng.integers(_CELL - height + 1))
        own = glyphs[label % 10]
        glyph = Image.fromarray(own[rng.integers(len(own))])
        alpha = np.asarray(glyph.resize((width, height), Image.Resampling.BICUBIC), np.int64)
        ink = np.array([rng.integers(low, high + 1) for low, high in _INKS[label // 10]])
        box = canvas[top : top + height, left : left + width]
        box += (ink - box) * alpha[:, :, None] // 255
        placed.append(_Glyph(label, left, top, width, height))
    return np.clip(canvas, 0, 255).astype(np.uint8), placed
