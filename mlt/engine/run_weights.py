"""The checkpoints of a run: the weights that are evaluated, saved and loaded again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlt.engine.one_label import activation_of
from mlt.engine.parallel import full, load_full
from mlt.engine.setup import Setup
from mlt.models.checkpoint import OWN_MODEL, CheckpointInfo, read_weights, save_checkpoint
from mlt.models.difference import difference

__all__ = ["load_weights", "save_weights"]


def save_weights(setup: Setup, path: Path) -> None:
    """Save the weights that are evaluated, as ``training.save`` says; all must call it.

    Raises:
        TrainingError: If a loss was not finite on the way to them.
    """
    setup.training.read(setup.processes)
    info = CheckpointInfo(
        class_names=setup.class_counts.names,
        class_counts=tuple(int(n) for n in setup.class_counts.counts),
        num_train_images=len(setup.data.train),
        model=_model_of(setup),
        preprocessing={} if setup.loads_tensors else setup.preprocessing.to_dict(),
        epoch=setup.training.position.epoch,
        starting_weights=None if setup.starting_weights is None else setup.starting_weights.digest,
        activation=activation_of(setup.training.loss),
        image_size=setup.config.transforms.size if setup.loads_tensors else None,
    )
    state = full(setup.training.evaluated_model.state_dict())
    if setup.starting_weights is not None:
        state = difference(state, setup.starting_weights)
    setup.processes.on_main(lambda: save_checkpoint(path, state, info))


def load_weights(setup: Setup, path: Path) -> None:
    """Evaluate the weights of a checkpoint of this run from here on; all must call it.

    Raises:
        CheckpointError: If the file is damaged.
    """
    state = setup.processes.on_main(lambda: read_weights(path))
    load_full(setup.training.evaluated_model, state)


def _model_of(setup: Setup) -> dict[str, Any]:
    """The model as a checkpoint says it: the configuration's section, or the name of a class."""
    if setup.own.model is None:
        return setup.config.model.model_dump(mode="json")
    return {OWN_MODEL: setup.own.names["model"]}
