"""A trained model as something to ask: images in, probabilities and labels out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset

from mlt.data.images import load_image
from mlt.data.loader import default_workers
from mlt.data.transforms import Preprocessing, Transform, eval_transform
from mlt.data.worker_signals import WorkerSignals
from mlt.errors import CheckpointError, ConfigError, DataError, UserError
from mlt.metrics.decision import Decision
from mlt.models.checkpoint import load_checkpoint
from mlt.runtime.device import pick_device
from mlt.runtime.processes import ALONE, Processes
from mlt.runtime.progress import Progress

__all__ = ["NoPrediction", "Prediction", "Predictor"]


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model says of one image.

    Attributes:
        path: The file.
        logits: (C,) float32, as the model gave them.
        probabilities: (C,) in [0, 1], calibrated if the checkpoint has a calibration.
        given: (C,) booleans, the labels whose logits reach their thresholds.
    """

    path: Path
    logits: NDArray[np.float32]
    probabilities: NDArray[np.float64]
    given: NDArray[np.bool_]

    def highest(self, count: int) -> list[int]:
        """Indices of the classes with the highest probabilities, highest first."""
        return np.argsort(-self.probabilities, kind="stable")[:count].tolist()

    def labels(self) -> list[int]:
        """Indices of the labels that are given, most probable first."""
        order = np.argsort(-self.probabilities, kind="stable")
        return [int(c) for c in order if self.given[c]]


@dataclass(frozen=True)
class NoPrediction:
    """An image of which a model says nothing.

    Attributes:
        path: The file.
        error: Why: it could not be read, or the model gives NaN for it.
    """

    path: Path
    error: str


class Predictor:
    """A model with its class names, preprocessing, calibration and thresholds.

    Args:
        model: Gives logits.
        class_names: C names in column order.
        preprocessing: How an image becomes the model's input.
        decision: Calibration and thresholds.
        device: Where to compute: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        processes: Those that share the images of :meth:`predict_each`.

    Example:
        A checkpoint is all that is needed::

            predictor = Predictor.from_checkpoint("runs/mine/last.safetensors")
            for prediction in predictor.predict(find_images(["photographs/"])):
                print(prediction.path, [predictor.class_names[c] for c in prediction.labels()])
    """

    def __init__(
        self,
        model: nn.Module,
        class_names: Sequence[str],
        preprocessing: Preprocessing,
        decision: Decision | None = None,
        device: str = "auto",
        processes: Processes = ALONE,
    ) -> None:
        self.processes = processes
        self.device = pick_device(device, processes)
        self.model = model.eval().to(self.device)
        self.class_names = tuple(class_names)
        self.preprocessing = preprocessing
        self.decision = decision or Decision.plain(class_names)
        self._transform = eval_transform(preprocessing)

    @classmethod
    def from_checkpoint(
        cls,
        path: str | Path,
        device: str = "auto",
        *,
        model: nn.Module | None = None,
        processes: Processes = ALONE,
    ) -> Predictor:
        """Make one from a ``.safetensors`` file of a run, which is all that is needed.

        Args:
            path: The checkpoint.
            device: Where to compute: ``auto``, ``cpu``, ``cuda`` or ``mps``.
            model: The model, where the run was handed one of its own.
            processes: Those that share the images of :meth:`predict_each`.

        Raises:
            MissingFileError: If there is no such file.
            CheckpointError: If it is not a checkpoint of mlt, is damaged, or was trained on tensors
                whose preprocessing mlt does not know.
        """
        model, info = load_checkpoint(path, model)
        if not info.preprocessing:
            raise CheckpointError(
                f"{path} was trained on tensors of a data set of your own, so mlt does not know "
                "how to make them from image files; make a Predictor(model, class_names, "
                "preprocessing), with mlt.data.transforms.Preprocessing"
            )
        decision = None if info.decision is None else Decision.from_json(info.decision)
        form = Preprocessing.from_dict(info.preprocessing)
        return cls(model, info.class_names, form, decision, device, processes)

    def logits(self, images: Sequence[Image.Image], mirror: bool = False) -> NDArray[np.float32]:
        """Logits of images that are in memory.

        Args:
            images: N RGB images (PIL) of any size.
            mirror: Average the logits of each image and its mirror image.

        Returns:
            (N, C); ``decision.probabilities`` and ``decision.labels`` take them.
        """
        if not images:
            return np.zeros((0, len(self.class_names)), np.float32)
        return self._ask(torch.stack([self._transform(image) for image in images]), mirror)

    def predict(
        self,
        paths: str | Path | Sequence[str | Path],
        *,
        batch_size: int = 32,
        workers: int | None = None,
        mirror: bool = False,
        problems: dict[Path, str] | None = None,
        progress: bool = False,
    ) -> Iterator[Prediction]:
        """Predict image files, one after the other as they are asked for.

        Args:
            paths: The file or files, see :func:`mlt.inference.find_images`.
            batch_size: Images that are computed together.
            workers: Processes that load images; None decides by cores and images.
            mirror: Average the logits of each image and its mirror image.
            problems: Is filled with why an image has no prediction; it is then left out. None:
                the first such image ends the prediction.
            progress: Show a bar, or write a line now and then where there is no terminal.

        Yields:
            One prediction per image, in the order of ``paths``.

        Raises:
            DataError: If ``problems`` is None, and an image cannot be read or the model gives NaN
                for it.
        """
        answers = self.predict_each(
            paths, batch_size=batch_size, workers=workers, mirror=mirror, progress=progress
        )
        for answer in answers:
            if isinstance(answer, Prediction):
                yield answer
            elif problems is None:
                raise DataError(answer.error)
            else:
                problems[answer.path] = answer.error

    def predict_each(
        self,
        paths: str | Path | Sequence[str | Path],
        *,
        batch_size: int = 32,
        workers: int | None = None,
        mirror: bool = False,
        progress: bool = False,
    ) -> Iterator[Prediction | NoPrediction]:
        """Predict image files as :meth:`predict`, with an answer for those that cannot be, too.

        Args:
            paths: As for :meth:`predict`; so are the others.
            batch_size: Images that are computed together.
            workers: Processes that load images; None decides by cores and images.
            mirror: Average the logits of each image and its mirror image.
            progress: Show a bar, or write a line now and then where there is no terminal.

        Yields:
            One answer per image, in the order of ``paths``. Where several processes share them,
            the first one yields the answers of all; the others yield none, but must go on to the
            end.
        """
        if batch_size < 1:
            raise ConfigError(f"batch_size must be at least 1, got {batch_size}")
        files = [Path(paths)] if isinstance(paths, (str, Path)) else [Path(path) for path in paths]
        count, rank = self.processes.count, self.processes.rank
        places = range(len(files))
        batches = [list(places[k : k + batch_size][rank::count]) for k in places[::batch_size]]
        if workers is None:
            workers = default_workers(len(files), batch_size)
        loader = DataLoader(
            _ImageFiles(files, self._transform),
            batch_sampler=batches,
            num_workers=workers,
            collate_fn=list,
            worker_init_fn=WorkerSignals(),
        )
        shown = progress and self.processes.is_main
        with Progress("prediction", len(loader), shown=shown) as bar:
            for batch in loader:
                with self.processes.together():
                    own = self._answers_of(files, batch, mirror)
                answers = {
                    place: answer for each in self.processes.gather(own) for place, answer in each
                }
                if self.processes.is_main:
                    yield from (answers[place] for place in sorted(answers))
                bar.step(len(answers))

    def _answers_of(
        self, files: Sequence[Path], batch: Sequence[tuple[int, torch.Tensor | str]], mirror: bool
    ) -> list[tuple[int, Prediction | NoPrediction]]:
        """The place of each image of a batch, and what the model says of it."""
        images = [image for _, image in batch if not isinstance(image, str)]
        logits = self._ask(torch.stack(images), mirror) if images else None
        read = iter(()) if logits is None else self._answers(logits)
        return [
            (place, NoPrediction(files[place], image))
            if isinstance(image, str)
            else (place, self._prediction(files[place], *next(read)))
            for place, image in batch
        ]

    def _ask(self, images: torch.Tensor, mirror: bool) -> NDArray[np.float32]:
        with torch.inference_mode():
            images = images.to(self.device)
            answer = self.model(images)
            if mirror:
                answer = (answer + self.model(images.flip(-1))) / 2
            return answer.float().cpu().numpy()

    def _answers(self, logits: NDArray[np.float32]) -> Iterator[tuple[NDArray[Any], ...]]:
        return zip(logits, self.decision.probabilities(logits), self.decision.labels(logits))

    def _prediction(
        self,
        path: Path,
        logits: NDArray[np.float32],
        probabilities: NDArray[np.float64],
        given: NDArray[np.bool_],
    ) -> Prediction | NoPrediction:
        undefined = np.flatnonzero(np.isnan(probabilities))
        if len(undefined):
            return NoPrediction(
                path,
                f"the model gives NaN for {path}, class {self.class_names[undefined[0]]!r}: its "
                "weights have diverged, or a value has overflowed",
            )
        return Prediction(path, logits, probabilities, given)


class _ImageFiles(Dataset[tuple[int, torch.Tensor | str]]):
    """Image files by number: the network's input, or why there is none."""

    def __init__(self, paths: Sequence[Path], transform: Transform) -> None:
        self.paths = paths
        self.transform = transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, place: int) -> tuple[int, torch.Tensor | str]:
        try:
            return place, self.transform(load_image(self.paths[place]))
        except UserError as error:
            return place, str(error)
