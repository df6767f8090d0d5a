"""Classes that a run evaluates but does not train."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mlt.data.hidden_labels import hide_labels
from mlt.data.run_data import Data
from mlt.errors import MissingFileError, UserError
from mlt.language.class_texts import read_names

__all__ = ["hide_unseen"]


def hide_unseen(data: Data, unseen: str | Sequence[str]) -> Data:
    """The data of a run, whose training images do not say whether they have these classes.

    Args:
        data: As it was read.
        unseen: Class names, or a file with one per line; none: the data as they are.

    Raises:
        MissingFileError: If there is no such file.
        ConfigError: If the data has no such class, or all are named.
    """
    if not unseen:
        return data
    try:
        names = read_names(unseen) if isinstance(unseen, str) else unseen
        train = hide_labels(data.train, names)
    except UserError as error:
        hint = (
            f" (class names are a list: [{unseen}])" if isinstance(error, MissingFileError) else ""
        )
        raise type(error)(f"evaluation.unseen: {error}{hint}") from error
    note = f"not trained (evaluation.unseen), {len(names)} classes: {', '.join(names)}"
    return replace(data, train=train, notes=(*data.notes, note))
