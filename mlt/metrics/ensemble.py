"""Ensembles of predictions: several models, or seeds, of the same images."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mlt.activation import Activation, log_probabilities
from mlt.errors import ConfigError, DataError
from mlt.predictions import Predictions, align

__all__ = ["mean_predictions"]


def mean_predictions(
    predictions: Sequence[Predictions], average: Literal["logits", "probabilities"]
) -> Predictions:
    """The mean of the answers of several models to the same images.

    Args:
        predictions: One of each model. Images and classes may stand in another order; they are
            brought into that of the first.
        average: Logits, or probabilities: the sigmoids (or softmax) of the logits, as they are. The
            result has logits in either case.

    Returns:
        Predictions with the training counts of the first, and a digest of all models.

    Raises:
        ConfigError: If ``average`` is neither.
        DataError: If there are none, if classes, images, targets or known labels are not the same,
            or if some have sigmoids and others a softmax.

    Example:
        >>> one, two = (Predictions.from_arrays([[x]], [[1]]) for x in (0.0, 2.0))
        >>> mean_predictions([one, two], "logits").logits.tolist()
        [[1.0]]
        >>> mean_predictions([one, two], "probabilities").logits.round(2)
        array([[0.8]], dtype=float32)
    """
    if not predictions:
        raise DataError("there are no predictions to average")
    if average not in ("logits", "probabilities"):
        raise ConfigError(f"average must be logits or probabilities, not {average!r}")
    first = predictions[0]
    if len(predictions) == 1:
        return first
    if any(each.activation != first.activation for each in predictions):
        raise DataError(
            "predictions of a model with a sigmoid per class and of one with a softmax cannot be "
            "averaged: their probabilities do not mean the same"
        )
    aligned = [first, *(align(first, _in_order(each, first)) for each in predictions[1:])]
    logits = np.stack([each.logits for each in aligned]).astype(np.float64)
    mean = _mean(logits, average, first.activation)
    return replace(first, logits=mean, model=_digest(aligned, average))


def _mean(logits: NDArray[np.float64], average: str, activation: Activation) -> NDArray[np.float32]:
    """Over the first dimension."""
    if average == "logits":
        return logits.mean(axis=0).astype(np.float32)
    if activation == "softmax":
        total = np.logaddexp.reduce(log_probabilities(logits), axis=0)
        return (total - np.log(len(logits))).astype(np.float32)
    # The logit of a mean of sigmoids, without computing sigmoids that round to 0 or 1.
    yes, no = -np.logaddexp(0, -logits), -np.logaddexp(0, logits)
    mean = np.logaddexp.reduce(yes, axis=0) - np.logaddexp.reduce(no, axis=0)
    return mean.astype(np.float32)


def _in_order(predictions: Predictions, first: Predictions) -> Predictions:
    """The predictions with their classes in the order of the first."""
    names = predictions.class_names
    if names == first.class_names:
        return predictions
    if sorted(names) != sorted(first.class_names):
        only = sorted({*names} ^ {*first.class_names})
        raise DataError(
            f"predictions of other classes than the first cannot be averaged with them: {only[0]!r}"
            f" is only in one ({len(first.class_names)} classes and {len(names)})"
        )
    columns = [names.index(name) for name in first.class_names]
    counts, known = predictions.class_counts, predictions.known
    return replace(
        predictions,
        logits=predictions.logits[:, columns],
        targets=predictions.targets[:, columns],
        class_names=first.class_names,
        class_counts=None if counts is None else counts[columns],
        known=None if known is None else known[:, columns],
    )


def _digest(predictions: Sequence[Predictions], average: str) -> str:
    """Of the models, in whatever order, and how they are averaged; empty if one is not known."""
    models = sorted(each.model for each in predictions)
    return "" if "" in models else hashlib.sha256(f"{average} {models}".encode()).hexdigest()
