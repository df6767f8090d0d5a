"""Predictions: what evaluation works on, in one file without pickle."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlt.errors import DataError, MissingFileError
from mlt.files import atomic_write
from mlt.metrics.inputs import check_targets

__all__ = ["Predictions", "align"]

_REQUIRED = ("image_ids", "logits", "targets", "class_names", "class_counts", "num_train_images")


@dataclass(frozen=True, eq=False)
class Predictions:
    """Logits and targets of one model on one set of images.

    Attributes:
        image_ids: (N,) integers or strings; those of a pandas column become such an array.
        logits: (N, C) float32, as the model gave them: never probabilities, never half precision.
            float64 is rounded to it.
        targets: (N, C) booleans; 0 and 1 become such, and what is not known becomes False.
        class_names: (C,) names in column order.
        class_counts: (C,) positives of each class in the training split.
        num_train_images: Images of the training split.
        known: (N, C) booleans, False where nobody annotated; None: all known.
        model: Digest of the weights they come from; empty if not known.
    """

    image_ids: NDArray[np.generic]
    logits: NDArray[np.float32]
    targets: NDArray[np.bool_]
    class_names: tuple[str, ...]
    class_counts: NDArray[np.int64]
    num_train_images: int
    known: NDArray[np.bool_] | None = None
    model: str = ""

    def __post_init__(self) -> None:
        n, c = self.targets.shape if self.targets.ndim == 2 else (-1, -1)
        shapes = {
            "logits": (self.logits.shape, (n, c)),
            "image_ids": (self.image_ids.shape, (n,)),
            "class_names": ((len(self.class_names),), (c,)),
            "class_counts": (self.class_counts.shape, (c,)),
        }
        if self.known is not None:
            shapes["known"] = (self.known.shape, (n, c))
        wrong = [f"{k} is {got}, not {want}" for k, (got, want) in shapes.items() if got != want]
        if wrong:
            raise DataError(f"predictions with targets {self.targets.shape}: {'; '.join(wrong)}")
        self._convert()
        ids, places = np.unique(self.image_ids, return_index=True)
        if len(ids) < n:
            twice = self.image_ids[np.setdiff1d(np.arange(n), places)[0]]
            raise DataError(
                f"image {twice} is there twice; a distributed sampler pads its last batch with "
                f"images that it has given already, and these must be dropped"
            )
        if np.isnan(self.logits).any():
            row, column = np.argwhere(np.isnan(self.logits))[0]
            raise DataError(
                f"the logit of image {self.image_ids[row]}, class "
                f"{self.class_names[column]!r} is NaN: the model has diverged"
            )

    def _convert(self) -> None:
        # What is in memory shall be what a file of it holds.
        known = None if self.known is None else np.asarray(self.known).astype(bool, copy=False)
        targets, _ = check_targets(self.targets, known)
        converted = {
            "image_ids": _ids(self.image_ids),
            "logits": _float32(self.logits),
            "targets": targets,
            "known": known,
        }
        for name, array in converted.items():
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return len(self.targets)

    def save(self, path: str | Path) -> None:
        """Write an ``.npz`` file, whole or not at all.

        Args:
            path: Name of the file; ``.npz`` is the usual ending, and none is added.
        """
        arrays = {
            "image_ids": self.image_ids,
            "logits": self.logits,
            "targets": self.targets,
            "class_names": np.array(self.class_names, dtype=np.str_),
            "class_counts": self.class_counts.astype(np.int64, copy=False),
            "num_train_images": np.int64(self.num_train_images),
            "model": np.str_(self.model),
        }
        if self.known is not None:
            arrays["known"] = self.known
        # To an open file: numpy would add .npz to a name without it, beside the temporary one.
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)

    @classmethod
    def load(cls, path: str | Path) -> Predictions:
        """Read what :meth:`save` wrote; nothing is unpickled.

        Raises:
            MissingFileError: If there is no such file.
            DataError: If the file is not a predictions file.
        """
        path = Path(path)
        if not path.is_file():
            raise MissingFileError(f"no predictions file {path}; a run writes predictions.npz")
        try:
            with np.load(path, allow_pickle=False) as arrays:
                missing = [key for key in _REQUIRED if key not in arrays]
                if missing:
                    raise DataError(
                        f"{path} is no predictions file: it lacks {', '.join(missing)} "
                        f"(it has: {', '.join(arrays)})"
                    )
                return cls(
                    image_ids=arrays["image_ids"],
                    logits=arrays["logits"],
                    targets=arrays["targets"],
                    class_names=tuple(str(name) for name in arrays["class_names"]),
                    class_counts=arrays["class_counts"].astype(np.int64),
                    num_train_images=int(arrays["num_train_images"]),
                    known=arrays["known"].astype(bool) if "known" in arrays else None,
                    model=str(arrays["model"]) if "model" in arrays else "",
                )
        except (ValueError, zipfile.BadZipFile, EOFError, OSError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"{path} is no predictions file: {error}") from error


def align(first: Predictions, second: Predictions) -> Predictions:
    """The second predictions with their images in the order of the first.

    Raises:
        DataError: If the images, classes, targets or known labels are not the same.
    """
    if first.class_names != second.class_names:
        raise DataError("the two predictions are over different classes, or in another order")
    rows = {image: i for i, image in enumerate(second.image_ids.tolist())}
    missing = [image for image in first.image_ids.tolist() if image not in rows]
    if missing or len(first) != len(second):
        named = f": {missing[0]!r} is only in the first" if missing else ""
        raise DataError(
            f"the two predictions are of different images ({len(first)} and {len(second)}){named}; "
            f"evaluate both runs on the same test split"
        )
    order = np.array([rows[image] for image in first.image_ids.tolist()], dtype=np.intp)
    moved = replace(
        second,
        image_ids=second.image_ids[order],
        logits=second.logits[order],
        targets=second.targets[order],
        known=None if second.known is None else second.known[order],
    )
    everything = np.ones(1, bool)
    known = everything if first.known is None else first.known
    same = np.array_equal(
        np.broadcast_to(known, first.targets.shape),
        np.broadcast_to(everything if moved.known is None else moved.known, first.targets.shape),
    )
    if not same or not np.array_equal(first.targets & known, moved.targets & known):
        raise DataError("the two predictions have different targets for the same images")
    return moved


def _float32(logits: NDArray[np.generic]) -> NDArray[np.float32]:
    values = np.asarray(logits)
    if values.dtype not in (np.float32, np.float64):
        raise DataError(
            f"logits must be float32, as the model gave them; got {values.dtype}. Half precision "
            "makes ties of different logits: compute the last layer in float32"
        )
    return values.astype(np.float32, copy=False)


def _ids(image_ids: NDArray[np.generic]) -> NDArray[np.generic]:
    """Integers or strings that a file without pickle can hold."""
    ids = np.asarray(image_ids)
    if ids.dtype.kind in "iuUS":
        return ids
    if ids.dtype.kind == "T" or all(isinstance(value, str) for value in ids):
        return ids.astype(np.str_)
    if ids.dtype == object and all(
        isinstance(value, (int, np.integer)) and not isinstance(value, bool) for value in ids
    ):
        return ids.astype(np.int64)
    raise DataError(
        f"image_ids must be all integers or all strings; got {ids.dtype} with "
        f"{', '.join(repr(value) for value in ids[:3])}. Convert them, for example with "
        "image_ids.astype(str)"
    )
