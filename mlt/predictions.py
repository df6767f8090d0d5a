"""Predictions: what evaluation works on, in one file without pickle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlt.activation import Activation, log_odds
from mlt.arrays import (
    as_array,
    as_counts,
    as_image_ids,
    as_logits,
    check_no_nul,
    check_targets,
)
from mlt.class_counts import ClassCounts
from mlt.class_groups import GroupLimits
from mlt.errors import DataError, MissingFileError
from mlt.files import atomic_write, read_npz

__all__ = ["Predictions", "align"]

_REQUIRED = ("image_ids", "logits", "targets", "class_names")


@dataclass(frozen=True, eq=False)
class Predictions:
    """Logits and targets of one model on one set of images.

    Every array may be given as a list, an array or a tensor on any device. Without ids and names
    of one's own, :meth:`from_arrays` is shorter.

    Attributes:
        image_ids: (N,) integers or strings; those of a pandas column become such an array.
        logits: (N, C) float32, as the model gave them: never probabilities, never half precision.
            float64 is rounded to it.
        targets: (N, C) booleans; 0 and 1 become such, and what is not known becomes False.
        class_names: (C,) names in column order.
        class_counts: (C,) positives of each class in the training split; None if not known, and
            then there is no head, medium and tail.
        num_train_images: Images of the training split; None if not known.
        known: (N, C) booleans, False where nobody annotated; None: all known.
        model: Digest of the weights they come from; empty if not known.
        groups: (N,) strings or integers: the patient, video or the like that each image belongs to
            (an empty string: to none), whose images count together in intervals and tests; None if
            not known.
        activation: How logits become probabilities: "sigmoid", each class by itself, or "softmax",
            one class per image.

    Raises:
        DataError: If shapes differ, there is no class, an id or class name is there twice, an id or
            name holds a NUL character, a logit is NaN or of half precision, or a known target is
            neither 0 nor 1.
    """

    image_ids: NDArray[np.generic]
    logits: NDArray[np.float32]
    targets: NDArray[np.bool_]
    class_names: tuple[str, ...]
    class_counts: NDArray[np.int64] | None
    num_train_images: int | None
    known: NDArray[np.bool_] | None = None
    model: str = ""
    groups: NDArray[np.generic] | None = None
    activation: Activation = "sigmoid"

    def __post_init__(self) -> None:
        ids, logits = as_image_ids(self.image_ids), as_logits(self.logits)
        groups = None if self.groups is None else as_image_ids(self.groups, "groups")
        targets = as_array(self.targets)
        known = None if self.known is None else as_array(self.known)
        counts = None if self.class_counts is None else as_counts(self.class_counts)
        if targets.ndim != 2:
            raise DataError(
                f"targets have the shape {targets.shape}, expected (N, C): for each image a row "
                "with a 1 for each class that it has and a 0 for each other"
            )
        n, c = targets.shape
        shapes = {
            "logits": (logits.shape, (n, c)),
            "image_ids": (ids.shape, (n,)),
            "class_names": ((len(self.class_names),), (c,)),
        }
        if counts is not None:
            shapes["class_counts"] = (counts.shape, (c,))
        if groups is not None:
            shapes["groups"] = (groups.shape, (n,))
        if known is not None:
            shapes["known"] = (known.shape, (n, c))
        wrong = [f"{k} is {got}, not {want}" for k, (got, want) in shapes.items() if got != want]
        if wrong:
            raise DataError(f"predictions with targets {targets.shape}: {'; '.join(wrong)}")
        targets, known = check_targets(targets, known)
        targets = targets if known is None else targets & known
        # What is in memory shall be what a file of it holds.
        converted = {
            "image_ids": ids,
            "logits": logits,
            "targets": targets,
            "class_names": tuple(self.class_names),
            "class_counts": counts,
            "known": known,
            "groups": groups,
        }
        for name, value in converted.items():
            object.__setattr__(self, name, value)
        self._check_values()

    def _check_values(self) -> None:
        if not self.class_names:
            raise DataError("these predictions have no class, so there is nothing to evaluate")
        check_no_nul(self.class_names, "class name")
        if len(set(self.class_names)) < len(self.class_names):
            twice = next(n for n in self.class_names if self.class_names.count(n) > 1)
            raise DataError(
                f"the class name {twice!r} is there twice, and the class would count twice in "
                "every mean; name each class once"
            )
        if self.activation not in get_args(Activation):
            raise DataError(
                f"activation is {self.activation!r}; expected one of "
                f"{', '.join(get_args(Activation))}"
            )
        if self.activation == "softmax" and len(self.class_names) < 2:
            raise DataError("a softmax chooses between classes, and these predictions have one")
        ids, places = np.unique(self.image_ids, return_index=True)
        if len(ids) < len(self):
            twice = self.image_ids[np.setdiff1d(np.arange(len(self)), places)[0]]
            raise DataError(
                f"image {twice} is there twice; a distributed sampler pads its last batch with "
                f"images that it has given already, and these must be dropped"
            )
        finite = np.isfinite(self.logits)
        if not finite.all():
            row, column = np.argwhere(~finite)[0]
            value = "NaN" if np.isnan(self.logits[row, column]) else self.logits[row, column]
            raise DataError(
                f"the logit of image {self.image_ids[row]}, class "
                f"{self.class_names[column]!r} is {value}: the model has diverged"
            )

    @classmethod
    def from_arrays(
        cls,
        logits: ArrayLike,
        targets: ArrayLike,
        *,
        class_counts: ClassCounts | ArrayLike | None = None,
        num_train_images: int | None = None,
        class_names: Iterable[str] | None = None,
        image_ids: ArrayLike | None = None,
        known: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        activation: Activation = "sigmoid",
    ) -> Predictions:
        """Predictions of a training loop of one's own: logits and targets are enough.

        Args:
            logits: (N, C) float32 array or tensor, as the model gave them.
            targets: (N, C) of 0 and 1 or booleans.
            class_counts: (C,) positives of each class in the training data, which make head, medium
                and tail; class counts bring their names and number of images along.
            num_train_images: Images of the training data.
            class_names: C names; "0", "1", ... if None.
            image_ids: (N,) integers or strings; the number of the row if None.
            known: (N, C) booleans. None: all are known.
            groups: (N,) the patient, video or the like that each image belongs to; None if images
                are independent.
            activation: How logits become probabilities.

        Raises:
            DataError: As for :class:`Predictions`.

        Example:
            >>> predictions = Predictions.from_arrays([[0.3, -2.0], [-1.0, 0.1]], [[1, 0], [0, 1]])
            >>> predictions.image_ids.tolist(), predictions.class_names
            ([0, 1], ('0', '1'))
        """
        if isinstance(class_counts, ClassCounts):
            num_train_images = class_counts.total if num_train_images is None else num_train_images
            class_names = class_counts.names if class_names is None else class_names
        values = as_logits(logits)
        n, c = values.shape if values.ndim == 2 else (0, 0)
        return cls(
            image_ids=np.arange(n) if image_ids is None else as_image_ids(image_ids),
            logits=values,
            targets=as_array(targets),
            class_names=tuple(map(str, range(c) if class_names is None else class_names)),
            class_counts=None if class_counts is None else as_counts(class_counts),
            num_train_images=num_train_images,
            known=None if known is None else as_array(known),
            groups=None if groups is None else as_image_ids(groups, "groups"),
            activation=activation,
        )

    @cached_property
    def log_odds(self) -> NDArray[np.float32]:
        """(N, C) log odds of each class, log(p / (1 - p)): what thresholds and rankings are on.

        Of a sigmoid they are the logits; of a softmax they order the images as its probabilities
        do, which its logits do not.

        Example:
            >>> two = [[2.0, 1.0]], [[1, 0]]
            >>> Predictions.from_arrays(*two, activation="softmax").log_odds.tolist()
            [[1.0, -1.0]]
        """
        return log_odds(self.logits, self.activation)

    @property
    def one_label(self) -> bool:
        """Whether every image has exactly one label, and all labels are known."""
        known = self.known is None or bool(self.known.all())
        return known and len(self) > 0 and bool((self.targets.sum(axis=1) == 1).all())

    def __len__(self) -> int:
        return len(self.targets)

    def training_counts(self, limits: GroupLimits | None = None) -> ClassCounts:
        """Training counts of the classes, and with them head, medium and tail.

        Args:
            limits: Where the groups begin; the published 100 and 20 if None.

        Raises:
            DataError: If it is not known how often the classes occur in the training data.
        """
        counts = self.class_counts
        if counts is None:
            raise DataError(
                "these predictions do not say how often each class occurs in the training data, "
                "and so which classes are head, medium and tail; give class_counts when they are "
                "made"
            )
        return ClassCounts.from_counts(
            counts, self.num_train_images, names=self.class_names, limits=limits
        )

    def take(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> Predictions:
        """The predictions of some of the images.

        Args:
            rows: A boolean for each image, or the indices of those that are wanted.

        Example:
            >>> Predictions.from_arrays([[0.5], [1.5]], [[0], [1]]).take([1]).image_ids.tolist()
            [1]
        """
        return replace(
            self,
            image_ids=self.image_ids[rows],
            logits=self.logits[rows],
            targets=self.targets[rows],
            known=None if self.known is None else self.known[rows],
            groups=None if self.groups is None else self.groups[rows],
        )

    def save(self, path: str | Path) -> None:
        """Write an ``.npz`` file, whole or not at all.

        Args:
            path: Name of the file; ``.npz`` is the usual ending, and none is added.
        """
        arrays: dict[str, Any] = {
            "image_ids": self.image_ids,
            "logits": self.logits,
            "targets": self.targets,
            "class_names": np.array(self.class_names, dtype=np.str_),
            "model": np.str_(self.model),
        }
        if self.class_counts is not None:
            arrays["class_counts"] = self.class_counts
        if self.num_train_images is not None:
            arrays["num_train_images"] = np.int64(self.num_train_images)
        if self.known is not None:
            arrays["known"] = self.known
        if self.groups is not None:
            arrays["groups"] = self.groups
        if self.activation != "sigmoid":
            arrays["activation"] = np.str_(self.activation)
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
        arrays = read_npz(path)
        missing = [key for key in _REQUIRED if key not in arrays]
        if missing:
            raise DataError(
                f"{path} is not a predictions file: it lacks {', '.join(missing)} "
                f"(it has: {', '.join(arrays)})"
            )
        counts, images = arrays.get("class_counts"), arrays.get("num_train_images")
        try:
            return cls(
                image_ids=arrays["image_ids"],
                logits=arrays["logits"],
                targets=arrays["targets"],
                class_names=tuple(str(name) for name in arrays["class_names"]),
                class_counts=None if counts is None else counts.astype(np.int64),
                num_train_images=None if images is None else int(images),
                known=arrays["known"].astype(bool) if "known" in arrays else None,
                model=str(arrays["model"]) if "model" in arrays else "",
                groups=arrays.get("groups"),
                activation=_activation(arrays),
            )
        except (TypeError, ValueError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"{path} is not a predictions file: {error}") from error


def _activation(arrays: Mapping[str, Any]) -> Activation:
    """That of a file; those of sigmoids, and of earlier versions of mlt, do not say."""
    return cast(Activation, str(arrays.get("activation", "sigmoid")))  # checked as all values are


def align(first: Predictions, second: Predictions) -> Predictions:
    """The second predictions with their images in the order of the first.

    Raises:
        DataError: If the images, classes, targets or known labels are not the same.

    Example:
        >>> first = Predictions.from_arrays([[0.5], [1.5]], [[0], [1]], image_ids=["a", "b"])
        >>> second = Predictions.from_arrays([[2.5], [-1.0]], [[1], [0]], image_ids=["b", "a"])
        >>> align(first, second).logits.tolist()
        [[-1.0], [2.5]]
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
    moved = second.take(np.array([rows[i] for i in first.image_ids.tolist()], dtype=np.intp))
    everything = np.ones(1, bool)
    known = everything if first.known is None else first.known
    same = np.array_equal(
        np.broadcast_to(known, first.targets.shape),
        np.broadcast_to(everything if moved.known is None else moved.known, first.targets.shape),
    )
    if not same or not np.array_equal(first.targets & known, moved.targets & known):
        raise DataError("the two predictions have different targets for the same images")
    return moved
