"""Scores of one table beside the truth of another: aligned by the names of images and classes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mlt.activation import Activation
from mlt.errors import ConfigError, DataError
from mlt.prediction_tables.scores import Kind, Scores, read_scores
from mlt.prediction_tables.truth import Truth, TruthTable, alike, named
from mlt.predictions import Predictions

__all__ = ["join", "read_predictions"]

log = logging.getLogger(__name__)


def read_predictions(
    file: str | Path,
    truth: str | Path | TruthTable | Truth,
    *,
    kind: Kind,
    id_column: str | None = None,
    class_names: Sequence[str] | None = None,
    subset: bool = False,
    activation: Activation = "sigmoid",
) -> Predictions:
    """Read the scores of another tool and put them beside the truth.

    Images and classes are aligned by name, whatever their order.

    Args:
        file: Table of scores, CSV or Parquet: an image per row, its id, one column per class.
        truth: Table of labels, CSV or Parquet (in the layout that its columns suggest; a
            :class:`TruthTable` says more), ``predictions.npz`` of another model on the same images,
            or a :class:`Truth`.
        kind: Whether the scores are "logits" or "probabilities".
        id_column: Column of the image ids; None is the first.
        class_names: Classes to evaluate, in this order; None is all, which must be the same in
            both.
        subset: Evaluate the images that have scores where the truth has more.
        activation: How logits become probabilities. Those of a softmax have no common zero, so that
            images ordered by a logit are not ordered by its class's probability.

    Raises:
        ConfigError: If a softmax is named of probabilities, which are what they are.
        MissingFileError: If there is no such file.
        DataError: If a table cannot be read, or images or classes of one are missing in the other;
            the message says how many, and the first few.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "scores.csv").write_text("id,dog,cat\\nb,0.2,0.9\\na,0.6,0.3\\n")
        >>> _ = (folder / "truth.csv").write_text("id,cat,dog\\na,0,1\\nb,1,0\\n")
        >>> found = read_predictions(
        ...     folder / "scores.csv", folder / "truth.csv", kind="probabilities"
        ... )
        >>> found.image_ids.tolist(), found.class_names, found.targets.tolist()
        (['a', 'b'], ('cat', 'dog'), [[False, True], [True, False]])
    """
    if activation == "softmax" and kind != "logits":
        raise ConfigError("activation: a softmax is of logits; probabilities need none")
    scores = read_scores(file, kind, id_column=id_column, class_names=class_names)
    if kind == "logits" and scores.logits.min() >= 0 and scores.logits.max() <= 1:
        log.warning("%s: all logits are between 0 and 1; are they probabilities?", file)
    if isinstance(truth, str | Path):
        if Path(truth).suffix == ".npz":
            truth = Truth.of_predictions(Predictions.load(truth), str(truth))
        else:
            truth = TruthTable(Path(truth), id_column=id_column)
    if isinstance(truth, TruthTable):
        truth = truth.read(scores.class_names, chosen=class_names is not None)
    joined = join(scores, truth, class_names, subset=subset)
    if kind == "logits" and activation == "sigmoid" and joined.one_label:
        log.warning(
            "%s: every image has exactly one label; if the logits are of a softmax, say so "
            "(activation, or --softmax): average precision is another one then",
            file,
        )
    return replace(joined, activation=activation)


def join(
    scores: Scores,
    truth: Truth,
    class_names: Sequence[str] | None = None,
    *,
    subset: bool = False,
) -> Predictions:
    """Put scores beside the truth.

    Args:
        scores: Logits of N images.
        truth: Labels.
        class_names: Classes to evaluate; None is all, which must be the same in both.
        subset: Evaluate the images that have scores where the truth has more.

    Returns:
        Predictions in the order of the truth's images.

    Raises:
        DataError: If images or classes of one are missing in the other.
    """
    names = _classes(scores, truth) if class_names is None else list(class_names)
    missing = [name for name in names if name not in truth.class_names]
    if missing and not truth.open_classes:
        raise DataError(f"{truth.source} lacks {named(missing, 'class', len(names))}")
    if missing:
        log.info("%s: no image has %s", truth.source, named(missing, "class"))
    rows, kept = _rows(scores, truth, subset)
    columns = [scores.class_names.index(name) for name in names]
    ordered = truth.of_classes(names)
    counts = ordered.class_counts
    return Predictions(
        image_ids=np.array(truth.image_ids)[kept],
        logits=scores.logits[np.ix_(rows, columns)],
        targets=ordered.targets[kept],
        class_names=tuple(names),
        class_counts=None if counts is None else np.array(counts.counts),
        num_train_images=None if counts is None else counts.total,
        known=None if ordered.known is None else ordered.known[kept],
        groups=None if truth.groups is None else np.array(truth.groups)[kept],
    )


def _classes(scores: Scores, truth: Truth) -> list[str]:
    """The classes of both; those of the truth first."""
    without = [name for name in truth.class_names if name not in scores.class_names]
    if without:
        raise DataError(
            f"{scores.source} has no column for "
            f"{named(without, 'class', len(truth.class_names))} of {truth.source}; its columns are "
            f"{', '.join(map(repr, scores.class_names[:20]))}{alike(without, scores.class_names)}. "
            "To evaluate some classes alone, or where a column is not a class, name those to "
            "evaluate with --class-names"
        )
    more = sorted(name for name in scores.class_names if name not in truth.class_names)
    if more and not truth.open_classes:
        raise DataError(
            f"{truth.source} lacks {named(more, 'class')} that {scores.source} has a column for; "
            "name the classes to evaluate with --class-names"
        )
    return [*truth.class_names, *more]


def _rows(scores: Scores, truth: Truth, subset: bool) -> tuple[list[int], list[int]]:
    """For each image that is evaluated its row among the scores, and in the truth."""
    row_of = {name: row for row, name in enumerate(scores.image_ids)}
    of_truth = [str(image) for image in truth.image_ids]
    kept = [row for row, name in enumerate(of_truth) if name in row_of]
    there = set(of_truth)
    extra = [name for name in scores.image_ids if name not in there]
    if extra:
        raise DataError(
            f"{named(extra, 'image', len(scores.image_ids))} of {scores.source} are not in "
            f"{truth.source}, whose ids are {', '.join(map(repr, of_truth[:3]))}, ...; ids are "
            f"compared as they are written (here the column {scores.id_column!r}; another is named "
            "with --id-column)"
        )
    missing = [name for name in of_truth if name not in row_of]
    if missing and not subset:
        raise DataError(
            f"{named(missing, 'image', len(of_truth))} of {truth.source} have no row in "
            f"{scores.source}; where the truth is of more images than were to be predicted, give "
            "--subset"
        )
    if missing:
        log.info("%d of the %d images of %s are evaluated", len(kept), len(of_truth), truth.source)
    return [row_of[of_truth[row]] for row in kept], kept
