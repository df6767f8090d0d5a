"""What a run tells the head about its classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mlt.data.labels import LabelTable
from mlt.data.sparse import column_counts
from mlt.engine.training_state import load_training_state
from mlt.errors import DataError, MissingFileError, UserError
from mlt.language import ClassEmbeddings
from mlt.language.open_clip_tower import OpenClipTower
from mlt.language.prompts import PromptEncoder
from mlt.models.heads import AboutClasses
from mlt.models.heads.settings import GCNHead, Head, PromptsHead
from mlt.models.weights import read_tensors

__all__ = ["about_classes"]


def about_classes(head: Head, train: LabelTable, state: Path | None = None) -> AboutClasses:
    """What there is to know for a head; what it does not use is not counted.

    Args:
        head: Its settings.
        train: The training split.
        state: Of the run that goes on; it has the class embeddings, so that their file may be gone.

    Raises:
        MissingFileError: If there is no such file of class embeddings, or of weights.
        DataError: If it is damaged, or lacks a class.
        ConfigError: If there is no such text tower for prompts.
        CheckpointError: If its weights cannot be loaded.
    """
    if isinstance(head, PromptsHead):
        return _prompts(head, train.class_names)
    counted = isinstance(head, GCNHead) and head.graph == "cooccurrence"
    return AboutClasses(
        names=train.class_names,
        cooccurrence=train.cooccurrence() if counted else None,
        num_images=len(train) if train.known is None else column_counts(train.known),
        judged=train.judged() if counted else None,
        embeddings=_embeddings(getattr(head, "embeddings", None), train.class_names, state),
    )


def _prompts(head: PromptsHead, class_names: tuple[str, ...]) -> AboutClasses:
    """What embeds the prompts, and what it makes of them before they have learnt."""
    try:
        weights = None if head.weights is None else read_tensors(head.weights)
        prompts = PromptEncoder(OpenClipTower.load(head.model, weights), class_names, head.context)
    except UserError as error:
        raise type(error)(f"model.head: {error}") from error
    begin = torch.zeros(prompts.length, prompts.width) if prompts.begin is None else prompts.begin
    with torch.no_grad():
        embeddings = prompts(begin).cpu().numpy()
    return AboutClasses(class_names, embeddings=embeddings, prompts=prompts)


def _embeddings(
    file: str | None, class_names: tuple[str, ...], state: Path | None
) -> NDArray[np.float32] | None:
    """What `mlt embed-classes` made of the classes, in their order."""
    if file is None:
        return None
    if state is not None and not Path(file).is_file():
        weights = load_training_state(state, torch.device("cpu"))["model"]
        return weights["head.embeddings"].numpy()
    try:
        return ClassEmbeddings.read(file).of(class_names)
    except (DataError, MissingFileError) as error:
        raise type(error)(f"model.head.embeddings: {file}: {error}") from error
