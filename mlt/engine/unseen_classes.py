"""Classes that a run evaluates but does not train."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mlt.data.hidden_labels import hide_labels
from mlt.data.labels import LabelTable
from mlt.data.run_data import Data
from mlt.errors import MissingFileError, UserError
from mlt.language.class_texts import read_names

__all__ = ["hide_unseen", "without_unseen"]


def hide_unseen(data: Data, unseen: str | Sequence[str]) -> Data:
    """The data of a run, whose training images do not say whether they have these classes.

    Args:
        data: As it was read.
        unseen: As for :func:`without_unseen`, with its errors.
    """
    if not unseen:
        return data
    train, names = without_unseen(data.train, unseen)
    note = f"not trained (evaluation.unseen), {len(names)} classes: {', '.join(names)}"
    return replace(data, train=train, notes=(*data.notes, note))


def without_unseen(
    train: LabelTable, unseen: str | Sequence[str]
) -> tuple[LabelTable, Sequence[str]]:
    """The training images, of which these classes are not known, and the names of the classes.

    Args:
        train: As they were read.
        unseen: Class names, or a file with one per line; none: the images as they are.

    Raises:
        MissingFileError: If there is no such file.
        ConfigError: If there is no such class, or all are named.
    """
    if not unseen:
        return train, ()
    try:
        names = read_names(unseen) if isinstance(unseen, str) else unseen
        return hide_labels(train, names), names
    except UserError as error:
        hint = (
            f" (class names are a list: [{unseen}])" if isinstance(error, MissingFileError) else ""
        )
        raise type(error)(f"evaluation.unseen: {error}{hint}") from error
