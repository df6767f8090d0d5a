"""What a model says of photographs, and where it saw it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from mlt.data.images import load_image
from mlt.errors import ConfigError, UserError
from mlt.heatmaps import PhotographMaps, seen_on
from mlt.heatmaps.where_seen import Method
from mlt.inference.prediction import NoPrediction, Prediction
from mlt.inference.predictor import Predictor
from mlt.problems import did_you_mean

__all__ = ["Explanation", "class_columns", "explain"]


@dataclass(frozen=True, eq=False)
class Explanation:
    """What a model says of a photograph, and where it saw it.

    Attributes:
        prediction: What it says.
        photograph: The image, RGB.
        columns: K columns of the classes that are explained.
        seen: Where each of them was seen.
    """

    prediction: Prediction
    photograph: Image.Image
    columns: list[int]
    seen: PhotographMaps

    def overlay(self, k: int, side: int | None = None) -> Image.Image:
        """A map over the photograph.

        Args:
            k: Of the map.
            side: The longest side of the picture in pixels, which is never larger than the
                photograph; None: as large.
        """
        return self.seen.overlay(k, self.shrunk(side))

    def shrunk(self, side: int | None) -> Image.Image:
        """The photograph with sides of so many pixels or fewer."""
        picture = self.photograph.copy()
        if side is not None:
            picture.thumbnail((side, side), Image.Resampling.LANCZOS)
        return picture


def explain(
    predictor: Predictor,
    paths: Sequence[str | Path],
    *,
    classes: Sequence[str] | None = None,
    top: int | None = None,
    method: Method | None = None,
    batch_size: int = 32,
    workers: int | None = None,
    progress: bool = False,
) -> Iterator[Explanation | NoPrediction]:
    """Predict image files, and say where the labels were seen, one image after the other.

    Args:
        predictor: One model, which is shown the image as it is: views are not explained.
        paths: The image files.
        classes: Names of the classes to look for. None: the labels that reach their thresholds;
            where none does, the most probable one.
        top: The so many most probable classes, in place of those.
        method: See :func:`mlt.heatmaps.where_seen`.
        batch_size: Images that are predicted together.
        workers: Processes that load images; None decides by cores and images.
        progress: Show how far it is.

    Yields:
        One answer per image, in the order of ``paths``; a :class:`NoPrediction` where the image
        cannot be read or the model gives NaN.

    Raises:
        ConfigError: If there is no such class, ``top`` is below 1, both are given, or it is an
            ensemble or a model without a feature map.
    """
    if len(predictor.models) > 1:
        raise ConfigError("several models cannot be explained together; take one after the other")
    if top is not None and (top < 1 or classes is not None):
        raise ConfigError(f"top: at least 1, and not beside classes, got {top}")
    chosen = None if classes is None else class_columns(predictor.class_names, classes)
    answers = predictor.predict_each(
        paths, batch_size=batch_size, workers=workers, progress=progress
    )
    for answer in answers:
        if isinstance(answer, NoPrediction):
            yield answer
            continue
        try:
            photograph = load_image(answer.path)
        except UserError as error:  # gone since it was predicted
            yield NoPrediction(answer.path, str(error))
            continue
        columns = chosen if chosen is not None else _columns(answer, top)
        seen = seen_on(predictor.model, photograph, predictor.preprocessing, columns, method)
        yield Explanation(answer, photograph, columns, seen)


def class_columns(names: Sequence[str], chosen: Sequence[str]) -> list[int]:
    """The columns of classes by name, each once.

    Raises:
        ConfigError: If there is no such class.
    """
    for name in chosen:
        if name not in names:
            raise ConfigError(f"the model has no class {name!r}{did_you_mean(name, names)}")
    return [names.index(name) for name in dict.fromkeys(chosen)]


def _columns(prediction: Prediction, top: int | None) -> list[int]:
    if top is not None:
        return prediction.highest(top)
    return prediction.labels() or prediction.highest(1)
