"""A trained model as something to ask: images in, probabilities and labels out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader

from mlt.data.loader import default_workers
from mlt.data.transforms import Preprocessing
from mlt.data.view_settings import (
    Average,
    ViewConfig,
    ViewName,
    check_average,
    expand_views,
)
from mlt.data.view_transform import Inputs, inputs_of
from mlt.data.worker_signals import WorkerSignals, iterate
from mlt.engine.view_checks import check_views
from mlt.errors import CheckpointError, ConfigError, DataError
from mlt.inference.image_file_dataset import ImageFiles
from mlt.inference.prediction import NoPrediction, Prediction
from mlt.metrics.decision import Decision
from mlt.models.adapters import merge_adapters
from mlt.models.checkpoint import CheckpointInfo, check_class_names, load_checkpoint
from mlt.models.over_views import InOrder, OverViews
from mlt.runtime.device import pick_device
from mlt.runtime.processes import ALONE, Processes
from mlt.runtime.progress import Progress

__all__ = ["NoPrediction", "Prediction", "Predictor"]


class Predictor:
    """A model, or an ensemble, with class names, preprocessing, calibration and thresholds.

    Args:
        model: Gives logits; several models are an ensemble, whose answers are averaged.
        class_names: C names in column order, the same for all models.
        preprocessing: How an image becomes the model's input; one for each of several models.
        decision: Calibration and thresholds; of a model with a softmax
            ``Decision.plain(class_names, "softmax")`` at least.
        device: Where to compute: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        processes: Those that share the images of :meth:`predict_each`.
        views: Views of each image whose answers are averaged: ``"whole"``, ``"mirror"``,
            ``"five_crops"``, ``"ten_crops"``, or sections such as ``{"zoom": 1.3}``.
        average: What is averaged over views: ``"logits"`` or ``"probabilities"``.
        ensemble: What is averaged over models.

    Raises:
        ConfigError: If there is no model, there are not as many preprocessings as models, or a
            model cannot take images of the size of a view.

    Example:
        A checkpoint is all that is needed::

            predictor = Predictor.from_checkpoint("runs/mine/last.safetensors")
            for prediction in predictor.predict(find_images(["photographs/"])):
                print(prediction.path, [predictor.class_names[c] for c in prediction.labels()])
    """

    def __init__(
        self,
        model: nn.Module | Sequence[nn.Module],
        class_names: Sequence[str],
        preprocessing: Preprocessing | Sequence[Preprocessing],
        decision: Decision | None = None,
        device: str = "auto",
        processes: Processes = ALONE,
        *,
        views: Sequence[ViewName | ViewConfig | Mapping[str, Any]] = ("whole",),
        average: Average = "logits",
        ensemble: Average = "probabilities",
    ) -> None:
        models = [model] if isinstance(model, nn.Module) else list(model)
        forms = [preprocessing] if isinstance(preprocessing, Preprocessing) else preprocessing
        if not models or len(models) != len(forms):
            raise ConfigError(f"there are {len(models)} models and {len(forms)} preprocessings")
        self.processes = processes
        self.device = pick_device(device, processes)
        self.models = tuple(each.eval().to(self.device) for each in models)
        self.class_names = tuple(class_names)
        self.preprocessings = tuple(forms)
        self.decision = decision or Decision.plain(class_names)
        self.views = expand_views(views)
        check_average("average", average)
        check_average("ensemble", ensemble)
        self._averages = average, ensemble
        for each in self.models:
            check_views(each, self.views, len(self.class_names), self.device)
        self._inputs = self._shown(mirror=False)[0]

    @property
    def model(self) -> nn.Module:
        """The model; of an ensemble the first."""
        return self.models[0]

    @model.setter
    def model(self, model: nn.Module) -> None:
        self.models = (model, *self.models[1:])

    @property
    def preprocessing(self) -> Preprocessing:
        """How an image becomes the model's input; of an ensemble the first model's."""
        return self.preprocessings[0]

    def _shown(self, mirror: bool) -> tuple[Inputs, OverViews]:
        """What is made of each image, and what answers for it."""
        views = expand_views(self.views, mirror)
        inputs = inputs_of([(form, views) for form in self.preprocessings])
        activation = self.decision.calibration.activation
        network = OverViews(self.models, inputs, *self._averages, activation=activation)
        return inputs, network.eval()

    @classmethod
    def from_checkpoint(
        cls,
        path: str | Path | Sequence[str | Path],
        device: str = "auto",
        *,
        model: nn.Module | None = None,
        processes: Processes = ALONE,
        views: Sequence[ViewName | ViewConfig | Mapping[str, Any]] = ("whole",),
        average: Average = "logits",
        ensemble: Average = "probabilities",
    ) -> Predictor:
        """Make one from a ``.safetensors`` file of a run, which is all that is needed.

        Of several checkpoints it makes an ensemble. Their backbones, sizes and order of classes may
        differ, which then is that of the first; calibration and thresholds, which are of each
        model by itself, are left out.

        Args:
            path: The checkpoint, or several.
            device: Where to compute: ``auto``, ``cpu``, ``cuda`` or ``mps``.
            model: The model, where the run was handed one of its own.
            processes: Those that share the images of :meth:`predict_each`.
            views: As for :class:`Predictor`; so are the others.
            average: What is averaged over views.
            ensemble: What is averaged over models.

        Raises:
            MissingFileError: If there is no such file.
            CheckpointError: If it is not a checkpoint of mlt, is damaged, or was trained on tensors
                whose preprocessing mlt does not know; or if several have other classes, or some a
                softmax and others not.
            ConfigError: If ``model`` is given beside several, or views cannot be shown.
        """
        paths = [path] if isinstance(path, (str, Path)) else list(path)
        if model is not None and len(paths) != 1:
            raise ConfigError("model: goes with one checkpoint; make Predictor([a, b], ...)")
        members = [cls._member(each, model) for each in paths]
        names = members[0][1].class_names if members else ()
        models = [
            _in_order(each, names, *member) for each, member in zip(paths, members, strict=True)
        ]
        activations = {info.activation for _, info in members}
        if len(activations) > 1:
            raise CheckpointError(
                f"of {', '.join(map(str, paths))} some have a sigmoid per class and others a "
                "softmax: their probabilities do not mean the same, and cannot be averaged"
            )
        tuned = members[0][1].decision if len(members) == 1 else None
        decision = Decision.plain(names, *activations)
        if tuned is not None:
            decision = Decision.from_json(tuned)
        return cls(
            models,
            names,
            [Preprocessing.from_dict(info.preprocessing) for _, info in members],
            decision,
            device,
            processes,
            views=views,
            average=average,
            ensemble=ensemble,
        )

    @staticmethod
    def _member(path: str | Path, model: nn.Module | None) -> tuple[nn.Module, CheckpointInfo]:
        """The model of a checkpoint, and what the file says about itself."""
        model, info = load_checkpoint(path, model)
        if not info.preprocessing:
            raise CheckpointError(
                f"{path} was trained on tensors of a data set of your own, so mlt does not know "
                "how to make them from image files; make a Predictor(model, class_names, "
                "preprocessing), with mlt.data.transforms.Preprocessing"
            )
        return merge_adapters(model), info

    def logits(self, images: Sequence[Image.Image], mirror: bool = False) -> NDArray[np.float32]:
        """Logits of images that are in memory.

        Args:
            images: N RGB images (PIL) of any size.
            mirror: Show the mirror image of each view, too.

        Returns:
            (N, C); ``decision.probabilities`` and ``decision.labels`` take them.
        """
        if not images:
            return np.zeros((0, len(self.class_names)), np.float32)
        return self._ask(torch.stack([self._inputs.transform(image) for image in images]), mirror)

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
            mirror: Show the mirror image of each view, too.
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
            mirror: Show the mirror image of each view, too.
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
            ImageFiles(files, self._inputs.transform),
            batch_sampler=batches,
            num_workers=workers,
            collate_fn=list,
            worker_init_fn=WorkerSignals(),
        )
        shown = progress and self.processes.is_main
        with Progress("prediction", len(loader), shown=shown) as bar:
            for batch in iterate(loader):
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
        network = self._shown(mirror)[1]  # mirror images are made of the same inputs
        with torch.inference_mode():
            return network(images.to(self.device)).cpu().numpy()

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


def _in_order(
    path: str | Path, names: tuple[str, ...], model: nn.Module, info: CheckpointInfo
) -> nn.Module:
    """The model of a checkpoint with its classes in the order of an ensemble."""
    if info.class_names == names:
        return model
    if sorted(info.class_names) != sorted(names):
        check_class_names(path, info.class_names, names, "the first checkpoint")
    return InOrder(model, [info.class_names.index(name) for name in names])
