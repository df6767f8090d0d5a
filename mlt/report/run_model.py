"""The model that the predictions of a run come from."""

from __future__ import annotations

from torch import nn

from mlt.data.transforms import Preprocessing
from mlt.errors import CheckpointError, MissingFileError
from mlt.models.checkpoint import check_class_names, checkpoint_digest, load_checkpoint
from mlt.report.runs import Run
from mlt.run_folder import RunFolder

__all__ = ["model_of"]


def model_of(run: Run) -> tuple[nn.Module, Preprocessing]:
    """Load the checkpoint of a run whose weights gave its predictions.

    Returns:
        The model on the CPU in evaluation mode, and how an image becomes its input.

    Raises:
        MissingFileError: If the run has no checkpoint.
        CheckpointError: If no checkpoint has these weights, it is damaged, the model is one of the
            user's own, or it was trained on tensors.
    """
    folder = RunFolder(run.path)
    there = [path for path in (folder.last, folder.best) if path.is_file()]
    if not there:
        raise MissingFileError(f"there is no checkpoint in {run.path}")
    wanted = run.predictions.model
    path = next((path for path in there if wanted in ("", checkpoint_digest(path))), None)
    if path is None:
        names = " and ".join(path.name for path in there)
        raise CheckpointError(f"the predictions come from other weights than {names} now has")
    model, info = load_checkpoint(path)
    check_class_names(path, info.class_names, run.predictions.class_names, "the predictions")
    if not info.preprocessing:
        raise CheckpointError(
            f"{path} was trained on tensors, so how to make them from images is not known"
        )
    return model, Preprocessing.from_dict(info.preprocessing)
